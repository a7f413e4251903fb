//! Heads: the start line, the fields, and the length that a new body has.

use bytes::Bytes;
use twintap_stream::message::Spelling;
use twintap_stream::{Field, RequestHead, ResponseHead};

use crate::body::BodyOutcome;
use crate::find::{Repeats, Search, field_part, head};
use crate::leaf::{Leaf, Part};
use crate::media::{Kind, Media};
use crate::names;
use crate::pseudonym::Lent;
use crate::record::BodyFate;
use crate::rewrite::{Means, Rewriter};

/// Scrubs a request's head, whose fields are `fields` by now.
pub(crate) fn request(
    means: Means<'_>,
    from: &RequestHead,
    fields: &[Field],
    leaves: &mut Vec<Leaf>,
) -> RequestHead {
    let mut parts = Parts::new(means, leaves);
    let target = parts.scrub(means, Part::Target, &from.target, |search| {
        search.visit.is_call = is_call(from);
        head::find_target(search);
    });
    RequestHead {
        method: sane(means, &from.method, |method| {
            // A method could be the name of a command too.
            is_method(method) || is_of_command(from) && is_command(method)
        }),
        target,
        version: sane(means, &from.version, is_version),
        fields: parts.fields(fields),
        line_spelling: line_spelling(means, &from.line_spelling),
        end: sane(means, &from.end, is_spacing),
    }
}

fn is_of_command(head: &RequestHead) -> bool {
    Media::of(&head.fields, &head.version).kind() == Some(Kind::Command)
}

/// True for a call of gRPC, whose path is `/`, the service's name, `/`, and the method's
/// (gRPC over HTTP/2, requests); names are those of Protocol Buffers.
fn is_call(head: &RequestHead) -> bool {
    let is_identifier = |name: &[u8]| {
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(is_letter)
    };
    let mut parts = head.target.split(|&byte| byte == b'/');
    let is_named = parts.next().is_some_and(<[u8]>::is_empty)
        && parts.next().is_some_and(|service| {
            let mut names = service.split(|&byte| byte == b'.');
            names.all(is_identifier)
        })
        && parts.next().is_some_and(is_identifier)
        && parts.next().is_none();
    is_named && Media::of(&head.fields, &head.version).kind() == Some(Kind::Grpc)
}

/// Scrubs a response's head, whose fields are `fields` by now.
pub(crate) fn response(
    means: Means<'_>,
    from: &ResponseHead,
    fields: &[Field],
    leaves: &mut Vec<Leaf>,
) -> ResponseHead {
    ResponseHead {
        version: sane(means, &from.version, is_version),
        status: from.status,
        reason: sane(means, &from.reason, is_reason),
        fields: Parts::new(means, leaves).fields(fields),
        line_spelling: line_spelling(means, &from.line_spelling),
        end: sane(means, &from.end, is_spacing),
    }
}

/// Scrubs trailers.
pub(crate) fn trailers(means: Means<'_>, from: &[Field], leaves: &mut Vec<Leaf>) -> Vec<Field> {
    Parts::new(means, leaves).fields(from)
}

/// The parts of one head.
struct Parts<'a> {
    means: Means<'a>,
    recent: Lent<'a>,
    repeats: Repeats,
    leaves: &'a mut Vec<Leaf>,
}

impl<'a> Parts<'a> {
    fn new(means: Means<'a>, leaves: &'a mut Vec<Leaf>) -> Parts<'a> {
        Parts {
            means,
            recent: means.pseudonyms.recent(),
            repeats: Repeats::default(),
            leaves,
        }
    }

    /// Scrubs one part: `find` goes through its values, which are added to the leaves.
    fn scrub(
        &mut self,
        means: Means<'_>,
        part: Part,
        src: &Bytes,
        find: impl FnOnce(&mut Search<'_, Rewriter<'_>>),
    ) -> Bytes {
        let mut rewriter = Rewriter::new(means, &mut self.recent, part, src, self.leaves);
        find(&mut Search {
            src,
            visit: &mut rewriter,
            repeats: &mut self.repeats,
        });
        // Only a body is ever dropped by rule.
        rewriter.finish(src).unwrap_or_default()
    }

    fn fields(&mut self, from: &[Field]) -> Vec<Field> {
        let fields = from.iter().enumerate();
        fields
            .map(|(index, field)| self.field(index, field))
            .collect()
    }

    fn field(&mut self, index: usize, field: &Field) -> Field {
        let means = self.means;
        let name = sane(means, &field.name, is_name);
        let means_of_value = match is_framing(field) {
            true => Means {
                view: None,
                ..means
            },
            false => means,
        };
        let part = field_part(index);
        let value = self.scrub(means_of_value, part, &field.value, |search| {
            head::find_value(search, &name);
        });
        let spelling = field.spelling.clone();
        Field {
            name,
            value,
            spelling: spelling.filter(|spelling| means.keeps_names() || is_sane_spelling(spelling)),
        }
    }
}

/// Makes a head's fields say what became of the body: its new length, and that
/// its content coding was undone.
pub(crate) fn mend(fields: &[Field], outcome: &BodyOutcome) -> Option<Vec<Field>> {
    let new_bytes = match (&outcome.fate, &outcome.rest) {
        (BodyFate::Scrubbed, Some(body)) => body.len(),
        _ => return None,
    };
    let is_decoded = outcome.undone.as_ref();
    let is_decoded = is_decoded.is_some_and(|codings| !codings.is_identity());
    // Of several lengths the first counts; one that contradicts it goes on doing so.
    let mut lengths = fields.iter().filter(|field| field.is("content-length"));
    let old = lengths.next().map(|field| field.value.clone());
    let mended = fields
        .iter()
        .filter(|field| !(is_decoded && field.is("content-encoding")))
        .map(|field| {
            let mut field = field.clone();
            let is_old = Some(&field.value) == old.as_ref();
            if field.is("content-length") && is_old && is_framing(&field) {
                field.value = Bytes::from(new_bytes.to_string());
            }
            field
        })
        .collect();
    Some(mended)
}

/// Fields that say how the message is to be read are kept by every policy, unless
/// they say something else.
fn is_framing(field: &Field) -> bool {
    let is_number =
        || (1..12).contains(&field.value.len()) && field.value.iter().all(u8::is_ascii_digit);
    let is_coding = |coding: &[u8]| {
        let known = [
            "chunked", "gzip", "x-gzip", "deflate", "compress", "identity",
        ];
        let coding = coding.trim_ascii();
        known
            .iter()
            .any(|known| coding.eq_ignore_ascii_case(known.as_bytes()))
    };
    let are_codings = || field.value.split(|&byte| byte == b',').all(is_coding);
    let is_of_websocket = || {
        (field.is("upgrade") && field.value.eq_ignore_ascii_case(b"websocket"))
            || (field.is("sec-websocket-version") && is_number())
            || (field.is("sec-websocket-extensions") && is_deflate(&field.value))
    };
    let is_scheme = || matches!(&field.value[..], b"http" | b"https");
    (field.is("content-length") && is_number())
        || (field.is("transfer-encoding") && are_codings())
        || (field.is(":scheme") && is_scheme())
        || is_of_websocket()
}

/// The compression of WebSockets with its parameters (RFC 7692, section 7.1), and nothing else.
fn is_deflate(value: &[u8]) -> bool {
    let known = [
        "permessage-deflate",
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    ];
    let is_known = |word: &[u8]| {
        let (name, bits) = match memchr::memchr(b'=', word) {
            Some(at) => (&word[..at], word[at + 1..].trim_ascii()),
            None => (word, &b"15"[..]),
        };
        let name = name.trim_ascii();
        known
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            && (1..=2).contains(&bits.len())
            && bits.iter().all(u8::is_ascii_digit)
    };
    value
        .split(|byte| matches!(byte, b',' | b';'))
        .map(<[u8]>::trim_ascii)
        .all(is_known)
}

/// The bytes, if they are what belongs in their place; else their pseudonym.
fn sane(means: Means<'_>, bytes: &Bytes, is_sane: impl Fn(&[u8]) -> bool) -> Bytes {
    if means.keeps_names() || is_sane(bytes) {
        bytes.clone()
    } else {
        means.pseudonyms.of(bytes).into()
    }
}

fn is_method(method: &[u8]) -> bool {
    (1..=20).contains(&method.len())
        && method
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || b"-_".contains(byte))
}

/// The name of a database's command: words, and numbers of few digits.
fn is_command(name: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=32).contains(&name.len())
        && name.iter().all(is_word)
        && !name
            .split(|byte| !byte.is_ascii_alphanumeric())
            .any(names::is_opaque)
}

fn is_version(version: &[u8]) -> bool {
    version.is_empty()
        || version.strip_prefix(b"HTTP/").is_some_and(|number| {
            number.len() <= 3
                && number
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        })
}

fn is_name(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(names::is_structural)
}

fn is_spacing(bytes: &[u8]) -> bool {
    bytes.len() <= 64 && bytes.iter().all(|byte| b" \t\r\n\x0b\x0c".contains(byte))
}

fn is_sane_spelling(spelling: &Spelling) -> bool {
    let before = &spelling.before_value;
    let colon = before.iter().filter(|&&byte| byte == b':').count();
    let spaces: Vec<u8> = before
        .iter()
        .copied()
        .filter(|&byte| byte != b':')
        .collect();
    colon <= 1 && is_spacing(&spaces) && is_spacing(&spelling.after_value)
}

fn line_spelling(means: Means<'_>, from: &Option<Box<[Bytes; 3]>>) -> Option<Box<[Bytes; 3]>> {
    from.clone()
        .filter(|spelling| means.keeps_names() || spelling.iter().all(|bytes| is_spacing(bytes)))
}

/// The phrases that are registered for statuses, and a few that servers made
/// common; any other may quote a value.
fn is_reason(reason: &[u8]) -> bool {
    const PHRASES: &[&str] = &[
        "",
        "Accepted",
        "Already Reported",
        "Bad Gateway",
        "Bad Request",
        "Conflict",
        "Content Too Large",
        "Continue",
        "Created",
        "Early Hints",
        "Expectation Failed",
        "Failed Dependency",
        "Forbidden",
        "Found",
        "Gateway Time-out",
        "Gateway Timeout",
        "Gone",
        "HTTP Version Not Supported",
        "I'm a teapot",
        "IM Used",
        "Insufficient Storage",
        "Internal Server Error",
        "Length Required",
        "Locked",
        "Loop Detected",
        "Method Not Allowed",
        "Misdirected Request",
        "Moved Permanently",
        "Moved Temporarily",
        "Multi-Status",
        "Multiple Choices",
        "Network Authentication Required",
        "No Content",
        "Non-Authoritative Information",
        "Not Acceptable",
        "Not Extended",
        "Not Found",
        "Not Implemented",
        "Not Modified",
        "OK",
        "Ok",
        "Partial Content",
        "Payload Too Large",
        "Payment Required",
        "Permanent Redirect",
        "Precondition Failed",
        "Precondition Required",
        "Processing",
        "Proxy Authentication Required",
        "Range Not Satisfiable",
        "Request Entity Too Large",
        "Request Header Fields Too Large",
        "Request Time-out",
        "Request Timeout",
        "Request-URI Too Long",
        "Requested Range Not Satisfiable",
        "Reset Content",
        "See Other",
        "Service Unavailable",
        "Switching Protocols",
        "Temporary Redirect",
        "Too Early",
        "Too Many Requests",
        "URI Too Long",
        "Unauthorized",
        "Unavailable For Legal Reasons",
        "Unprocessable Content",
        "Unprocessable Entity",
        "Unsupported Media Type",
        "Upgrade Required",
        "Use Proxy",
        "Variant Also Negotiates",
    ];
    PHRASES.iter().any(|phrase| phrase.as_bytes() == reason)
}
