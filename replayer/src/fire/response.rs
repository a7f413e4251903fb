//! Reading a twin's answers (RFC 9112), byte for byte and without I/O.
//!
//! What a twin sends is data: anything that is no HTTP/1 answer is [`Garbage`],
//! an outcome of the request, and never a failure of the run.

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use twintap_stream::message::{Framing, Spelling};
use twintap_stream::{Field, ResponseHead};

use super::capture::{Capture, Held, RawBody};

/// The most bytes that a head, a chunk-size line or the trailers may take.
pub const MAX_HEAD_BYTES: usize = 256 * 1024;

/// A whole answer, raw.
#[derive(Debug)]
pub struct RawAnswer {
    /// The head of the final response (status 200 and above, or 101).
    pub head: ResponseHead,
    /// The body after transfer decoding.
    pub body: RawBody,
    /// Counts what it holds in memory until it is dropped.
    pub held: Held,
    /// How many interim responses came before it.
    pub interim: u32,
    /// How it ended.
    pub framing: Framing,
    /// False when no further answer can follow on its connection.
    pub keeps_alive: bool,
}

/// Bytes that are no HTTP/1 response.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Garbage {
    /// The first line is none.
    #[error("no status line")]
    StatusLine,
    /// A header or trailer line has no colon, or no name.
    #[error("a header line without a name")]
    FieldLine,
    /// A head, a chunk-size line or the trailers never end.
    #[error("a head of more than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    /// Content-Length is no number, or there are several that differ.
    #[error("a Content-Length that is none")]
    Length,
    /// A chunk's size is no number, or no line end follows its data.
    #[error("a chunk that is none")]
    Chunk,
}

/// What the end of the connection means for the answer being read.
#[derive(Debug)]
pub enum AtEnd {
    /// Nothing of an answer had come.
    Nothing,
    /// The answer lasted until the connection closed, and is whole.
    Whole(Box<RawAnswer>),
    /// The answer is cut; the text says where.
    Cut(&'static str),
}

/// A reader of one answer after another.
///
/// Call [`begin`](Self::begin) for each request in the order sent, then
/// [`feed`](Self::feed) until it gives the answer.
#[derive(Debug)]
pub struct ResponseReader {
    state: State,
    /// Bytes of an unfinished line or head.
    held: BytesMut,
    head: Option<ResponseHead>,
    framing: Framing,
    interim: u32,
    to_head: bool,
    body: Capture,
    begun: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
}

impl ResponseReader {
    /// A reader that keeps bodies as `capture` says.
    pub fn new(capture: Capture) -> ResponseReader {
        ResponseReader {
            state: State::Head,
            held: BytesMut::new(),
            head: None,
            framing: Framing::None,
            interim: 0,
            to_head: false,
            body: capture,
            begun: false,
        }
    }

    /// Makes ready for the answer to a request with `method`: whether a body
    /// follows the head depends on it (RFC 9112, section 6.3).
    pub fn begin(&mut self, method: &[u8]) {
        self.state = State::Head;
        self.head = None;
        self.framing = Framing::None;
        self.interim = 0;
        self.to_head = method == b"HEAD";
        self.begun = !self.held.is_empty();
    }

    /// True when a byte of the answer being read has come.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes bytes from the front of `input`; gives the answer once it is whole,
    /// with what follows it left in `input`.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Box<RawAnswer>>, Garbage> {
        loop {
            match self.state {
                State::Head => {
                    let Some(end) = self.gather(input, head_end)? else {
                        return Ok(None);
                    };
                    let block = self.held.split_to(end).freeze();
                    let head = parse_head(&block)?;
                    if (100..200).contains(&head.status) && head.status != 101 {
                        self.interim += 1;
                        continue;
                    }
                    self.start_body(head)?;
                    if self.state == State::Length(0) {
                        return Ok(Some(self.finish()));
                    }
                }
                State::Length(left) => {
                    let take = self.take(input, left);
                    if take == left {
                        return Ok(Some(self.finish()));
                    }
                    self.state = State::Length(left - take);
                    return Ok(None);
                }
                State::ChunkSize => {
                    let Some(end) = self.gather(input, line_end)? else {
                        return Ok(None);
                    };
                    let line = self.held.split_to(end);
                    self.state = match chunk_size(&line).ok_or(Garbage::Chunk)? {
                        0 => State::Trailers,
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkData(left) => {
                    let take = self.take(input, left);
                    if take < left {
                        self.state = State::ChunkData(left - take);
                        return Ok(None);
                    }
                    self.state = State::ChunkEnd;
                }
                State::ChunkEnd => {
                    let Some(end) = self.gather(input, line_end)? else {
                        return Ok(None);
                    };
                    let line = self.held.split_to(end);
                    if trim_line(&line).is_empty() {
                        self.state = State::ChunkSize;
                    } else {
                        return Err(Garbage::Chunk);
                    }
                }
                State::Trailers => {
                    let Some(end) = self.gather(input, line_end)? else {
                        return Ok(None);
                    };
                    let line = self.held.split_to(end);
                    let line = trim_line(&line);
                    if line.is_empty() {
                        return Ok(Some(self.finish()));
                    }
                    if !line.contains(&b':') {
                        return Err(Garbage::FieldLine);
                    }
                }
                State::UntilClose => {
                    self.take(input, u64::MAX);
                    return Ok(None);
                }
            }
        }
    }

    /// The connection ended after what was fed.
    pub fn end(&mut self) -> AtEnd {
        match self.state {
            State::Head if !self.begun => AtEnd::Nothing,
            State::Head => AtEnd::Cut("in the head"),
            State::UntilClose => AtEnd::Whole(self.finish()),
            _ => AtEnd::Cut("in the body"),
        }
    }

    /// Gathers bytes until `find` sees an end in them, which is given.
    fn gather(
        &mut self,
        input: &mut &[u8],
        find: fn(&[u8], usize) -> Option<usize>,
    ) -> Result<Option<usize>, Garbage> {
        let before = self.held.len();
        let room = (MAX_HEAD_BYTES + 1).saturating_sub(before);
        let piece = &input[..input.len().min(room)];
        self.begun |= !piece.is_empty();
        self.held.extend_from_slice(piece);
        // Only what is new needs a look, and the line ends just before it.
        match find(&self.held, before.saturating_sub(3)) {
            Some(end) => {
                // What was held had no end in it, so the end lies in the new piece,
                // unless it was there from the start.
                let used = end.saturating_sub(before);
                self.held.truncate(end.max(before));
                *input = &input[used..];
                Ok(Some(end))
            }
            None if self.held.len() > MAX_HEAD_BYTES => Err(Garbage::TooLong),
            None => {
                *input = &input[piece.len()..];
                Ok(None)
            }
        }
    }

    fn take(&mut self, input: &mut &[u8], left: u64) -> u64 {
        let take = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let (body, rest) = input.split_at(take);
        self.body.push(body);
        *input = rest;
        take as u64
    }

    fn start_body(&mut self, head: ResponseHead) -> Result<(), Garbage> {
        let bodiless = self.to_head || matches!(head.status, 101 | 204 | 304);
        (self.state, self.framing) = if bodiless {
            (State::Length(0), Framing::None)
        } else if is_chunked(&head) {
            (State::ChunkSize, Framing::Chunked)
        } else {
            match content_length(&head)? {
                Some(length) => (State::Length(length), Framing::Length),
                None => (State::UntilClose, Framing::Close),
            }
        };
        self.head = Some(head);
        Ok(())
    }

    fn finish(&mut self) -> Box<RawAnswer> {
        let head = self.head.take().unwrap_or_else(|| ResponseHead {
            version: Bytes::new(),
            status: 0,
            reason: Bytes::new(),
            fields: Vec::new(),
            line_spelling: None,
            end: Bytes::new(),
        });
        let (body, held) = self.body.finish();
        let keeps_alive =
            self.framing != Framing::Close && head.status != 101 && keeps_alive(&head);
        let answer = RawAnswer {
            head,
            body,
            held,
            interim: self.interim,
            framing: self.framing,
            keeps_alive,
        };
        self.state = State::Head;
        self.begun = false;
        Box::new(answer)
    }
}

/// One past the end of the line that begins at 0, if it is there.
fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let found = bytes.get(from..)?.iter().position(|&byte| byte == b'\n')?;
    Some(from + found + 1)
}

/// One past the empty line that ends a head. Empty lines before the status line
/// do not count.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let start = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let mut at = from.max(start);
    while let Some(end) = line_end(bytes, at) {
        match &bytes[end..] {
            [b'\n', ..] => return Some(end + 1),
            [b'\r', b'\n', ..] => return Some(end + 2),
            _ => at = end,
        }
    }
    None
}

fn trim_line(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = trim_line(line);
    let digits = line
        .iter()
        .position(|&byte| byte == b';')
        .map_or(line, |end| &line[..end])
        .trim_ascii();
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn is_chunked(head: &ResponseHead) -> bool {
    let last = head
        .fields
        .iter()
        .rfind(|field| field.is("transfer-encoding"));
    last.is_some_and(|field| {
        let coding = field.value.rsplit(|&byte| byte == b',').next();
        coding.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
    })
}

/// The body's length; equal repetitions are one (RFC 9112, section 6.3).
fn content_length(head: &ResponseHead) -> Result<Option<u64>, Garbage> {
    if head
        .fields
        .iter()
        .any(|field| field.is("transfer-encoding"))
    {
        return Ok(None);
    }
    let mut length = None;
    for field in head
        .fields
        .iter()
        .filter(|field| field.is("content-length"))
    {
        for value in field.value.split(|&byte| byte == b',') {
            let value = value.trim_ascii();
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(Garbage::Length);
            }
            let value: u64 = std::str::from_utf8(value)
                .ok()
                .and_then(|value| value.parse().ok())
                .ok_or(Garbage::Length)?;
            if length.is_some_and(|seen| seen != value) {
                return Err(Garbage::Length);
            }
            length = Some(value);
        }
    }
    Ok(length)
}

/// Whether the connection goes on (RFC 9112, section 9.3).
fn keeps_alive(head: &ResponseHead) -> bool {
    let says = |word: &[u8]| {
        head.fields
            .iter()
            .filter(|field| field.is("connection"))
            .flat_map(|field| field.value.split(|&byte| byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(word))
    };
    if head.version.as_ref() == b"HTTP/1.0" {
        says(b"keep-alive")
    } else {
        !says(b"close")
    }
}

/// Parses the head in `block`, which ends with its empty line.
fn parse_head(block: &Bytes) -> Result<ResponseHead, Garbage> {
    let start = block
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(block.len());
    let first_end = line_end(block, start).ok_or(Garbage::StatusLine)?;
    let mut head = parse_status_line(&block.slice(start..first_end))?;
    let mut at = first_end;
    loop {
        let mut end = line_end(block, at).ok_or(Garbage::FieldLine)?;
        if trim_line(&block[at..end]).is_empty() {
            head.end = block.slice(at..end);
            return Ok(head);
        }
        // A line that begins with white space goes on with the one before it
        // (RFC 9112, section 5.2).
        while matches!(block.get(end), Some(b' ' | b'\t')) {
            end = line_end(block, end).ok_or(Garbage::FieldLine)?;
        }
        head.fields.push(parse_field(&block.slice(at..end))?);
        at = end;
    }
}

fn parse_status_line(line: &Bytes) -> Result<ResponseHead, Garbage> {
    let text = trim_line(line);
    let end = line.slice(text.len()..);
    let version = text.get(..8).ok_or(Garbage::StatusLine)?;
    let is_version = version.starts_with(b"HTTP/1.") && version[7].is_ascii_digit();
    let status = text.get(9..12).ok_or(Garbage::StatusLine)?;
    if !is_version || text[8] != b' ' || !status.iter().all(u8::is_ascii_digit) {
        return Err(Garbage::StatusLine);
    }
    let status = status
        .iter()
        .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    let (gap, reason) = match text.get(12) {
        None => (Bytes::new(), Bytes::new()),
        Some(b' ') => (line.slice(12..13), line.slice(13..text.len())),
        Some(_) => return Err(Garbage::StatusLine),
    };
    if status < 100 {
        return Err(Garbage::StatusLine);
    }
    let usual = gap.as_ref() == b" " && end.as_ref() == b"\r\n";
    Ok(ResponseHead {
        version: line.slice(..8),
        status,
        reason,
        fields: Vec::new(),
        line_spelling: (!usual).then(|| Box::new([line.slice(8..9), gap, end])),
        end: Bytes::new(),
    })
}

fn parse_field(line: &Bytes) -> Result<Field, Garbage> {
    let colon = line
        .iter()
        .position(|&byte| byte == b':')
        .ok_or(Garbage::FieldLine)?;
    let name = line.slice(..colon);
    if name.is_empty() || name.iter().any(|byte| byte.is_ascii_whitespace()) {
        return Err(Garbage::FieldLine);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let rest = &line[colon + 1..];
    let start = rest
        .iter()
        .position(|byte| !is_space(byte))
        .map_or(line.len(), |start| colon + 1 + start);
    let end = line
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(start, |last| (last + 1).max(start));
    // An empty value leaves all white space after the colon to the line's end.
    let start = if start == line.len() {
        colon + 1
    } else {
        start
    };
    let end = end.max(start);
    let spelling = Spelling {
        before_value: line.slice(colon..start),
        after_value: line.slice(end..),
    };
    let usual = spelling.before_value.as_ref() == b": " && spelling.after_value.as_ref() == b"\r\n";
    Ok(Field {
        name,
        value: line.slice(start..end),
        spelling: (!usual).then(|| Box::new(spelling)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::capture::CaptureLimits;
    use super::*;

    fn reader() -> ResponseReader {
        ResponseReader::new(Capture::new(CaptureLimits::new(1024, 1 << 20, None)))
    }

    /// Feeds `bytes` in pieces that end at `cuts`, and gives the answers in short.
    fn read(method: &str, bytes: &[u8], cuts: &[usize]) -> Result<Vec<String>, Garbage> {
        let mut reader = reader();
        reader.begin(method.as_bytes());
        let mut seen = Vec::new();
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        bounds.push(bytes.len());
        bounds.sort_unstable();
        let mut at = 0;
        for bound in bounds {
            let mut piece = &bytes[at..bound];
            at = bound;
            while let Some(answer) = reader.feed(&mut piece)? {
                seen.push(short(&answer));
                reader.begin(method.as_bytes());
            }
        }
        match reader.end() {
            AtEnd::Nothing => {}
            AtEnd::Whole(answer) => seen.push(short(&answer)),
            AtEnd::Cut(place) => seen.push(format!("cut {place}")),
        }
        Ok(seen)
    }

    fn short(answer: &RawAnswer) -> String {
        let body = match &answer.body {
            RawBody::Whole(body) => String::from_utf8_lossy(body).into_owned(),
            RawBody::Digest { bytes, .. } => format!("<{bytes} bytes>"),
        };
        format!(
            "{} {:?} alive={} interim={} {body}",
            answer.head.status, answer.framing, answer.keeps_alive, answer.interim
        )
    }

    #[track_caller]
    fn check(method: &str, bytes: &[u8], expected: &[&str]) {
        assert_eq!(read(method, bytes, &[]).expect("an answer"), expected);
        let each_byte: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(
            read(method, bytes, &each_byte).expect("an answer"),
            expected
        );
    }

    #[test]
    fn content_length_ends_the_body() {
        check(
            "GET",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            &[
                "200 Length alive=true interim=0 hello",
                "404 Length alive=true interim=0 ",
            ],
        );
    }

    #[test]
    fn chunks_are_joined_and_trailers_read() {
        check(
            "GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nDigest: x\r\n\r\n",
            &["200 Chunked alive=true interim=0 abc0123456789"],
        );
    }

    #[test]
    fn the_connection_s_end_ends_the_body() {
        check(
            "GET",
            b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
            &["200 Close alive=false interim=0 until the end"],
        );
    }

    #[test]
    fn answers_without_bodies() {
        check(
            "HEAD",
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
            &["200 None alive=true interim=0 "],
        );
        check(
            "GET",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
            &["304 None alive=true interim=0 "],
        );
    }

    #[test]
    fn interim_answers_come_before_the_final_one() {
        check(
            "POST",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            &["201 Length alive=false interim=2 ok"],
        );
    }

    #[test]
    fn a_cut_answer_says_where() {
        check(
            "GET",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            &["cut in the head"],
        );
        check(
            "GET",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
            &["cut in the body"],
        );
        check(
            "GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            &["cut in the body"],
        );
    }

    #[test]
    fn garbage_is_named() {
        let cases: [(&[u8], Garbage); 6] = [
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Garbage::StatusLine),
            (b"HTTP/1.1 2x0 OK\r\n\r\n", Garbage::StatusLine),
            (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Garbage::FieldLine),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\n",
                Garbage::Length,
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                Garbage::Chunk,
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
                Garbage::Chunk,
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read("GET", bytes, &[]), Err(expected));
        }
    }

    #[test]
    fn a_head_without_end_is_garbage() {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        while bytes.len() <= MAX_HEAD_BYTES {
            bytes.extend_from_slice(b"A: b\r\n");
        }
        assert_eq!(read("GET", &bytes, &[]), Err(Garbage::TooLong));
    }

    #[test]
    fn a_large_body_keeps_its_length_alone() {
        let body = "x".repeat(2000);
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{body}");
        check(
            "GET",
            bytes.as_bytes(),
            &["200 Length alive=true interim=0 <2000 bytes>"],
        );
    }

    #[test]
    fn heads_are_kept_as_they_were_spelled() {
        let block = b"HTTP/1.1 200\nX-Odd:value  \r\nEmpty:\r\nFold: a\r\n b\r\nUsual: yes\r\n\n";
        let head = parse_head(&Bytes::from_static(block)).expect("a head");
        assert_eq!(head.to_wire().as_ref(), block);
        assert_eq!(head.fields[0].value.as_ref(), b"value");
        assert_eq!(head.fields[2].value.as_ref(), b"a\r\n b");
        assert!(head.fields[3].spelling.is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..5),
        ) {
            let whole = read("GET", &bytes, &[]);
            prop_assert_eq!(read("GET", &bytes, &cuts), whole);
        }

        #[test]
        fn mended_answers_read_the_same_however_cut(
            start in 0usize..4,
            flips in proptest::collection::vec((0usize..120, any::<u8>()), 0..3),
            cuts in proptest::collection::vec(0usize..200, 0..5),
        ) {
            let starts: [&[u8]; 4] = [
                b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nSet-Cookie: a=b\r\n\r\nhello, world",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                b"\r\nHTTP/1.0 302 Found\nLocation: /x\n\nrest of it",
            ];
            let mut bytes = starts[start].to_vec();
            for (at, value) in flips {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            let whole = read("GET", &bytes, &[]);
            prop_assert_eq!(read("GET", &bytes, &cuts), whole);
        }

        #[test]
        fn what_is_parsed_is_written_again(
            lines in proptest::collection::vec("[A-Za-z-]{1,8}:[ \t]{0,2}[!-9;-~]{0,6}( [a-z]{1,3})?[ \t]{0,2}", 0..5),
        ) {
            let block = format!("HTTP/1.1 200 Fine\r\n{}\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
            let block = Bytes::from(block);
            let head = parse_head(&block).expect("a head");
            prop_assert_eq!(head.to_wire(), block);
        }
    }
}
