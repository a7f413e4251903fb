//! Parts of documents as people read them.

use std::fmt::Write as _;

use super::{Content, Dialect, Document};

/// The most nodes that are shown.
const MOST_SHOWN: usize = 40;
/// The longest text that is shown whole, in characters.
const MOST_CHARS: usize = 160;

impl Document<'_> {
    /// What is around an exact place: the element there, one node a line.
    pub(crate) fn around(&self, path: &str) -> String {
        let mut path = path;
        let node = loop {
            match (self.find(path), super::around(path)) {
                (Some(node), _) => break node,
                (None, Some(outer)) => path = outer,
                (None, None) => break 0,
            }
        };
        self.around_node(node)
    }

    /// A node and what is in it.
    pub(super) fn around_node(&self, node: usize) -> String {
        let mut out = String::new();
        let mut left = MOST_SHOWN;
        self.show(node, 0, &mut left, &mut out);
        out
    }

    fn show(&self, node: usize, depth: usize, left: &mut usize, out: &mut String) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let indent = "  ".repeat(depth);
        // Writing to a String can't fail.
        let _ = match &self.nodes[node].content {
            Content::Text(text) => writeln!(out, "{indent}{}", short(&text.text)),
            Content::Element(_) if node == 0 => Ok(()),
            Content::Element(element) => {
                let mut tag = format!("{indent}<{}", element.name);
                for (name, value) in &element.attributes {
                    let _ = write!(tag, " {name}={:?}", short(&value.text));
                }
                let end = match (self.dialect, self.nodes[node].children.is_empty()) {
                    (Dialect::Xml, true) => "/>",
                    _ => ">",
                };
                writeln!(out, "{tag}{end}")
            }
        };
        for child in &self.nodes[node].children {
            self.show(*child, depth + 1, left, out);
        }
        if *left == 0 && !out.ends_with("…\n") {
            out.push_str("…\n");
        }
    }
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
