//! A recorded request to the bytes that go out.
//!
//! The bytes are those that were recorded: order, case and spelling of the
//! head, the framing of the body. Only what an edit replaces changes, and of the
//! framing only a Content-Length that no longer fits.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use thiserror::Error;
use twintap_plan::SkipReason;
use twintap_scrub::{Mark, Part, Piece as MarkedPiece, Timeline};
use twintap_stream::message::Framing;
use twintap_stream::{Field, RequestHead};

use super::command::{Command, is_command};
use super::link::tls::Speech;
use super::websocket::Script;

/// A request as the archive has it, ready to be sent.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The head.
    pub head: RequestHead,
    /// How the body was framed.
    pub framing: Framing,
    /// The body, after transfer decoding.
    pub body: Bytes,
    /// The body's pieces as they were framed, where the archive knows them:
    /// their lengths add up to the body's. Empty: one piece.
    pub chunks: Vec<u32>,
    /// When the body's pieces were sent: they go out at these times after the
    /// request's first byte. Empty: all at once.
    pub timeline: Timeline,
    /// Of a WebSocket what its client said, which is the body in its messages.
    pub script: Option<Arc<Script>>,
    /// Trailer fields of a chunked body.
    pub trailers: Vec<Field>,
    /// Fields of the head that do not go out, by their place.
    pub omitted: Vec<u32>,
    /// What is to be changed whatever the twin answers.
    pub edits: Vec<Edit>,
}

impl Recorded {
    /// Makes the body's pieces go out as `bodies` says, `speed` times as fast.
    pub fn pace(&mut self, bodies: BodyPace, speed: f64) {
        let is_stream = |mark: &Mark| mark.piece == MarkedPiece::Message;
        let keeps = match bodies {
            BodyPace::AtOnce => false,
            BodyPace::Streams => self.timeline.marks.iter().all(is_stream),
            BodyPace::Recorded => true,
        };
        if !keeps {
            self.timeline = Timeline::default();
        }
        for mark in &mut self.timeline.marks {
            mark.after_ns = (mark.after_ns as f64 / speed) as u64;
        }
    }

    /// Bytes that it takes in memory, about.
    pub fn held_bytes(&self) -> usize {
        let field = |field: &Field| field.name.len() + field.value.len() + 64;
        let script = self.script.as_ref().map_or(0, |script| script.held_bytes());
        let pieces = script + self.chunks.len() * 4 + self.timeline.marks.len() * size_of::<Mark>();
        self.head.target.len()
            + self.body.len()
            + pieces
            + self.head.fields.iter().map(field).sum::<usize>()
    }
}

/// Which bodies are sent with their recorded pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyPace {
    /// Those of several gRPC messages.
    #[default]
    Streams,
    /// All.
    Recorded,
    /// None.
    AtOnce,
}

/// Bytes that take the place of a span of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The part.
    pub part: Part,
    /// First byte of the span.
    pub start: u32,
    /// Bytes of the span.
    pub len: u32,
    /// What goes there, encoded as that place needs.
    pub value: Bytes,
}

impl Edit {
    fn end(&self) -> u64 {
        u64::from(self.start) + u64::from(self.len)
    }

    /// True when both want some byte, or the same empty place, of one part.
    pub fn meets(&self, other: &Edit) -> bool {
        self.part == other.part
            && (self.start == other.start
                || (u64::from(self.start) < other.end() && u64::from(other.start) < self.end()))
    }
}

/// Why a request can't be written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// An edit lies outside its part, or two want the same bytes: the plan was
    /// made from another archive.
    #[error("a value's place does not fit the recorded request")]
    Edit,
    /// A value is none of its gRPC field's: no number where one stands, or no message
    /// where a whole one does.
    #[error("a value that its gRPC message can't have")]
    Message,
    /// The body of a command to a database is not the document of one.
    #[error("a command's document that is none")]
    Command,
    /// No run repeats the statement of a command.
    #[error("a statement that is not fired")]
    Unrepeated(SkipReason),
}

/// Bytes that are written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The bytes.
    pub bytes: Bytes,
    /// Nanoseconds after the request's first byte at which they are due; 0: as soon
    /// as what is before them is written.
    pub after_ns: u64,
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Piece {
        Piece { bytes, after_ns: 0 }
    }
}

/// Pieces that are written one after another.
pub type Pieces = SmallVec<[Piece; 3]>;

/// A request as its protocol sends it.
#[derive(Clone, Debug)]
pub enum Wire {
    /// Bytes. The first piece is due at once.
    Http1(Pieces),
    /// Sections, which the connection makes frames of.
    Http2(Arc<Sections>),
    /// A command, which its connection writes as its database needs.
    Command(Arc<Command>),
}

impl Wire {
    /// The bytes of HTTP/1, the body of HTTP/2, or the document of a command, in one piece.
    pub fn concat(&self) -> Vec<u8> {
        if let Wire::Command(command) = self {
            return command.document.to_vec();
        }
        let mut all = Vec::new();
        for piece in self.pieces() {
            all.extend_from_slice(&piece.bytes);
        }
        all
    }

    /// How long after its first byte the last piece is due, in nanoseconds.
    pub fn span_ns(&self) -> u64 {
        let times = self.pieces().iter().map(|piece| piece.after_ns);
        times.max().unwrap_or(0)
    }

    fn pieces(&self) -> &[Piece] {
        match self {
            Wire::Http1(pieces) => pieces,
            Wire::Http2(sections) => &sections.body,
            Wire::Command(_) => &[],
        }
    }
}

/// A request of HTTP/2 (RFC 9113, section 8.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// The header fields in their order, the pseudo-header fields among them.
    pub fields: Vec<Field>,
    /// The body; a piece is sent in one frame, if windows and limits let it.
    pub body: Pieces,
    /// The trailer fields.
    pub trailers: Vec<Field>,
    /// The stream ends with DATA, though perhaps with an empty one.
    pub is_framed: bool,
}

impl Sections {
    /// True when nothing follows the head.
    pub fn ends_with_head(&self) -> bool {
        !self.is_framed && self.body.is_empty() && self.trailers.is_empty()
    }

    /// True when the answer has no body whatever it says (RFC 9110, section 9.3.2).
    pub fn is_head_request(&self) -> bool {
        let mut fields = self.fields.iter();
        fields.any(|field| field.name == ":method" && field.value == "HEAD")
    }
}

/// Writes `recorded` with `edits`, in any order.
pub fn assemble(recorded: &Recorded, edits: &[Edit]) -> Result<Wire, WireError> {
    let body = splice(&recorded.body, Part::Body, edits)?;
    if is_command(&recorded.head) {
        return Ok(Wire::Command(Arc::new(Command::of(&recorded.head, body)?)));
    }
    let said = match recorded.framing {
        Framing::Length | Framing::Frames => said_length(&recorded.head),
        _ => None,
    };
    let wrong_length = said.filter(|&said| said != body.len());
    let is_edited = wrong_length.is_some() || !recorded.omitted.is_empty();
    let edited;
    let head = if is_edited || edits.iter().any(|edit| edit.part != Part::Body) {
        let lengths = wrong_length.map(|said| (said, body.len()));
        edited = edit_head(recorded, edits, lengths)?;
        &edited
    } else {
        &recorded.head
    };
    if speech_of(head) == Speech::Http2 {
        let body = timed_pieces(recorded, edits, body);
        return Ok(Wire::Http2(Arc::new(sections(recorded, head, body))));
    }
    let mut pieces = Pieces::new();
    pieces.push(head.to_wire().into());
    match recorded.framing {
        Framing::Chunked if recorded.timeline.is_empty() => {
            pieces.push(chunks(recorded, body).into());
            pieces.push(end_of_chunks(recorded).into());
        }
        Framing::Chunked => {
            let timed = timed_pieces(recorded, edits, body);
            pieces.extend(timed.into_iter().map(|piece| Piece {
                bytes: chunk(&piece.bytes),
                ..piece
            }));
            pieces.push(end_of_chunks(recorded).into());
        }
        // What follows is said message by message.
        Framing::Socket => {}
        _ => pieces.extend(timed_pieces(recorded, edits, body)),
    }
    Ok(Wire::Http1(pieces))
}

/// The protocol that a request was recorded with.
pub(crate) fn speech_of(head: &RequestHead) -> Speech {
    match &head.version[..] {
        b"HTTP/2" => Speech::Http2,
        _ => Speech::Http1,
    }
}

/// The fields that a head of HTTP/2 was made of. Of `:method` and `:path` the record
/// has no place: the one goes first, the other before the first field that is none of
/// these, as most clients do.
fn sections(recorded: &Recorded, head: &RequestHead, body: Pieces) -> Sections {
    let is_pseudo = |field: &&Field| field.name.starts_with(b":");
    let pseudo = head.fields.iter().take_while(is_pseudo).count();
    let mut fields = Vec::with_capacity(head.fields.len() + 2);
    fields.push(Field::new(":method", head.method.clone()));
    fields.extend_from_slice(&head.fields[..pseudo]);
    if !head.target.is_empty() {
        fields.push(Field::new(":path", head.target.clone()));
    }
    fields.extend_from_slice(&head.fields[pseudo..]);
    Sections {
        fields,
        body,
        trailers: recorded.trailers.clone(),
        is_framed: recorded.framing == Framing::Frames,
    }
}

/// The body's length as the head says it: of several lengths the first counts.
fn said_length(head: &RequestHead) -> Option<usize> {
    let mut lengths = head
        .fields
        .iter()
        .filter(|field| field.is("content-length"));
    length(lengths.next()?.value.split(|&byte| byte == b',').next()?)
}

/// A length as it may be written (RFC 9110, section 8.6).
fn length(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Writes the new length wherever the old one stands; another one that contradicts it
/// goes on doing so.
fn mend_lengths(head: &mut RequestHead, old: usize, new: usize) {
    let fields = head.fields.iter_mut();
    for field in fields.filter(|field| field.is("content-length")) {
        let parts = field.value.split(|&byte| byte == b',');
        let parts: Vec<Vec<u8>> = parts
            .map(|part| match length(part) == Some(old) {
                true => new.to_string().into_bytes(),
                false => part.to_vec(),
            })
            .collect();
        field.value = Bytes::from(parts.join(&b','));
    }
}

fn edit_head(
    recorded: &Recorded,
    edits: &[Edit],
    lengths: Option<(usize, usize)>,
) -> Result<RequestHead, WireError> {
    let mut head = recorded.head.clone();
    head.target = splice(&head.target, Part::Target, edits)?;
    let fields = head.fields.len();
    for (index, field) in head.fields.iter_mut().enumerate() {
        let index = u32::try_from(index).map_err(|_| WireError::Edit)?;
        field.value = splice(&field.value, Part::Field(index), edits)?;
    }
    let is_beyond =
        |edit: &Edit| matches!(edit.part, Part::Field(index) if index as usize >= fields);
    if edits.iter().any(is_beyond) {
        return Err(WireError::Edit);
    }
    if let Some((old, new)) = lengths {
        mend_lengths(&mut head, old, new);
    }
    let mut index = 0;
    head.fields.retain(|_| {
        index += 1;
        !recorded.omitted.contains(&(index - 1))
    });
    Ok(head)
}

fn splice(value: &Bytes, part: Part, edits: &[Edit]) -> Result<Bytes, WireError> {
    let mut edits: SmallVec<[&Edit; 4]> = edits.iter().filter(|edit| edit.part == part).collect();
    if edits.is_empty() {
        return Ok(value.clone());
    }
    edits.sort_by_key(|edit| edit.start);
    let fits = edits
        .last()
        .is_some_and(|last| last.end() <= value.len() as u64);
    if !fits || edits.windows(2).any(|pair| pair[0].meets(pair[1])) {
        return Err(WireError::Edit);
    }
    let edits: SmallVec<[_; 4]> = edits
        .into_iter()
        .map(|edit| (edit.start as usize, edit.len as usize, &edit.value))
        .collect();
    Ok(twintap_scrub::splice(value, &edits))
}

/// Pauses that are shorter were the network's, or none.
const LEAST_PAUSE_NS: u64 = 1_000_000;

/// The body in the pieces of its timeline, which edits may have moved. What follows the
/// last one goes with it.
fn timed_pieces(recorded: &Recorded, edits: &[Edit], body: Bytes) -> Pieces {
    let mut pieces = Pieces::new();
    let (mut start, mut after_ns) = (0, 0);
    let marks = &recorded.timeline.marks;
    for (place, mark) in (1..).zip(marks) {
        let end = match place == marks.len() {
            true => body.len(),
            false => moved(mark.end, edits).clamp(start, body.len()),
        };
        if mark.after_ns >= LEAST_PAUSE_NS {
            after_ns = mark.after_ns.max(after_ns);
        }
        if end > start {
            pieces.push(Piece {
                bytes: body.slice(start..end),
                after_ns,
            });
        }
        start = end;
    }
    if start < body.len() {
        pieces.push(body.slice(start..).into());
    }
    pieces
}

/// Where a place of the recorded body is after the edits; one within an edit is at its
/// end.
fn moved(place: u64, edits: &[Edit]) -> usize {
    let of_body = edits.iter().filter(|edit| edit.part == Part::Body);
    let before = of_body.filter(|edit| u64::from(edit.start) < place);
    let place = before.fold(place as i64, |moved, edit| {
        let replaced = edit.end().min(place) - u64::from(edit.start);
        moved + edit.value.len() as i64 - replaced as i64
    });
    usize::try_from(place).unwrap_or(0)
}

/// Chunks as they were recorded while nothing in the body changed its length,
/// otherwise one.
fn chunks(recorded: &Recorded, body: Bytes) -> Bytes {
    let recorded_bytes: u64 = recorded.chunks.iter().map(|&size| u64::from(size)).sum();
    let as_recorded = recorded_bytes == body.len() as u64;
    let sizes: &[u32] = if as_recorded { &recorded.chunks } else { &[] };
    let mut out = BytesMut::with_capacity(body.len() + 16 * (sizes.len() + 1));
    let mut rest = &body[..];
    for &size in sizes {
        let (data, after) = rest.split_at(rest.len().min(size as usize));
        rest = after;
        write_chunk(&mut out, data);
    }
    write_chunk(&mut out, rest);
    out.freeze()
}

fn chunk(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 16);
    write_chunk(&mut out, data);
    out.freeze()
}

/// Of nothing there is no chunk: it would end the body.
fn write_chunk(out: &mut BytesMut, data: &[u8]) {
    if !data.is_empty() {
        out.put_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.put_slice(data);
        out.put_slice(b"\r\n");
    }
}

/// The last chunk and the trailers.
fn end_of_chunks(recorded: &Recorded) -> Bytes {
    let mut out = BytesMut::with_capacity(16);
    out.put_slice(b"0\r\n");
    for field in &recorded.trailers {
        out.put_slice(&field.name);
        let (before, after): (&[u8], &[u8]) = match &field.spelling {
            Some(spelling) => (&spelling.before_value, &spelling.after_value),
            None => (b": ", b"\r\n"),
        };
        out.put_slice(before);
        out.put_slice(&field.value);
        out.put_slice(after);
    }
    out.put_slice(b"\r\n");
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(framing: Framing, fields: &[(&str, &str)], body: &str) -> Recorded {
        Recorded {
            head: RequestHead {
                method: Bytes::from_static(b"POST"),
                target: Bytes::from_static(b"/orders/17?q=a%20b"),
                version: Bytes::from_static(b"HTTP/1.1"),
                fields: fields
                    .iter()
                    .map(|(name, value)| Field::new(name.to_string(), value.to_string()))
                    .collect(),
                line_spelling: None,
                end: Bytes::from_static(b"\r\n"),
            },
            framing,
            body: Bytes::copy_from_slice(body.as_bytes()),
            chunks: Vec::new(),
            timeline: Default::default(),
            script: None,
            trailers: Vec::new(),
            omitted: Vec::new(),
            edits: Vec::new(),
        }
    }

    fn edit(part: Part, start: u32, len: u32, value: &str) -> Edit {
        Edit {
            part,
            start,
            len,
            value: Bytes::copy_from_slice(value.as_bytes()),
        }
    }

    #[track_caller]
    fn check(recorded: &Recorded, edits: &[Edit], expected: &str) {
        let wire = assemble(recorded, edits).expect("edits that fit");
        assert_eq!(String::from_utf8_lossy(&wire.concat()), expected);
    }

    #[test]
    fn without_edits_nothing_changes() {
        check(
            &recorded(
                Framing::Length,
                &[("hOsT", "a"), ("Content-length", "05")],
                "hello",
            ),
            &[],
            "POST /orders/17?q=a%20b HTTP/1.1\r\nhOsT: a\r\nContent-length: 05\r\n\r\nhello",
        );
    }

    #[test]
    fn several_edits_in_several_parts() {
        check(
            &recorded(
                Framing::Length,
                &[("Cookie", "sid=abc; t=xyz"), ("Content-Length", "11")],
                r#"{"id":"17"}"#,
            ),
            &[
                edit(Part::Body, 7, 2, "2048"),
                edit(Part::Field(0), 11, 3, "Z"),
                edit(Part::Field(0), 4, 3, "longer"),
                edit(Part::Target, 8, 2, "2048"),
            ],
            "POST /orders/2048?q=a%20b HTTP/1.1\r\nCookie: sid=longer; t=Z\r\nContent-Length: 13\r\n\r\n{\"id\":\"2048\"}",
        );
    }

    #[test]
    fn chunks_stay_while_the_length_does() {
        let mut request = recorded(
            Framing::Chunked,
            &[("Transfer-Encoding", "chunked")],
            "hello world",
        );
        request.chunks = vec![5, 6];
        request.trailers = vec![Field::new("Digest", "x")];
        let head = "POST /orders/17?q=a%20b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(
            &request,
            &[edit(Part::Body, 0, 5, "HELLO")],
            &format!("{head}5\r\nHELLO\r\n6\r\n world\r\n0\r\nDigest: x\r\n\r\n"),
        );
        check(
            &request,
            &[edit(Part::Body, 0, 5, "bye")],
            &format!("{head}9\r\nbye world\r\n0\r\nDigest: x\r\n\r\n"),
        );
    }

    fn timeline(marks: &[(u64, u64)]) -> Timeline {
        let mark = |&(end, after_ms): &(u64, u64)| Mark {
            end,
            after_ns: after_ms * 1_000_000,
            piece: MarkedPiece::Chunk,
            dropped_bytes: 0,
        };
        Timeline {
            marks: marks.iter().map(mark).collect(),
            ..Timeline::default()
        }
    }

    /// The pieces after the head, each with its time in milliseconds.
    #[track_caller]
    fn check_pieces(recorded: &Recorded, edits: &[Edit], expected: &[(&str, u64)]) {
        let wire = assemble(recorded, edits).expect("edits that fit");
        let found: Vec<(String, u64)> = wire.pieces()[1..]
            .iter()
            .map(|piece| {
                let text = String::from_utf8_lossy(&piece.bytes).into_owned();
                (text, piece.after_ns / 1_000_000)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(text, ms)| ((*text).to_owned(), *ms))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn pieces_of_a_timeline_move_with_what_is_put_into_them() {
        let fields = [("Content-Length", "11")];
        let mut request = recorded(Framing::Length, &fields, "hello world");
        request.timeline = timeline(&[(5, 0), (6, 20), (9, 30)]);
        check_pieces(&request, &[], &[("hello", 0), (" ", 20), ("world", 30)]);
        let longer = [edit(Part::Body, 1, 2, "EEEE"), edit(Part::Body, 5, 2, "-")];
        check_pieces(
            &request,
            &longer,
            &[("hEEEElo", 0), ("-", 20), ("orld", 30)],
        );
        let mut request = recorded(Framing::Chunked, &[], "hello world");
        request.timeline = timeline(&[(5, 0), (11, 20)]);
        let chunks = [
            ("5\r\nhello\r\n", 0),
            ("6\r\n world\r\n", 20),
            ("0\r\n\r\n", 0),
        ];
        check_pieces(&request, &[], &chunks);
    }

    #[test]
    fn only_the_bodies_that_are_asked_for_keep_their_pauses() {
        let mut chunked = recorded(Framing::Chunked, &[], "hello world");
        chunked.timeline = timeline(&[(5, 10), (11, 20)]);
        let mut messages = chunked.clone();
        for mark in &mut messages.timeline.marks {
            mark.piece = MarkedPiece::Message;
        }
        for (pace, keeps_chunks, keeps_messages) in [
            (BodyPace::AtOnce, false, false),
            (BodyPace::Streams, false, true),
            (BodyPace::Recorded, true, true),
        ] {
            for (request, keeps) in [(&chunked, keeps_chunks), (&messages, keeps_messages)] {
                let mut request = request.clone();
                request.pace(pace, 2.0);
                let wire = assemble(&request, &[]).expect("no edits");
                let expected_ns = if keeps { 10_000_000 } else { 0 };
                assert_eq!(wire.span_ns(), expected_ns, "{pace:?}");
            }
        }
    }

    #[test]
    fn edits_that_do_not_fit_are_refused() {
        let request = recorded(Framing::Length, &[("Content-Length", "5")], "hello");
        let cases = [
            vec![edit(Part::Body, 3, 3, "x")],
            vec![edit(Part::Body, 0, 3, "x"), edit(Part::Body, 2, 1, "y")],
            vec![edit(Part::Field(1), 0, 0, "x")],
        ];
        for edits in cases {
            assert_eq!(assemble(&request, &edits).map(|_| ()), Err(WireError::Edit));
        }
    }

    #[test]
    fn lengths_that_stand_several_times_grow_together_and_contradictions_stay() {
        for (lengths, expected) in [
            (["5", "5"], ["6", "6"]),
            (["5", "7"], ["6", "7"]),
            (["5, 5", "005"], ["6,6", "6"]),
        ] {
            let fields = |lengths: [&'static str; 2]| lengths.map(|it| ("Content-Length", it));
            let request = recorded(Framing::Length, &fields(lengths), "hello");
            let line = |length: &str| format!("Content-Length: {length}\r\n");
            let start = "POST /orders/17?q=a%20b HTTP/1.1\r\n";
            let of = |lengths: [&str; 2]| lengths.map(line).concat();
            check(&request, &[], &format!("{start}{}\r\nhello", of(lengths)));
            let grows = [edit(Part::Body, 0, 0, "x")];
            check(
                &request,
                &grows,
                &format!("{start}{}\r\nxhello", of(expected)),
            );
        }
    }
}
