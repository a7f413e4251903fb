//! Policy and exchange to scrubbed exchange: the only maker of [`Scrubbed`].

pub mod leaf;
pub mod record;
pub mod scrubbed;

pub use leaf::{Action, Encoding, Leaf, LinkTag, Part};
pub use record::{BodyFate, ExchangeRecord, MessageNote, PolicyHash};
pub use scrubbed::Scrubbed;
