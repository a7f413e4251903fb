//! One recorded request as a command line of curl.

use bytes::Bytes;
use twintap_archive::{Reader, StoredExchange};
use twintap_scrub::{BodyFate, Part, splice};
use twintap_stream::message::{Framing, MessageState, Protocol};
use twintap_stream::{Field, RequestHead};
use twintap_verdict::Twin;

use crate::fire::{Options, Target};
use crate::run::file::{RunFile, TlsSettings};
use crate::run::shell::quoted;

/// The largest body that a command line gets.
const MOST_BODY_BYTES: u64 = 8 << 10;

/// A command line, and what it can't say.
pub struct Curl {
    /// The command.
    pub line: String,
    /// What it leaves out of the request.
    pub left_out: Option<String>,
}

/// The request of an exchange, rewritten as the run does, for a service of the candidate.
/// `None` where it was not seen whole, or is no plain request.
pub fn curl(
    stored: &StoredExchange,
    reader: &Reader,
    file: &RunFile,
    options: &Options,
    service: u16,
) -> Option<Curl> {
    let exchange = stored.exchange();
    let request = &exchange.request;
    let speaks_http = matches!(exchange.protocol, Protocol::Http1 | Protocol::Http2);
    let is_whole = request.state == MessageState::Complete;
    let is_plain = speaks_http && is_whole && !exchange.is_conversation();
    let head = request.head.as_ref().filter(|_| is_plain)?;
    let twin = options.target(Twin::Candidate, service);
    let head = rewritten(head, options, twin);
    let mut words = vec!["curl".to_owned(), "-sS".to_owned()];
    let (body, left_out) = match body(stored, reader) {
        Body::None => (None, None),
        Body::Text(text) => (Some(text), None),
        Body::LeftOut(why) => (None, Some(why)),
    };
    let method = String::from_utf8_lossy(&head.method);
    match (&*method, &body) {
        ("GET", None) => words.push("-i".to_owned()),
        // curl would wait for a body otherwise.
        ("HEAD", None) => words.push("-I".to_owned()),
        _ => words.extend(["-i".to_owned(), "-X".to_owned(), quoted(&method)]),
    }
    words.extend(protocol_flags(exchange.protocol, twin));
    words.extend(tls_flags(tls_settings(file, service)));
    words.extend(address_flags(twin));
    words.extend(["--path-as-is".to_owned(), "--globoff".to_owned()]);
    let target = String::from_utf8_lossy(&head.target).into_owned();
    if !target.starts_with('/') {
        // An absolute target, or `*`: the URL says no more than where it goes.
        words.extend(["--request-target".to_owned(), quoted(&target)]);
    }
    for field in header_flags(&head.fields, body.is_some()) {
        words.extend(["-H".to_owned(), quoted(&field)]);
    }
    if let Some(body) = body {
        words.extend(["--data-raw".to_owned(), quoted(&body)]);
    }
    let path = if target.starts_with('/') {
        &*target
    } else {
        "/"
    };
    words.push(quoted(&format!("{}{path}", twin.origin())));
    Some(Curl {
        line: words.join(" "),
        left_out,
    })
}

/// The head as the run sends it, but for values of the twin's own.
fn rewritten(head: &RequestHead, options: &Options, twin: &Target) -> RequestHead {
    let edits = options.rewrite.edits(head, twin);
    let mut head = head.clone();
    // A rewriting makes one edit of a part at most.
    let splice = |value: &Bytes, part: Part| {
        let edit = edits.iter().find(|edit| edit.part == part);
        edit.map_or_else(
            || value.clone(),
            |edit| {
                splice(
                    value,
                    &[(edit.start as usize, edit.len as usize, &edit.value)],
                )
            },
        )
    };
    head.target = splice(&head.target, Part::Target);
    for (field, index) in head.fields.iter_mut().zip(0..) {
        field.value = splice(&field.value, Part::Field(index));
    }
    head
}

enum Body {
    None,
    Text(String),
    LeftOut(String),
}

fn body(stored: &StoredExchange, reader: &Reader) -> Body {
    let request = &stored.exchange().request;
    if matches!(stored.record.request.body, BodyFate::Dropped(_)) {
        return Body::LeftOut("the body, which the policy dropped".to_owned());
    }
    if request.framing == Framing::None || request.body_bytes == 0 {
        return Body::None;
    }
    let bytes = reader.read_body(&stored.request_body, MOST_BODY_BYTES);
    let text = bytes
        .ok()
        .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    match text.filter(|text| !text.contains('\0')) {
        Some(text) => Body::Text(text),
        None => Body::LeftOut(format!(
            "the body of {} bytes, which is no text or too long for a command line",
            request.body_bytes
        )),
    }
}

fn protocol_flags(protocol: Protocol, twin: &Target) -> Vec<String> {
    let flag = match (protocol, &twin.tls) {
        (Protocol::Http2, None) => "--http2-prior-knowledge",
        (Protocol::Http2, Some(_)) => "--http2",
        _ => "--http1.1",
    };
    vec![flag.to_owned()]
}

fn tls_settings(file: &RunFile, service: u16) -> Option<&TlsSettings> {
    let twin = &file.settings.targets.candidate;
    match usize::from(service).checked_sub(1) {
        None => twin.tls.as_ref(),
        Some(number) => twin.services.values().nth(number)?.tls.as_ref(),
    }
}

fn tls_flags(tls: Option<&TlsSettings>) -> Vec<String> {
    let Some(tls) = tls else {
        return Vec::new();
    };
    [
        ("--cacert", &tls.roots),
        ("--cert", &tls.certificate),
        ("--key", &tls.key),
    ]
    .into_iter()
    .filter_map(|(flag, file)| Some([flag.to_owned(), quoted(&file.as_ref()?.to_string_lossy())]))
    .flatten()
    .collect()
}

/// A name leads where the run found it to lead, not where it leads for everybody.
fn address_flags(twin: &Target) -> Vec<String> {
    let (name, address) = (&twin.authority, twin.address);
    if *name == address.to_string() {
        return Vec::new();
    }
    vec![
        "--connect-to".to_owned(),
        quoted(&format!("{name}:{address}")),
    ]
}

/// The recorded fields, and what keeps curl from adding others.
fn header_flags(fields: &[Field], has_body: bool) -> Vec<String> {
    let mut flags = Vec::new();
    for field in fields {
        let name = String::from_utf8_lossy(&field.name);
        let value = String::from_utf8_lossy(&field.value);
        let framing = ["content-length", "transfer-encoding"];
        if framing.iter().any(|framing| field.is(framing)) {
            continue;
        }
        if field.is(":authority") {
            flags.push(format!("Host: {value}"));
        } else if name.starts_with(':') {
            // The request line says it.
        } else if value.is_empty() {
            flags.push(format!("{name};"));
        } else {
            flags.push(format!("{name}: {value}"));
        }
    }
    for added in ["Accept", "User-Agent"] {
        if !fields
            .iter()
            .any(|field| field.is(&added.to_ascii_lowercase()))
        {
            flags.push(format!("{added}:"));
        }
    }
    if has_body && !fields.iter().any(|field| field.is("content-type")) {
        flags.push("Content-Type:".to_owned());
    }
    flags
}
