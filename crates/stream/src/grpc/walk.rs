//! Reads a message by its descriptor, and by guess where there is none.

use std::ops::Range;

use bytes::Bytes;
use prost_types::field_descriptor_proto::Type;

use super::cursor::{Cursor, Record, Unsound, Wire};
use super::descriptors::{Descriptors, FieldType, Kind, MessageType};
use super::tree::{Basis, Item, Node, Note, Tree, TreeFault, TreeLimits, Value};

/// The reading of one message.
pub(super) struct Walk<'a> {
    descriptors: &'a Descriptors,
    message: &'a Bytes,
    depth: usize,
    nodes_left: usize,
}

/// A value with what is to be said of it.
struct Reading {
    basis: Basis,
    value: Value,
    note: Option<Note>,
}

/// The fields of a message or group.
struct Fields {
    fields: Vec<Node>,
    /// Where they end.
    end: usize,
    fault: Option<TreeFault>,
}

const ANY: &str = "google.protobuf.Any";

impl<'a> Walk<'a> {
    pub fn new(descriptors: &'a Descriptors, message: &'a Bytes, limits: TreeLimits) -> Walk<'a> {
        Walk {
            descriptors,
            message,
            depth: limits.depth,
            nodes_left: limits.nodes,
        }
    }

    pub fn message(&mut self, type_name: Option<&str>) -> Tree {
        let span = 0..self.message.len();
        let mut tree = self.tree(span.clone(), type_name, 0);
        let is_unsound = matches!(tree.fault, Some(TreeFault::Unsound { .. }));
        if type_name.is_none() && is_unsound && self.text(&span).is_some_and(are_lines) {
            tree.is_text = true;
            tree.fields.clear();
        }
        tree
    }

    fn tree(&mut self, span: Range<usize>, type_name: Option<&str>, depth: usize) -> Tree {
        let known = type_name.and_then(|name| self.descriptors.message(name));
        let mut cursor = Cursor::new(self.message, span);
        let read = self.fields(&mut cursor, known.map(|known| &**known), depth, None);
        let mut tree = Tree {
            type_name: type_name.map(Into::into),
            fields: read.fields,
            fault: read.fault,
            is_text: false,
        };
        if type_name == Some(ANY) {
            self.open_any(&mut tree, depth);
        }
        tree
    }

    /// Reads up to the end of the cursor, or of the group.
    fn fields(
        &mut self,
        cursor: &mut Cursor<'_>,
        known: Option<&MessageType>,
        depth: usize,
        group: Option<u32>,
    ) -> Fields {
        let mut fields = Vec::new();
        loop {
            let at = cursor.at;
            let mut end = at;
            let record = match cursor.record() {
                Ok(Some(record)) if record.wire != Wire::GroupEnd => record,
                ended => {
                    let is_sound = match ended {
                        Ok(Some(record)) => group == Some(record.number),
                        Ok(None) => group.is_none(),
                        Err(Unsound) => false,
                    };
                    if !is_sound {
                        end = cursor.at;
                    }
                    return Fields {
                        fields,
                        end,
                        fault: (!is_sound).then_some(TreeFault::Unsound { at }),
                    };
                }
            };
            if self.nodes_left == 0 {
                return Fields {
                    fields,
                    end,
                    fault: Some(TreeFault::TooManyFields { at }),
                };
            }
            self.nodes_left -= 1;
            let field = known.and_then(|known| self.descriptors.field(known, record.number));
            let node = match record.wire {
                Wire::GroupStart => self.group(&record, cursor, field, depth),
                _ => Ok(self.node(record, field, depth)),
            };
            match node {
                Ok(node) => {
                    // What ended a group early ends all around it.
                    let fault = match &node.value {
                        Value::Group(tree) => tree.fault,
                        _ => None,
                    };
                    fields.push(node);
                    if fault.is_some() {
                        let end = cursor.at;
                        return Fields { fields, end, fault };
                    }
                }
                Err(fault) => {
                    let fault = Some(fault);
                    return Fields { fields, end, fault };
                }
            }
        }
    }

    fn node(&mut self, record: Record, field: Option<&FieldType>, depth: usize) -> Node {
        let typed = field.and_then(|field| self.typed(&record, field, depth));
        let is_typed = typed.is_some();
        let mut reading = typed.unwrap_or_else(|| self.untyped(&record, depth));
        if field.is_some() && !is_typed {
            reading.note = reading.note.or(Some(Note::WireTypeDiffers));
        }
        Node {
            number: record.number,
            name: field.map(|field| field.name.clone()),
            basis: reading.basis,
            record: record.start..record.span.end,
            span: record.span,
            value: reading.value,
            note: reading.note,
        }
    }

    fn group(
        &mut self,
        record: &Record,
        cursor: &mut Cursor<'_>,
        field: Option<&FieldType>,
        depth: usize,
    ) -> Result<Node, TreeFault> {
        let type_name = field.and_then(|field| match &field.kind {
            Kind::Message(name) => Some(name.clone()),
            Kind::Plain(_) | Kind::Enum(_) => None,
        });
        let from = record.span.end;
        let (span, value, note) = if depth >= self.depth {
            let at = record.start;
            let unsound = |_| TreeFault::Unsound { at };
            let span = from..cursor.skip_group(record.number).map_err(unsound)?;
            let value = Value::Bytes(self.bytes(&span));
            (span, value, Some(Note::TooDeep))
        } else {
            let known = type_name
                .as_ref()
                .and_then(|name| self.descriptors.message(name));
            let known = known.map(|known| &**known);
            let read = self.fields(cursor, known, depth + 1, Some(record.number));
            let is_misfit = field.is_some() && type_name.is_none();
            let tree = Tree {
                type_name,
                fields: read.fields,
                fault: read.fault,
                is_text: false,
            };
            let note = is_misfit.then_some(Note::WireTypeDiffers);
            (from..read.end, Value::Group(tree), note)
        };
        Ok(Node {
            number: record.number,
            name: field.map(|field| field.name.clone()),
            basis: match (field, note) {
                (Some(_), None | Some(Note::TooDeep)) => Basis::Schema,
                _ => Basis::Wire,
            },
            record: record.start..cursor.at,
            span,
            value,
            note,
        })
    }

    /// By its descriptor; None when it is not encoded as that says.
    fn typed(&mut self, record: &Record, field: &FieldType, depth: usize) -> Option<Reading> {
        let mut note = None;
        let value = match (&field.kind, record.wire) {
            (Kind::Message(_), Wire::Bytes) if depth >= self.depth => {
                note = Some(Note::TooDeep);
                Value::Bytes(self.bytes(&record.span))
            }
            (Kind::Message(name), Wire::Bytes) => {
                Value::Message(self.tree(record.span.clone(), Some(name), depth + 1))
            }
            (Kind::Plain(Type::Bytes), Wire::Bytes) => Value::Bytes(self.bytes(&record.span)),
            (Kind::Plain(Type::String), Wire::Bytes) => match self.text(&record.span) {
                Some(text) => Value::Text(text.to_owned()),
                None => {
                    note = Some(Note::NotUtf8);
                    Value::Bytes(self.bytes(&record.span))
                }
            },
            (kind, Wire::Bytes) if field.is_repeated && kind.is_number() => {
                let (items, is_cut) = self.list(&record.span, kind);
                note = is_cut.then_some(Note::CutShort);
                Value::List(items)
            }
            (kind, wire) => self.number(kind, wire)?,
        };
        Some(Reading {
            basis: Basis::Schema,
            value,
            note,
        })
    }

    /// The items of a packed list, and whether there should be more.
    fn list(&mut self, span: &Range<usize>, kind: &Kind) -> (Vec<Item>, bool) {
        let mut cursor = Cursor::new(self.message, span.clone());
        let mut items = Vec::new();
        while !cursor.is_at_end() {
            let from = cursor.at;
            let wire = match kind {
                Kind::Plain(Type::Double | Type::Fixed64 | Type::Sfixed64) => {
                    cursor.array().map(u64::from_le_bytes).map(Wire::Fixed64)
                }
                Kind::Plain(Type::Float | Type::Fixed32 | Type::Sfixed32) => {
                    cursor.array().map(u32::from_le_bytes).map(Wire::Fixed32)
                }
                _ => cursor.varint().map(Wire::Varint),
            };
            let value = wire.ok().and_then(|wire| self.number(kind, wire));
            let Some(value) = value.filter(|_| self.nodes_left > 0) else {
                return (items, true);
            };
            self.nodes_left -= 1;
            let span = from..cursor.at;
            items.push(Item { span, value });
        }
        (items, false)
    }

    /// A number of this kind, where the wire type is that of the kind.
    fn number(&self, kind: &Kind, wire: Wire) -> Option<Value> {
        let plain = match (kind, wire) {
            (Kind::Plain(plain), _) => *plain,
            (Kind::Enum(name), Wire::Varint(number)) => {
                let number = number as i32;
                return Some(Value::Enum {
                    number,
                    name: self.descriptors.enum_value(name, number),
                });
            }
            _ => return None,
        };
        // Of 32-bit types the lower bits count, whatever was sent.
        Some(match (plain, wire) {
            (Type::Int32, Wire::Varint(number)) => Value::Int(i64::from(number as i32)),
            (Type::Int64, Wire::Varint(number)) => Value::Int(number as i64),
            (Type::Uint32, Wire::Varint(number)) => Value::Uint(u64::from(number as u32)),
            (Type::Uint64, Wire::Varint(number)) => Value::Uint(number),
            (Type::Sint32, Wire::Varint(number)) => Value::Int(zigzag(u64::from(number as u32))),
            (Type::Sint64, Wire::Varint(number)) => Value::Int(zigzag(number)),
            (Type::Bool, Wire::Varint(number)) => Value::Bool(number != 0),
            (Type::Fixed32, Wire::Fixed32(bits)) => Value::Uint(u64::from(bits)),
            (Type::Sfixed32, Wire::Fixed32(bits)) => Value::Int(i64::from(bits as i32)),
            (Type::Float, Wire::Fixed32(bits)) => Value::Float(f32::from_bits(bits)),
            (Type::Fixed64, Wire::Fixed64(bits)) => Value::Uint(bits),
            (Type::Sfixed64, Wire::Fixed64(bits)) => Value::Int(bits as i64),
            (Type::Double, Wire::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            _ => return None,
        })
    }

    fn untyped(&mut self, record: &Record, depth: usize) -> Reading {
        let value = match record.wire {
            Wire::Varint(number) => Value::Varint(number),
            Wire::Fixed64(bits) => Value::Fixed64(bits),
            Wire::Fixed32(bits) => Value::Fixed32(bits),
            Wire::Bytes | Wire::GroupStart | Wire::GroupEnd => {
                return self.guess(&record.span, depth);
            }
        };
        Reading {
            basis: Basis::Wire,
            value,
            note: None,
        }
    }

    /// What a payload looks like: text when it has no control characters, else a message when it
    /// is one throughout, else text when it has only those of lines and tabs, else bytes.
    fn guess(&mut self, span: &Range<usize>, depth: usize) -> Reading {
        let text = self.text(span);
        let is_plain = text.is_some_and(|text| !text.contains(char::is_control));
        let is_lines = text.is_some_and(are_lines);
        let is_message = Cursor::new(self.message, span.clone()).reads_as_message();
        let (basis, value) = match (is_plain, is_message, is_lines, text) {
            (true, is_message, _, Some(text)) => {
                (basis_of(is_message), Value::Text(text.to_owned()))
            }
            (_, true, _, _) if depth >= self.depth => {
                return Reading {
                    basis: Basis::Guess,
                    value: Value::Bytes(self.bytes(span)),
                    note: Some(Note::TooDeep),
                };
            }
            (_, true, is_lines, _) => {
                let tree = self.tree(span.clone(), None, depth + 1);
                (basis_of(is_lines), Value::Message(tree))
            }
            (_, false, true, Some(text)) => (Basis::Guess, Value::Text(text.to_owned())),
            _ => (Basis::Guess, Value::Bytes(self.bytes(span))),
        };
        Reading {
            basis,
            value,
            note: None,
        }
    }

    /// Reads what a `google.protobuf.Any` holds as what it says it is.
    fn open_any(&mut self, tree: &mut Tree, depth: usize) {
        let url = tree.fields.iter().rev().find_map(|node| match &node.value {
            Value::Text(url) if node.number == 1 => Some(url.clone()),
            _ => None,
        });
        let name = url.as_deref().and_then(|url| url.rsplit('/').next());
        let value = tree.fields.iter_mut().rfind(|node| node.number == 2);
        if let (Some(name), Some(node)) = (name, value)
            && matches!(node.value, Value::Bytes(_))
            && depth < self.depth
        {
            let is_known = self.descriptors.message(name).is_some();
            if is_known || Cursor::new(self.message, node.span.clone()).reads_as_message() {
                let inner = self.tree(node.span.clone(), Some(name), depth + 1);
                node.value = Value::Message(inner);
            }
        }
    }

    fn bytes(&self, span: &Range<usize>) -> Bytes {
        match span.end <= self.message.len() && span.start <= span.end {
            true => self.message.slice(span.clone()),
            false => Bytes::new(),
        }
    }

    fn text(&self, span: &Range<usize>) -> Option<&'a str> {
        std::str::from_utf8(self.message.get(span.clone())?).ok()
    }
}

fn basis_of(has_other_reading: bool) -> Basis {
    match has_other_reading {
        true => Basis::Ambiguous,
        false => Basis::Guess,
    }
}

fn are_lines(text: &str) -> bool {
    !text.contains(|letter: char| letter.is_control() && !"\t\r\n".contains(letter))
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
