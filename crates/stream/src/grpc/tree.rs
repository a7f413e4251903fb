//! What was read of a protobuf message.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};

/// A message as a tree of its fields, in the order in which they were sent.
///
/// All spans count bytes of the outermost message.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tree {
    /// Its full type name, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Arc<str>>,
    /// Its fields.
    pub fields: Vec<Node>,
    /// Where and why reading stopped before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<TreeFault>,
    /// True when it has no type, is no sound message, but is text without control characters other
    /// than those of lines and tabs: JSON, say. Then it has no fields.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_text: bool,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Its number.
    pub number: u32,
    /// Its name, where it is known; that of an extension in brackets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// How its value is known.
    pub basis: Basis,
    /// All its bytes: tag, length and value.
    pub record: Range<usize>,
    /// The bytes of its value alone.
    pub span: Range<usize>,
    /// The value.
    pub value: Value,
    /// What is irregular about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

/// How a value is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A descriptor says so.
    Schema,
    /// The wire type says so, which tells no more than the width of a number.
    Wire,
    /// It looks like that.
    Guess,
    /// It looks like that, and another reading is as sound.
    Ambiguous,
}

/// What is irregular about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// It is not encoded as its descriptor says, and was read without it.
    WireTypeDiffers,
    /// A string that is not UTF-8.
    NotUtf8,
    /// A message below [`TreeLimits::depth`], left as bytes.
    TooDeep,
    /// A packed list that ends within an item, or has more items than [`TreeLimits::nodes`] allows:
    /// the items before that place.
    CutShort,
}

/// Why a message was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeFault {
    /// What is there is no field.
    Unsound {
        /// Where it begins.
        at: usize,
    },
    /// There are more than [`TreeLimits::nodes`].
    TooManyFields {
        /// Where the first one begins that was not read.
        at: usize,
    },
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Of a signed type.
    Int(i64),
    /// Of an unsigned type.
    Uint(u64),
    /// Of type `bool`.
    Bool(bool),
    /// Of type `float`.
    Float(#[serde(serialize_with = "float")] f32),
    /// Of type `double`.
    Double(#[serde(serialize_with = "double")] f64),
    /// Of an enum.
    Enum {
        /// The number.
        number: i32,
        /// The name, where the enum has one.
        name: Option<Arc<str>>,
    },
    /// A string.
    Text(String),
    /// Bytes; in JSON as base64.
    Bytes(#[serde(serialize_with = "bytes")] Bytes),
    /// A message.
    Message(Tree),
    /// A group.
    Group(Tree),
    /// A packed list.
    List(Vec<Item>),
    /// A varint of unknown type.
    Varint(u64),
    /// Four bytes of unknown type.
    Fixed32(u32),
    /// Eight bytes of unknown type.
    Fixed64(u64),
}

/// One item of a packed list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// Its bytes.
    pub span: Range<usize>,
    /// Its value.
    pub value: Value,
}

/// How far a message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLimits {
    /// How deep messages may lie in each other.
    pub depth: usize,
    /// How many fields and items there may be in all.
    pub nodes: usize,
}

/// 64 deep, 65,536 fields.
impl Default for TreeLimits {
    fn default() -> TreeLimits {
        TreeLimits {
            depth: 64,
            nodes: 1 << 16,
        }
    }
}

/// A value that has no others in it, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf<'a> {
    /// The numbers of the fields from the outermost message down to it.
    pub path: Vec<u32>,
    /// The field it is in, or whose item it is.
    pub node: &'a Node,
    /// Its bytes.
    pub span: Range<usize>,
    /// The value.
    pub value: &'a Value,
}

impl Tree {
    /// All values that have no others in them, in the order of the message.
    pub fn leaves(&self) -> Vec<Leaf<'_>> {
        let mut leaves = Vec::new();
        self.collect(&mut Vec::new(), &mut leaves);
        leaves
    }

    /// True when all of it, and of the messages in it, was read.
    pub fn is_whole(&self) -> bool {
        self.fault.is_none()
            && self.fields.iter().all(|node| match &node.value {
                Value::Message(tree) | Value::Group(tree) => tree.is_whole(),
                _ => !matches!(node.note, Some(Note::TooDeep | Note::CutShort)),
            })
    }

    fn collect<'a>(&'a self, path: &mut Vec<u32>, leaves: &mut Vec<Leaf<'a>>) {
        for node in &self.fields {
            path.push(node.number);
            let mut leaf = |span: &Range<usize>, value| {
                leaves.push(Leaf {
                    path: path.clone(),
                    node,
                    span: span.clone(),
                    value,
                });
            };
            match &node.value {
                Value::List(items) => items.iter().for_each(|item| leaf(&item.span, &item.value)),
                Value::Message(tree) | Value::Group(tree) => tree.collect(path, leaves),
                value => leaf(&node.span, value),
            }
            path.pop();
        }
    }
}

fn bytes<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn float<S: Serializer>(number: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    match number.is_finite() {
        true => serializer.serialize_f32(*number),
        false => serializer.serialize_str(not_finite(f64::from(*number))),
    }
}

fn double<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match number.is_finite() {
        true => serializer.serialize_f64(*number),
        false => serializer.serialize_str(not_finite(*number)),
    }
}

/// The words of protobuf's JSON.
fn not_finite(number: f64) -> &'static str {
    match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}
