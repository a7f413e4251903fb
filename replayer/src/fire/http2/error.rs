//! What a twin does that no HTTP/2 server may.

use thiserror::Error;
use twintap_stream::hpack::BlockError;

/// Why a connection can't go on (RFC 9113, section 5.4.1): an outcome of its requests.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Violation {
    /// HTTP/1 came instead of frames.
    #[error("an answer in HTTP/1 where HTTP/2 was recorded")]
    Http1,
    /// The first frame is another than SETTINGS (section 3.4).
    #[error("no SETTINGS at the begin")]
    NoSettings,
    /// A frame is larger than was allowed (section 4.2).
    #[error("a frame of more than 16384 bytes")]
    FrameSize,
    /// A frame breaks the rules of its kind; the text names it.
    #[error("a faulty {0} frame")]
    Frame(&'static str),
    /// A frame is about a stream that was never opened.
    #[error("a {0} frame of a stream that was never opened")]
    IdleStream(&'static str),
    /// Something comes between the parts of a header block (section 6.10).
    #[error("a header block that another frame interrupts")]
    Interrupted,
    /// A header block can't be decoded, or is larger than may be held.
    #[error("{0}")]
    Block(#[from] BlockError),
    /// More came than the windows allowed (section 6.9.1).
    #[error("more DATA than the window allows")]
    Window,
    /// It makes more work than it takes answers to.
    #[error("more SETTINGS or PING frames than answers to them are taken")]
    Flood,
    /// A stream is pushed although that was refused (section 8.4).
    #[error("a PUSH_PROMISE frame, which the settings forbid")]
    Push,
}

/// Why one answer is none (RFC 9113, section 8.1.1).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// No `:status`, several, or one that is no number of three digits.
    #[error("an answer without a status")]
    Status,
    /// 101 does not exist in HTTP/2 (section 8.6).
    #[error("status 101, which HTTP/2 has not")]
    Switching,
    /// A field's name is empty, in upper case, or not known for where it stands.
    #[error("a header field that HTTP/2 forbids")]
    Field,
    /// An interim response that ends the stream.
    #[error("an interim response that ends the stream")]
    Interim,
    /// A second head that is no trailers.
    #[error("a header block within the body")]
    Trailers,
    /// A body before the head.
    #[error("a body before its head")]
    Body,
    /// The body is longer or shorter than Content-Length says.
    #[error("a body of another length than Content-Length")]
    Length,
}
