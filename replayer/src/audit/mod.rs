//! The audit log (docs/audit.md): who did what, in lines that are chained and signed.

mod actor;
mod event;
mod head;
mod line;
mod log;
mod signer;
mod tail;
#[cfg(test)]
mod tests;
mod trail;
mod verify;

pub use actor::Actor;
pub use event::{ACTIONS, Data, Event, Order, path};
pub use line::{Entry, LineFault};
pub use log::{Log, Place};
pub use signer::PublicKey;
pub use trail::Trail;
pub use verify::{Expected, Fault, Note, Verified, verify};
