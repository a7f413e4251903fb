//! HTML to a document, by the algorithm of browsers (HTML Living Standard, section 13.2).

use std::borrow::Cow;
use std::cell::{Ref, RefCell};

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, ParseOpts, QualName, parse_document};

use super::{Builder, MOST_DEEP, MOST_NODES};

/// Bytes that are parsed before it is looked whether this is too much.
const PIECE_BYTES: usize = 1 << 10;

/// Reads a page; `None` where it is nested too deeply or has too many nodes.
pub(super) fn read(text: &str, builder: &mut Builder<'_>) -> Option<()> {
    // Scripts run in browsers, so that what is in `noscript` is text.
    let mut parser = parse_document(Tree::default(), ParseOpts::default());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(PIECE_BYTES));
        parser.process(StrTendril::from_slice(piece));
        let tree = &parser.tokenizer.sink.sink;
        if tree.is_too_much() {
            return None;
        }
        rest = after;
    }
    parser.finish().build(builder)
}

/// Attributes that later tags of one element add to it.
const MOST_ADDED: usize = 256;

/// The tree that the parser builds.
struct Tree {
    nodes: RefCell<Vec<Node>>,
}

struct Node {
    parent: Option<usize>,
    children: Vec<usize>,
    content: Content,
}

enum Content {
    Document,
    Element(QualName, Vec<Attribute>),
    Text(StrTendril),
    /// A comment, which nobody sees.
    Nothing,
}

impl Default for Tree {
    fn default() -> Tree {
        let document = Node {
            parent: None,
            children: Vec::new(),
            content: Content::Document,
        };
        Tree {
            nodes: RefCell::new(vec![document]),
        }
    }
}

impl Tree {
    /// Whether there are too many nodes, or the newest lies too deep.
    fn is_too_much(&self) -> bool {
        let nodes = self.nodes.borrow();
        let newest = nodes.len().checked_sub(1);
        let above = std::iter::successors(newest, |node| nodes[*node].parent);
        nodes.len() > MOST_NODES || above.take(MOST_DEEP + 2).count() > MOST_DEEP + 1
    }

    fn add(&self, content: Content) -> usize {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node {
            parent: None,
            children: Vec::new(),
            content,
        });
        nodes.len() - 1
    }

    /// Puts a child at an index of a node's children.
    fn put(&self, parent: usize, index: usize, child: NodeOrText<usize>) {
        let child = match child {
            NodeOrText::AppendNode(child) => {
                self.detach(child);
                child
            }
            NodeOrText::AppendText(text) => {
                let mut nodes = self.nodes.borrow_mut();
                let before = index
                    .checked_sub(1)
                    .map(|index| nodes[parent].children[index]);
                if let Some(before) = before
                    && let Content::Text(known) = &mut nodes[before].content
                {
                    known.push_tendril(&text);
                    return;
                }
                drop(nodes);
                self.add(Content::Text(text))
            }
        };
        let mut nodes = self.nodes.borrow_mut();
        let index = index.min(nodes[parent].children.len());
        nodes[parent].children.insert(index, child);
        nodes[child].parent = Some(parent);
    }

    fn detach(&self, child: usize) {
        let mut nodes = self.nodes.borrow_mut();
        if let Some(parent) = nodes[child].parent.take() {
            // What is moved is nearly always among the last.
            let children = &mut nodes[parent].children;
            if let Some(index) = children.iter().rposition(|known| *known == child) {
                children.remove(index);
            }
        }
    }

    fn place_of(&self, child: usize) -> Option<(usize, usize)> {
        let nodes = self.nodes.borrow();
        let parent = nodes[child].parent?;
        let children = &nodes[parent].children;
        let index = children.iter().rposition(|known| *known == child)?;
        Some((parent, index))
    }

    /// Hands the tree on, from its beginning to its end.
    fn build(self, builder: &mut Builder<'_>) -> Option<()> {
        enum Step {
            Enter(usize),
            Leave,
        }
        let nodes = self.nodes.into_inner();
        let mut steps = vec![Step::Enter(0)];
        while let Some(step) = steps.pop() {
            let Step::Enter(index) = step else {
                builder.close();
                continue;
            };
            let node = &nodes[index];
            match &node.content {
                Content::Document => (),
                Content::Nothing => continue,
                Content::Text(text) => {
                    builder.text(text);
                    continue;
                }
                Content::Element(name, attributes) => {
                    let space = match name.ns == html5ever::ns!(html) {
                        true => String::new(),
                        false => name.ns.to_string(),
                    };
                    let attributes = attributes.iter().map(|attribute| {
                        (
                            attribute.name.local.to_string(),
                            attribute.value.to_string(),
                        )
                    });
                    builder.open(name.local.to_string(), space, attributes)?;
                    steps.push(Step::Leave);
                }
            }
            steps.extend(node.children.iter().rev().map(|child| Step::Enter(*child)));
        }
        builder.end_text();
        Some(())
    }
}

impl TreeSink for Tree {
    type Handle = usize;
    type Output = Tree;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Tree {
        self
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> usize {
        0
    }

    fn elem_name<'a>(&'a self, target: &'a usize) -> Ref<'a, QualName> {
        Ref::map(self.nodes.borrow(), |nodes| match &nodes[*target].content {
            Content::Element(name, _) => name,
            // The parser asks this of elements alone, which is its contract.
            _ => unreachable!("the name of what is no element"),
        })
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, _: ElementFlags) -> usize {
        self.add(Content::Element(name, attrs))
    }

    fn create_comment(&self, _: StrTendril) -> usize {
        self.add(Content::Nothing)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> usize {
        self.add(Content::Nothing)
    }

    fn append(&self, parent: &usize, child: NodeOrText<usize>) {
        let last = self.nodes.borrow()[*parent].children.len();
        self.put(*parent, last, child);
    }

    fn append_before_sibling(&self, sibling: &usize, child: NodeOrText<usize>) {
        if let NodeOrText::AppendNode(child) = child {
            self.detach(child);
        }
        if let Some((parent, index)) = self.place_of(*sibling) {
            self.put(parent, index, child);
        }
    }

    fn append_based_on_parent_node(
        &self,
        element: &usize,
        before: &usize,
        child: NodeOrText<usize>,
    ) {
        match self.place_of(*element) {
            Some(_) => self.append_before_sibling(element, child),
            None => self.append(before, child),
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &usize) -> usize {
        // What a template holds are its children here.
        *target
    }

    fn same_node(&self, one: &usize, other: &usize) -> bool {
        one == other
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn add_attrs_if_missing(&self, target: &usize, attrs: Vec<Attribute>) {
        let mut nodes = self.nodes.borrow_mut();
        if let Content::Element(_, known) = &mut nodes[*target].content {
            for attribute in attrs {
                let is_new = known.iter().all(|known| known.name != attribute.name);
                if is_new && known.len() < MOST_ADDED {
                    known.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &usize) {
        self.detach(*target);
    }

    fn reparent_children(&self, node: &usize, new_parent: &usize) {
        let mut nodes = self.nodes.borrow_mut();
        let children = std::mem::take(&mut nodes[*node].children);
        for child in &children {
            nodes[*child].parent = Some(*new_parent);
        }
        nodes[*new_parent].children.extend(children);
    }
}
