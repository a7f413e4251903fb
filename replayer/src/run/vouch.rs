//! Parts of what the archive holds, as scrubbed as the whole.
//!
//! What the archive gives back went through the policy before it was stored, and
//! reading back is what [`Scrubbed`]'s `Deserialize` is for. Nothing that comes
//! from a twin may take this way.

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{BytesDeserializer, Error};
use twintap_scrub::Scrubbed;

/// A head, or another part, of an archived exchange.
pub fn stored_part<T: Serialize + DeserializeOwned>(part: &T) -> Scrubbed<T> {
    let mut written = Vec::with_capacity(1024);
    ciborium::into_writer(part, &mut written).expect("memory takes what can be serialized");
    ciborium::from_reader(&written[..]).expect("what was written can be read")
}

/// Bytes of an archived body.
pub fn stored_bytes(bytes: &Bytes) -> Scrubbed<Bytes> {
    let reader: BytesDeserializer<'_, Error> = BytesDeserializer::new(bytes);
    Scrubbed::deserialize(reader).expect("bytes are bytes")
}
