//! What is known of services and their types.
//!
//! Types refer to each other by full name and are looked up when a message is read, so that files
//! can come in any order, and a file whose imports never come is still of use.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};
use thiserror::Error;

use super::cursor::{Cursor, Wire};
use super::tree::{Tree, TreeLimits};
use super::walk::Walk;
use crate::segment::Direction;

/// Why bytes are no descriptors.
#[derive(Debug, Error)]
pub enum DescriptorError {
    /// They are no `FileDescriptorSet`, or no `FileDescriptorProto`.
    #[error("not a descriptor: {0}")]
    Unsound(#[from] prost::DecodeError),
    /// There would be more than [`Descriptors::MOST_BYTES`].
    #[error("more than {} bytes of descriptors", Descriptors::MOST_BYTES)]
    TooMany,
}

/// A method of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The full name of the type of requests.
    pub input: Arc<str>,
    /// The full name of the type of responses.
    pub output: Arc<str>,
    /// Whether the client may send several messages.
    pub is_client_streaming: bool,
    /// Whether the server may send several messages.
    pub is_server_streaming: bool,
}

/// Descriptors of messages, enums and services, by full name. Of two of one name that which came
/// last counts.
#[derive(Clone, Debug, Default)]
pub struct Descriptors {
    messages: HashMap<Arc<str>, Arc<MessageType>>,
    /// Fields that other files add to a message.
    extensions: HashMap<Arc<str>, HashMap<u32, FieldType>>,
    enums: HashMap<Arc<str>, HashMap<i32, Arc<str>>>,
    /// By `package.Service/Method`.
    methods: HashMap<String, Method>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct MessageType {
    pub name: Arc<str>,
    fields: HashMap<u32, FieldType>,
}

#[derive(Clone, Debug)]
pub(super) struct FieldType {
    pub name: Arc<str>,
    pub kind: Kind,
    pub is_repeated: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A number, bool, string or bytes.
    Plain(Type),
    Enum(Arc<str>),
    /// A message or group.
    Message(Arc<str>),
}

/// True for the path of a call of server reflection.
pub fn is_reflection(path: &[u8]) -> bool {
    matches!(
        method_of(path),
        Some(
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
                | "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )
    )
}

/// Service and method: the last two parts of a path, without a query.
fn method_of(path: &[u8]) -> Option<&str> {
    let path = std::str::from_utf8(path).ok()?;
    let path = path.split(['?', '#']).next()?;
    let method = path.rfind('/')?;
    let service = path.get(..method)?.rfind('/')?;
    path.get(service + 1..)
}

impl Descriptors {
    /// How many bytes of descriptors are taken.
    pub const MOST_BYTES: usize = 64 << 20;

    /// No descriptors: all is read by field numbers.
    pub fn new() -> Descriptors {
        Descriptors::default()
    }

    /// Takes an encoded `FileDescriptorSet`, as `protoc --descriptor_set_out` writes it.
    ///
    /// # Errors
    /// [`DescriptorError::Unsound`], [`DescriptorError::TooMany`].
    pub fn add_set(&mut self, set: &[u8]) -> Result<(), DescriptorError> {
        let files = FileDescriptorSet::decode(set)?.file;
        self.make_room(set.len())?;
        files.iter().for_each(|file| self.file(file));
        Ok(())
    }

    /// Takes an encoded `FileDescriptorProto`.
    ///
    /// # Errors
    /// [`DescriptorError::Unsound`], [`DescriptorError::TooMany`].
    pub fn add_file(&mut self, file: &[u8]) -> Result<(), DescriptorError> {
        let decoded = FileDescriptorProto::decode(file)?;
        self.make_room(file.len())?;
        self.file(&decoded);
        Ok(())
    }

    /// Learns from a message that a server sent in answer to server reflection; gives how many
    /// files there were in it. Other paths' messages teach nothing.
    pub fn learn(&mut self, path: &[u8], message: &[u8]) -> usize {
        if !is_reflection(path) {
            return 0;
        }
        // ServerReflectionResponse.file_descriptor_response.file_descriptor_proto, which is the
        // same in both versions.
        let answers = payloads(message, 0..message.len(), 4);
        let files = answers
            .into_iter()
            .flat_map(|span| payloads(message, span, 1));
        files
            .filter(|span| {
                let file = message.get(span.clone()).unwrap_or_default();
                self.add_file(file).is_ok()
            })
            .count()
    }

    /// The method that a request path names: `/package.Service/Method`, with or without something
    /// before it.
    pub fn method(&self, path: &[u8]) -> Option<&Method> {
        self.methods.get(method_of(path)?)
    }

    /// Reads a message of the call with this path, sent by the client or the server.
    pub fn read(
        &self,
        path: &[u8],
        direction: Direction,
        message: &Bytes,
        limits: TreeLimits,
    ) -> Tree {
        let type_name = self.method(path).map(|method| match direction {
            Direction::Client => &*method.input,
            Direction::Server => &*method.output,
        });
        self.read_as(type_name, message, limits)
    }

    /// Reads a message of this type. What no descriptor tells is guessed.
    pub fn read_as(&self, type_name: Option<&str>, message: &Bytes, limits: TreeLimits) -> Tree {
        Walk::new(self, message, limits).message(type_name)
    }

    pub(super) fn message(&self, name: &str) -> Option<&Arc<MessageType>> {
        self.messages.get(name)
    }

    pub(super) fn field<'a>(&'a self, of: &'a MessageType, number: u32) -> Option<&'a FieldType> {
        let own = of.fields.get(&number);
        own.or_else(|| self.extensions.get(&of.name)?.get(&number))
    }

    pub(super) fn enum_value(&self, name: &str, number: i32) -> Option<Arc<str>> {
        self.enums.get(name)?.get(&number).cloned()
    }

    fn make_room(&mut self, bytes: usize) -> Result<(), DescriptorError> {
        let bytes = self.bytes.saturating_add(bytes);
        if bytes > Descriptors::MOST_BYTES {
            return Err(DescriptorError::TooMany);
        }
        self.bytes = bytes;
        Ok(())
    }

    fn file(&mut self, file: &FileDescriptorProto) {
        let package = file.package();
        for message in &file.message_type {
            self.message_type(package, message);
        }
        for descriptor in &file.enum_type {
            self.enum_type(package, descriptor);
        }
        self.extend(package, &file.extension);
        for service in &file.service {
            for method in &service.method {
                let path = format!("{}/{}", full_name(package, service.name()), method.name());
                let method = Method {
                    input: absolute(method.input_type()),
                    output: absolute(method.output_type()),
                    is_client_streaming: method.client_streaming(),
                    is_server_streaming: method.server_streaming(),
                };
                self.methods.insert(path, method);
            }
        }
    }

    fn message_type(&mut self, scope: &str, descriptor: &DescriptorProto) {
        let name: Arc<str> = full_name(scope, descriptor.name()).into();
        let fields = descriptor.field.iter().filter_map(|field| {
            let number = u32::try_from(field.number()).ok()?;
            Some((number, field_type(field, field.name())?))
        });
        let message = MessageType {
            name: Arc::clone(&name),
            fields: fields.collect(),
        };
        self.messages.insert(Arc::clone(&name), Arc::new(message));
        for nested in &descriptor.nested_type {
            self.message_type(&name, nested);
        }
        for nested in &descriptor.enum_type {
            self.enum_type(&name, nested);
        }
        self.extend(&name, &descriptor.extension);
    }

    fn enum_type(&mut self, scope: &str, descriptor: &EnumDescriptorProto) {
        let mut names = HashMap::new();
        for value in &descriptor.value {
            // Of several names for one number the first is the one that is written.
            names
                .entry(value.number())
                .or_insert_with(|| value.name().into());
        }
        let name = full_name(scope, descriptor.name());
        self.enums.insert(name.into(), names);
    }

    fn extend(&mut self, scope: &str, fields: &[FieldDescriptorProto]) {
        for field in fields {
            let name = format!("[{}]", full_name(scope, field.name()));
            if let Ok(number) = u32::try_from(field.number())
                && let Some(extension) = field_type(field, &name)
            {
                let of = self.extensions.entry(absolute(field.extendee()));
                of.or_default().insert(number, extension);
            }
        }
    }
}

impl Kind {
    /// True for what can be packed into a list.
    pub fn is_number(&self) -> bool {
        match self {
            Kind::Enum(_) => true,
            Kind::Message(_) => false,
            Kind::Plain(plain) => !matches!(plain, Type::String | Type::Bytes),
        }
    }
}

fn field_type(field: &FieldDescriptorProto, name: &str) -> Option<FieldType> {
    let kind = match Type::try_from(field.r#type?).ok()? {
        Type::Enum => Kind::Enum(absolute(field.type_name())),
        Type::Message | Type::Group => Kind::Message(absolute(field.type_name())),
        plain => Kind::Plain(plain),
    };
    Some(FieldType {
        name: name.into(),
        kind,
        is_repeated: field.label() == Label::Repeated,
    })
}

/// Compilers write references in full, with a leading dot.
fn absolute(reference: &str) -> Arc<str> {
    reference.strip_prefix('.').unwrap_or(reference).into()
}

fn full_name(scope: &str, name: &str) -> String {
    match scope {
        "" => name.to_owned(),
        _ => format!("{scope}.{name}"),
    }
}

/// Where the payloads of the field `number` are, as far as the message is sound.
fn payloads(
    message: &[u8],
    span: std::ops::Range<usize>,
    number: u32,
) -> Vec<std::ops::Range<usize>> {
    let mut cursor = Cursor::new(message, span);
    let mut found = Vec::new();
    while let Ok(Some(record)) = cursor.record() {
        if record.number == number && record.wire == Wire::Bytes {
            found.push(record.span);
        }
    }
    found
}
