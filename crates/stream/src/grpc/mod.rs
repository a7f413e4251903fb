//! Reads what gRPC and gRPC-Web carry: the messages of a stored body, the status, and the
//! fields of protobuf messages, by their descriptors where those are known and by guess where not.
//!
//! [`messages`] splits and inflates a body, [`Status::of`] reads how the call ended, and
//! [`Descriptors::read`] makes a [`Tree`] of a message, into which [`Tree::splice`] puts other values.
//! Descriptors come from a descriptor set, or
//! from the server reflection that was captured ([`Descriptors::learn`]).

mod body;
mod cursor;
mod descriptors;
mod splice;
mod status;
mod tree;
mod walk;

pub use self::body::{BodyForm, Message, Messages, messages};
pub use self::descriptors::{DescriptorError, Descriptors, Method, is_reflection};
pub use self::splice::varint;
pub use self::status::{Status, code_name, web_trailers};
pub use self::tree::{Basis, Item, Leaf, Node, Note, Tree, TreeFault, TreeLimits, Value};
