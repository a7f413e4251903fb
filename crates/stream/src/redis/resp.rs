//! RESP2 and RESP3: where a message ends, and a little of what it says.
//!
//! Nothing is held but that little: the bytes of a message are given out as they come.

/// Aggregates may lie in each other so deep.
const MAX_DEPTH: usize = 128;

/// A line that holds a number is no longer.
const MAX_NUMBER: usize = 32;

/// So much of a status or error is kept.
pub(super) const MAX_TEXT: usize = 4096;

/// Of a reply's elements so many are kept, and so much of each: what tells a published message
/// from a reply.
const REPLY_WORDS: usize = 3;
const REPLY_WORD: usize = 64;

/// Why bytes are no RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Malformed,
    TooDeep,
}

impl Fault {
    pub fn flag(self) -> &'static str {
        match self {
            Fault::Malformed => "malformed",
            Fault::TooDeep => "nested_too_deep",
        }
    }
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An array of bulk strings, of which so many bytes may be kept.
    Command {
        budget: usize,
    },
    Reply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first byte of a value.
    Start,
    /// The first line of a value of this type.
    Line(u8),
    /// Bytes of a bulk string.
    Bulk(u64),
    /// The line end after one, of which so many bytes were seen.
    BulkEnd(usize),
}

/// An aggregate, or a string in chunks, that is not over.
#[derive(Clone, Copy, Debug)]
struct Level {
    kind: u8,
    /// Values to come; None when its end is marked.
    left: Option<u64>,
}

/// What a message says.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The type of the value, attributes apart.
    pub kind: u8,
    pub is_null: bool,
    /// Elements of an aggregate, pairs of a map.
    pub elements: u64,
    /// The line of a simple value, the bytes of a bulk error.
    pub text: Vec<u8>,
    pub text_is_cut: bool,
    /// The first elements of an aggregate.
    pub words: Vec<Vec<u8>>,
    /// Not all words of a command are there.
    pub words_are_cut: bool,
    /// The first error among the elements.
    pub inner_error: Option<Vec<u8>>,
}

/// Reads one message.
#[derive(Debug)]
pub(super) struct Scanner {
    kind: Kind,
    state: State,
    stack: Vec<Level>,
    line: Vec<u8>,
    line_bytes: u64,
    /// The word that is being read, when it is kept.
    word: Option<Vec<u8>>,
    /// What the kept words cost.
    kept: u64,
    pub seen: Seen,
}

impl Scanner {
    /// For a command; `budget` is how many bytes of words are kept.
    pub fn command(budget: usize) -> Scanner {
        Scanner::new(Kind::Command { budget })
    }

    pub fn reply() -> Scanner {
        Scanner::new(Kind::Reply)
    }

    fn new(kind: Kind) -> Scanner {
        Scanner {
            kind,
            state: State::Start,
            stack: Vec::new(),
            line: Vec::new(),
            line_bytes: 0,
            word: None,
            kept: 0,
            seen: Seen::default(),
        }
    }

    /// Bytes of memory that the kept words of a command take.
    pub fn kept_bytes(&self) -> u64 {
        self.kept
    }

    /// Reads on; gives how many bytes belong to the message, and whether it ends there.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, Result<bool, Fault>) {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..)
            && let Some(first) = rest.first()
        {
            let step = match self.state {
                State::Start => {
                    at += 1;
                    self.start(*first).map(|()| false)
                }
                State::Line(kind) => {
                    let newline = memchr::memchr(b'\n', rest);
                    let taken = newline.map_or(rest.len(), |newline| newline + 1);
                    at += taken;
                    self.push_line(kind, &rest[..taken], newline.is_some())
                }
                State::Bulk(left) => {
                    let taken = left.min(rest.len() as u64) as usize;
                    at += taken;
                    self.push_word(&rest[..taken]);
                    self.state = match left - taken as u64 {
                        0 => State::BulkEnd(0),
                        left => State::Bulk(left),
                    };
                    Ok(false)
                }
                State::BulkEnd(seen) => {
                    at += 1;
                    match (seen, first) {
                        (0, b'\r') => {
                            self.state = State::BulkEnd(1);
                            Ok(false)
                        }
                        (1, b'\n') => Ok(self.end_bulk()),
                        _ => Err(Fault::Malformed),
                    }
                }
            };
            match step {
                Ok(false) => {}
                step => return (at, step),
            }
        }
        (at, Ok(false))
    }

    /// Passes over bytes that were not seen; false when the message can't be followed over them.
    pub fn skip(&mut self, bytes: u64) -> bool {
        let State::Bulk(left) = self.state else {
            return false;
        };
        let Some(left) = left.checked_sub(bytes) else {
            return false;
        };
        self.state = match left {
            0 => State::BulkEnd(0),
            left => State::Bulk(left),
        };
        self.word = None;
        self.seen.words_are_cut = true;
        true
    }

    fn start(&mut self, kind: u8) -> Result<(), Fault> {
        let top = self.stack.last().copied();
        let fits = match (self.kind, top) {
            (Kind::Command { .. }, None) => kind == b'*',
            (Kind::Command { .. }, Some(_)) => kind == b'$',
            (Kind::Reply, Some(Level { kind: b';', .. })) => kind == b';',
            (Kind::Reply, Some(Level { left: None, .. })) => is_type(kind) || kind == b'.',
            (Kind::Reply, _) => is_type(kind),
        };
        if !fits {
            return Err(Fault::Malformed);
        }
        if self.stack.is_empty() && kind != b'|' {
            self.seen.kind = kind;
        }
        self.line.clear();
        self.line_bytes = 0;
        self.state = State::Line(kind);
        Ok(())
    }

    fn push_line(&mut self, kind: u8, bytes: &[u8], is_whole: bool) -> Result<bool, Fault> {
        self.line_bytes += bytes.len() as u64;
        let room = (MAX_TEXT + 2).saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..room.min(bytes.len())]);
        let is_text = matches!(kind, b'+' | b'-' | b',' | b'(');
        if !is_text && self.line_bytes > MAX_NUMBER as u64 {
            return Err(Fault::Malformed);
        }
        if !is_whole {
            return Ok(false);
        }
        let is_cut = self.line.len() as u64 != self.line_bytes;
        let mut line = std::mem::take(&mut self.line);
        if !is_cut {
            line.pop();
            if line.pop() != Some(b'\r') {
                return Err(Fault::Malformed);
            }
        }
        line.truncate(MAX_TEXT);
        self.end_line(kind, line, is_cut)
    }

    fn end_line(&mut self, kind: u8, line: Vec<u8>, is_cut: bool) -> Result<bool, Fault> {
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {
                self.scalar(kind, line, is_cut);
                Ok(self.end_value())
            }
            b'$' | b'=' | b'!' => match &line[..] {
                b"?" if kind == b'$' => {
                    self.push(Level {
                        kind: b';',
                        left: None,
                    })?;
                    Ok(false)
                }
                b"-1" if matches!(self.kind, Kind::Reply) => {
                    self.null();
                    Ok(self.end_value())
                }
                digits => {
                    let length = number(digits)?;
                    self.begin_word(length);
                    self.state = match length {
                        0 => State::BulkEnd(0),
                        length => State::Bulk(length),
                    };
                    Ok(false)
                }
            },
            b';' => match number(&line)? {
                0 => {
                    self.stack.pop();
                    Ok(self.end_value())
                }
                length => {
                    self.state = State::Bulk(length);
                    Ok(false)
                }
            },
            b'.' => {
                let level = self.stack.pop();
                if self.stack.is_empty() && level.is_some_and(|level| level.kind == b'%') {
                    self.seen.elements /= 2;
                }
                Ok(self.end_value())
            }
            _ => self.aggregate(kind, &line),
        }
    }

    /// The first line of an aggregate.
    fn aggregate(&mut self, kind: u8, line: &[u8]) -> Result<bool, Fault> {
        let is_reply = matches!(self.kind, Kind::Reply);
        if line == b"-1" && (!is_reply || kind == b'*') {
            self.null();
            return Ok(self.end_value());
        }
        if line == b"?" && is_reply {
            self.push(Level { kind, left: None })?;
            return Ok(false);
        }
        let count = number(line)?;
        if self.stack.is_empty() && kind != b'|' {
            self.seen.elements = count;
        }
        let values = match kind {
            b'%' | b'|' => count.checked_mul(2).ok_or(Fault::Malformed)?,
            _ => count,
        };
        match values {
            // An attribute is no value: that which it describes follows.
            0 if kind == b'|' => self.state = State::Start,
            0 => return Ok(self.end_value()),
            values => self.push(Level {
                kind,
                left: Some(values),
            })?,
        }
        Ok(false)
    }

    fn push(&mut self, level: Level) -> Result<(), Fault> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.stack.push(level);
        self.state = State::Start;
        Ok(())
    }

    /// True when the value that is read is the message's own.
    fn is_top(&self) -> bool {
        self.stack.is_empty()
    }

    /// True when it is an element of the message's own aggregate.
    fn is_element(&self) -> bool {
        matches!(self.stack[..], [level] if level.kind != b'|' && level.kind != b';')
    }

    fn scalar(&mut self, kind: u8, line: Vec<u8>, is_cut: bool) {
        if self.is_top() {
            self.seen.is_null = kind == b'_';
            self.seen.text_is_cut = is_cut;
            self.seen.text = line;
        } else if self.is_element() {
            if kind == b'-' {
                self.seen.inner_error.get_or_insert_with(|| line.clone());
            }
            self.keep(line);
        }
    }

    fn null(&mut self) {
        if self.is_top() {
            self.seen.is_null = true;
        } else if self.is_element() {
            self.keep(Vec::new());
        }
    }

    fn keep(&mut self, mut word: Vec<u8>) {
        if self.seen.words.len() < REPLY_WORDS {
            word.truncate(REPLY_WORD);
            self.seen.words.push(word);
        }
    }

    /// A bulk string of that length begins.
    fn begin_word(&mut self, length: u64) {
        self.word = None;
        match self.kind {
            Kind::Command { budget } => {
                let cost = length.saturating_add(WORD_COST);
                if self.seen.words_are_cut || cost > budget as u64 {
                    self.seen.words_are_cut = true;
                    return;
                }
                self.kind = Kind::Command {
                    budget: budget - cost as usize,
                };
                self.kept += cost;
                self.word = Some(Vec::new());
            }
            Kind::Reply => {
                let wanted = self.is_element() && self.seen.words.len() < REPLY_WORDS;
                let is_error = self.is_top() && self.seen.kind == b'!';
                if wanted || is_error {
                    self.word = Some(Vec::new());
                }
            }
        }
    }

    fn push_word(&mut self, bytes: &[u8]) {
        let Some(word) = &mut self.word else { return };
        let limit = match self.kind {
            Kind::Command { .. } => usize::MAX,
            Kind::Reply => MAX_TEXT,
        };
        let room = limit.saturating_sub(word.len()).min(bytes.len());
        word.extend_from_slice(&bytes[..room]);
        self.seen.text_is_cut |= room < bytes.len() && self.stack.is_empty();
    }

    fn end_bulk(&mut self) -> bool {
        if let Some(word) = self.word.take() {
            match self.kind {
                Kind::Command { .. } => self.seen.words.push(word),
                Kind::Reply if self.is_top() => self.seen.text = word,
                Kind::Reply => self.keep(word),
            }
        }
        self.end_value()
    }

    /// A value is over; true when the message is.
    fn end_value(&mut self) -> bool {
        self.state = State::Start;
        while let Some(top) = self.stack.last_mut() {
            if top.kind == b';' {
                return false;
            }
            let Some(left) = &mut top.left else {
                if self.stack.len() == 1 {
                    self.seen.elements += 1;
                }
                return false;
            };
            *left -= 1;
            if *left > 0 {
                return false;
            }
            let is_attribute = top.kind == b'|';
            self.stack.pop();
            if is_attribute {
                return false;
            }
        }
        true
    }
}

/// What keeping a word costs beside its bytes.
const WORD_COST: u64 = 48;

/// True for a byte that begins a value of a reply.
fn is_type(byte: u8) -> bool {
    b"+-:$*_#,(!=%~>|".contains(&byte)
}

fn number(digits: &[u8]) -> Result<u64, Fault> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).map_err(|_| Fault::Malformed)?;
    match text.parse() {
        Ok(number) if is_number && number <= i64::MAX as u64 => Ok(number),
        _ => Err(Fault::Malformed),
    }
}

/// Whether a message starts at the first of `bytes`, where that is unknown: its first line is
/// whole, and all that can be seen of it and of what follows is sound.
pub(super) fn is_plausible(bytes: &[u8], make: fn() -> Scanner) -> bool {
    if memchr::memchr(b'\n', &bytes[..bytes.len().min(MAX_TEXT)]).is_none() {
        return false;
    }
    let mut rest = bytes;
    let mut scanner = make();
    while !rest.is_empty() {
        match scanner.feed(rest) {
            (_, Err(_)) => return false,
            (read, Ok(is_over)) => {
                rest = &rest[read..];
                if is_over {
                    scanner = make();
                }
            }
        }
    }
    true
}
