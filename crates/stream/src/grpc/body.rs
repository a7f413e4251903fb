//! A whole body as its messages.

use bytes::Bytes;

use crate::content::{Codings, DecodeLimits, Decoded, Fault, decode};
use crate::message::{Field, field_values};
use crate::parts::base64::Base64;

const HEAD_BYTES: usize = 5;
const COMPRESSED: u8 = 0x01;
const TRAILERS: u8 = 0x80;

/// How messages are framed, by the media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// `application/grpc`: a byte of flags, four bytes of length, the message.
    Grpc,
    /// `application/grpc-web`: the same, and trailers in a frame of their own.
    Web,
    /// `application/grpc-web-text`: the same, and all of it written in base64.
    WebText,
}

impl BodyForm {
    /// What the `Content-Type` of a head says; None when it is not gRPC's, or says two things.
    pub fn of(fields: &[Field]) -> Option<BodyForm> {
        let mut forms = field_values(fields, "content-type").map(|value| BodyForm::named(value));
        let form = forms.next()?;
        form.filter(|_| forms.all(|other| other == form))
    }

    fn named(media_type: &[u8]) -> Option<BodyForm> {
        let essence = media_type.split(|byte| *byte == b';').next()?;
        let name = essence.split(|byte| *byte == b'+').next()?;
        match &name.trim_ascii().to_ascii_lowercase()[..] {
            b"application/grpc" => Some(BodyForm::Grpc),
            b"application/grpc-web" => Some(BodyForm::Web),
            b"application/grpc-web-text" => Some(BodyForm::WebText),
            _ => None,
        }
    }

    /// Whether a frame's first byte may be this one.
    pub(crate) fn allows(self, flags: u8) -> bool {
        let known = match self {
            BodyForm::Grpc => COMPRESSED,
            BodyForm::Web | BodyForm::WebText => COMPRESSED | TRAILERS,
        };
        flags & !known == 0
    }
}

/// One frame of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where its payload begins in the body (for [`BodyForm::WebText`] in the decoded body).
    pub offset: usize,
    /// True for the trailers of gRPC-Web; [`web_trailers`](super::web_trailers) reads them.
    pub is_trailers: bool,
    /// Whether it was sent compressed.
    pub is_compressed: bool,
    /// Whether all of it is here.
    pub is_complete: bool,
    /// Its payload as it was sent.
    pub payload: Bytes,
    /// Its payload, inflated as `grpc-encoding` says where it was compressed.
    pub decoded: Decoded,
}

/// The messages of a body whose head has these fields; None when it is no body of gRPC.
///
/// Where bytes of the body are missing, the messages after that place are not to be trusted: see
/// the [`Part`](crate::Part)s, which know.
pub fn messages(fields: &[Field], body: &Bytes, limits: DecodeLimits) -> Option<Messages> {
    let form = BodyForm::of(fields)?;
    let rest = match form {
        BodyForm::WebText => from_base64(body),
        BodyForm::Grpc | BodyForm::Web => body.clone(),
    };
    let names = field_values(fields, "grpc-encoding").map(|value| &value[..]);
    Some(Messages {
        form,
        codings: Codings::named(names),
        limits,
        offset: 0,
        rest,
    })
}

/// The messages of a body, in order. They end where the framing is not followed any more.
#[derive(Clone, Debug)]
pub struct Messages {
    form: BodyForm,
    codings: Result<Codings, Fault>,
    limits: DecodeLimits,
    offset: usize,
    rest: Bytes,
}

impl Messages {
    /// What is left of the body: bytes that are no frame, once there is no next message.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    fn decoded(&self, payload: &Bytes, is_compressed: bool) -> Decoded {
        let as_sent = |fault| Decoded {
            bytes: payload.clone(),
            fault,
        };
        if !is_compressed {
            return as_sent(None);
        }
        match &self.codings {
            Ok(codings) if codings.is_identity() => as_sent(Some(Fault::Unknown {
                name: "identity".to_owned(),
            })),
            Ok(codings) => decode(payload, codings, self.limits),
            Err(fault) => as_sent(Some(fault.clone())),
        }
    }
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let (&[flags, ref length @ ..], _) = self.rest.split_first_chunk::<HEAD_BYTES>()?;
        if !self.form.allows(flags) {
            return None;
        }
        let length = u32::from_be_bytes(*length) as usize;
        drop(self.rest.split_to(HEAD_BYTES));
        let payload = self.rest.split_to(length.min(self.rest.len()));
        let offset = self.offset + HEAD_BYTES;
        self.offset = offset + payload.len();
        let is_complete = payload.len() == length;
        let is_compressed = flags & COMPRESSED != 0;
        Some(Message {
            offset,
            is_trailers: flags & TRAILERS != 0,
            is_compressed,
            is_complete,
            decoded: self.decoded(&payload, is_compressed),
            payload,
        })
    }
}

/// What the body decodes to, up to the first byte that is no base64.
fn from_base64(body: &[u8]) -> Bytes {
    let mut decoded = Vec::with_capacity(body.len() / 4 * 3);
    Base64::default().decode(body, |bytes| decoded.extend_from_slice(bytes));
    Bytes::from(decoded)
}
