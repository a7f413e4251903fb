//! Pages and documents of markup: HTML by its DOM, XML by its elements.
//!
//! What a browser or a parser doesn't tell apart is the same: white space between words, the
//! order of attributes, comments, prefixes of namespaces.

mod compare;
mod html;
mod marks;
mod place;
mod show;
mod xml;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use twintap_scrub::{Action, Leaf};

use super::lines::word_key;
use super::{Side, Text};
use crate::generated::runs;
use marks::{Marked, Marks};

pub(super) use place::{AFTER, after, around, is_wordy};

/// How deep elements may lie in each other; what is deeper is compared as text.
const MOST_DEEP: usize = 200;
/// How many nodes there may be.
const MOST_NODES: usize = 1 << 20;
/// In a tag with more white space than this there may be so many attributes that telling them
/// apart takes too long.
const MOST_IN_TAG: usize = 1 << 12;
/// The most texts and attributes by which an element is compared with others to find which it is.
const MOST_HELD: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Html,
    Xml,
}

impl Dialect {
    pub(super) fn name(self) -> &'static str {
        match self {
            Dialect::Html => "HTML",
            Dialect::Xml => "XML",
        }
    }
}

/// A document as a tree, its nodes in the order of their beginnings.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(super) dialect: Dialect,
    /// The first stands for the document itself.
    nodes: Vec<Node>,
    /// What scrubbing named in it.
    leaves: Vec<&'a Leaf>,
}

/// Digests of what a node holds, values by their roles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Values that look generated count by nothing but being there.
    loose: u64,
    exact: u64,
}

#[derive(Debug)]
struct Node {
    content: Content,
    children: Vec<usize>,
    /// The node before it in the same element.
    before: Option<usize>,
    /// Of an element its number, from 1 on, among those it could be taken for; none if it is
    /// the only one.
    number: Option<usize>,
}

impl Node {
    fn new(content: Content) -> Node {
        Node {
            content,
            children: Vec::new(),
            before: None,
            number: None,
        }
    }
}

#[derive(Debug)]
enum Content {
    Element(Element),
    Text(Marked),
}

#[derive(Debug, Default)]
struct Element {
    /// Without a prefix.
    name: String,
    /// The namespace; empty for HTML's own.
    space: String,
    /// A name with a namespace is `{namespace}name`.
    attributes: BTreeMap<String, Marked>,
}

impl<'a> Document<'a> {
    /// Reads a page of HTML; `None` where it is too much.
    pub(super) fn html(text: &str, leaves: impl Iterator<Item = &'a Leaf>) -> Option<Self> {
        Document::read(Dialect::Html, text, leaves, html::read)
    }

    /// Reads XML; `None` where it is not well-formed, declares entities or is too much.
    pub(super) fn xml(text: &str, leaves: impl Iterator<Item = &'a Leaf>) -> Option<Self> {
        Document::read(Dialect::Xml, text, leaves, xml::read)
    }

    fn read(
        dialect: Dialect,
        text: &str,
        leaves: impl Iterator<Item = &'a Leaf>,
        read: impl Fn(&str, &mut Builder<'_>) -> Option<()>,
    ) -> Option<Self> {
        if has_endless_tag(text) {
            return None;
        }
        let marks = Marks::new(text, leaves);
        let mut builder = Builder {
            marks: &marks,
            nodes: vec![Node::new(Content::Element(Element::default()))],
            open: vec![0],
            text: String::new(),
        };
        read(marks.text(), &mut builder)?;
        let nodes = builder.nodes;
        let mut document = Document {
            dialect,
            nodes,
            leaves: marks.into_leaves(),
        };
        for parent in 0..document.nodes.len() {
            document.count(parent);
        }
        Some(document)
    }

    /// Counts the children of a node.
    fn count(&mut self, parent: usize) {
        let children = std::mem::take(&mut self.nodes[parent].children);
        let alike = |node: usize| {
            let element = self.element(node)?;
            Some(match self.dialect {
                Dialect::Html => "",
                Dialect::Xml => element.name.as_str(),
            })
        };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let numbers: Vec<Option<usize>> = children
            .iter()
            .map(|child| {
                let count = counts.entry(alike(*child)?).or_default();
                *count += 1;
                Some(*count)
            })
            .collect();
        let is_one_of_many: Vec<bool> = children
            .iter()
            .map(|child| alike(*child).is_some_and(|alike| counts[alike] > 1))
            .collect();
        let mut before = None;
        for (index, child) in children.iter().enumerate() {
            let node = &mut self.nodes[*child];
            node.before = before.replace(*child);
            node.number = numbers[index].filter(|_| is_one_of_many[index]);
        }
        self.nodes[parent].children = children;
    }

    /// The text of a node or an attribute.
    fn text_of<'b>(&'b self, marked: &'b Marked) -> Text<'b> {
        let spans = marked.spans.iter().map(|(start, end, _)| (*start, *end));
        let leaves = marked.spans.iter().map(|(.., leaf)| self.leaves[*leaf]);
        Text::with_leaves(&marked.text, spans.collect(), leaves.collect())
    }

    fn element(&self, node: usize) -> Option<&Element> {
        match &self.nodes[node].content {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        }
    }

    /// For each node the digests of what it holds.
    pub(super) fn keys(&self, side: &Side<'_>) -> Vec<Key> {
        let (loose, exact) = (self.digests(side, false), self.digests(side, true));
        let keys = loose.into_iter().zip(exact);
        keys.map(|(loose, exact)| Key { loose, exact }).collect()
    }

    fn digests(&self, side: &Side<'_>, is_exact: bool) -> Vec<u64> {
        let mut keys = vec![0; self.nodes.len()];
        // Children come after their parents.
        for (index, node) in self.nodes.iter().enumerate().rev() {
            let mut hasher = DefaultHasher::new();
            match &node.content {
                Content::Text(text) => self.hash_text(side, text, is_exact, &mut hasher),
                Content::Element(element) => {
                    (&element.name, &element.space).hash(&mut hasher);
                    for (name, value) in &element.attributes {
                        name.hash(&mut hasher);
                        self.hash_text(side, value, is_exact, &mut hasher);
                    }
                }
            }
            for child in &node.children {
                keys[*child].hash(&mut hasher);
            }
            keys[index] = hasher.finish();
        }
        keys
    }

    fn hash_text(
        &self,
        side: &Side<'_>,
        marked: &Marked,
        is_exact: bool,
        hasher: &mut DefaultHasher,
    ) {
        let key = |word: &str| match is_exact {
            true => side.role_of_text(word),
            false => word_key(side, word),
        };
        let spans: Vec<(usize, usize)> = marked
            .spans
            .iter()
            .map(|(start, end, _)| (*start, *end))
            .collect();
        for run in runs(&marked.text, &spans) {
            run.before.hash(hasher);
            let leaf = run.span.map(|span| self.leaves[marked.spans[span].2]);
            match leaf {
                Some(leaf) if leaf.action != Action::Allowed => side.role(leaf.tag).0.hash(hasher),
                // What was kept is in its spelling.
                _ => runs(run.word, &[])
                    .iter()
                    .for_each(|run| (run.before, key(run.word)).hash(hasher)),
            }
        }
    }

    /// Digests of texts and attributes in a node.
    fn holds(&self, side: &Side<'_>, node: usize) -> Vec<u64> {
        let mut held = Vec::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            let mut hold = |name: &str, text: &Marked| {
                let mut hasher = DefaultHasher::new();
                name.hash(&mut hasher);
                self.hash_text(side, text, false, &mut hasher);
                held.push(hasher.finish());
            };
            match &self.nodes[node].content {
                Content::Text(text) => hold("", text),
                Content::Element(element) => {
                    let says = |name: &str| !matches!(name, "class" | "style" | "type");
                    let attributes = element.attributes.iter();
                    attributes
                        .filter(|(name, _)| says(name))
                        .for_each(|(name, value)| hold(name, value));
                }
            }
            if held.len() >= MOST_HELD {
                break;
            }
            open.extend(self.nodes[node].children.iter().rev());
        }
        held
    }
}

/// Whether there is a tag in which there are very many attributes.
fn has_endless_tag(text: &str) -> bool {
    let (mut is_open, mut count) = (false, 0);
    for byte in text.bytes() {
        match byte {
            b'<' => (is_open, count) = (true, 0),
            b'>' => is_open = false,
            b'/' | b'"' | b'\'' => count += 1,
            byte if byte.is_ascii_whitespace() => count += 1,
            _ => (),
        }
        if is_open && count > MOST_IN_TAG {
            return true;
        }
    }
    false
}

/// Makes a document of what a parser reads.
struct Builder<'m> {
    marks: &'m Marks<'m>,
    nodes: Vec<Node>,
    open: Vec<usize>,
    /// Of the text node that is being read.
    text: String,
}

impl Builder<'_> {
    /// An element begins; `None` when it is too much.
    fn open(
        &mut self,
        name: String,
        space: String,
        attributes: impl Iterator<Item = (String, String)>,
    ) -> Option<()> {
        self.end_text();
        if self.open.len() > MOST_DEEP || self.nodes.len() >= MOST_NODES {
            return None;
        }
        let attributes = attributes.map(|(name, value)| {
            let value = match name.as_str() {
                // A set of words (HTML Living Standard, section 3.2.6).
                "class" | "rel" => sorted_words(&value),
                _ => value,
            };
            (name, self.marks.read(&value))
        });
        let element = Element {
            name,
            space,
            attributes: attributes.collect(),
        };
        let node = self.add(Content::Element(element));
        self.open.push(node);
        Some(())
    }

    /// The innermost element ends.
    fn close(&mut self) {
        self.end_text();
        self.open.pop();
    }

    /// A text, or a part of one.
    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn end_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        let words = words_of(&text);
        if !words.is_empty() {
            let read = self.marks.read(&words);
            self.add(Content::Text(read));
        }
    }

    fn add(&mut self, content: Content) -> usize {
        let node = self.nodes.len();
        if let Some(parent) = self.open.last() {
            self.nodes[*parent].children.push(node);
        }
        self.nodes.push(Node::new(content));
        node
    }
}

/// A text with one blank between words, and none around them.
fn words_of(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words
}

fn sorted_words(text: &str) -> String {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}
