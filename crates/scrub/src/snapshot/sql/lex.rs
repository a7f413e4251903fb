//! The tokens of SQL, as the two databases write them.

use std::ops::Range;

use super::Problem;

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Mysql,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space and comments.
    Space,
    /// Keywords and names without quotes.
    Word,
    /// A name in quotes.
    Name,
    /// A value in quotes, or in hexadecimal.
    Text(Quoting),
    /// A decimal number, perhaps with its sign.
    Number,
    /// Any other single character.
    Mark,
    /// What ends a statement.
    End,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// A quote is written twice, and nothing else is special.
    Plain,
    /// PostgreSQL's `E'...'`.
    Escaped,
    /// MySQL's, with backslashes.
    Mysql,
    /// Bytes as hexadecimal digits.
    Hex,
    /// Bits, also as hexadecimal digits.
    Bits,
    /// `$tag$...$tag$`.
    Dollars,
}

pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) len: usize,
    /// What is between the quotes.
    pub(super) body: Range<usize>,
}

impl Token {
    fn new(kind: Kind, len: usize) -> Token {
        Token {
            kind,
            len,
            body: 0..len,
        }
    }

    fn quoted(kind: Kind, body: Range<usize>) -> Token {
        let len = body.end + 1;
        Token { kind, len, body }
    }
}

/// Cuts tokens, and knows what ends a statement.
pub(super) struct Lexer {
    dialect: Dialect,
    delimiter: Vec<u8>,
    /// Inside of a comment that MySQL reads (`/*!40101 ... */`).
    is_in_comment: bool,
}

/// Bytes after a word that may belong to it: `U&'`.
const LOOK_AHEAD: usize = 2;
/// Bytes of `/*!999999` and one more.
const COMMENT_HEAD: usize = 11;

impl Lexer {
    pub(super) fn new(dialect: Dialect) -> Lexer {
        Lexer {
            dialect,
            delimiter: b";".to_vec(),
            is_in_comment: false,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Takes what ends statements from now on.
    pub(super) fn delimit(&mut self, delimiter: &[u8]) -> Result<(), Problem> {
        let is_sound = (1..=16).contains(&delimiter.len())
            && delimiter
                .iter()
                .all(|byte| byte.is_ascii_punctuation() && !b"\\'\"`".contains(byte));
        if !is_sound {
            return Problem::new(0, "a delimiter that is none");
        }
        self.delimiter = delimiter.to_vec();
        Ok(())
    }

    /// The token that `src`, which is not empty, begins with; `None` while it may go on.
    pub(super) fn token(&mut self, src: &[u8], is_end: bool) -> Result<Option<Token>, Problem> {
        if src.starts_with(&self.delimiter) {
            return Ok(Some(Token::new(Kind::End, self.delimiter.len())));
        }
        if self.delimiter.starts_with(src) && !is_end {
            return Ok(None);
        }
        let is_mysql = self.dialect == Dialect::Mysql;
        Ok(match src[0] {
            byte if byte.is_ascii_whitespace() || byte == 0x0b => {
                let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
                let len = src.iter().take_while(|byte| is_space(byte)).count();
                Some(Token::new(Kind::Space, len))
            }
            b'-' | b'#' | b'/' | b'*' => self.comment_or_mark(src, is_end),
            b'\'' if is_mysql => quoted(src, 0, Quoting::Mysql, is_end),
            b'\'' => quoted(src, 0, Quoting::Plain, is_end),
            b'"' if is_mysql => quoted(src, 0, Quoting::Mysql, is_end),
            b'"' => doubled(src, 0, is_end).map(|body| Token::quoted(Kind::Name, body)),
            b'`' if is_mysql => doubled(src, 0, is_end).map(|body| Token::quoted(Kind::Name, body)),
            b'`' => return Problem::new(0, "a backtick: is this a dump of MySQL?"),
            b'$' if !is_mysql => dollars(src, is_end),
            b'0'..=b'9' | b'.' | b'+' => number(src, is_end),
            byte if is_word(byte) => return self.word(src, is_end),
            _ => Some(Token::new(Kind::Mark, 1)),
        })
    }

    fn comment_or_mark(&mut self, src: &[u8], is_end: bool) -> Option<Token> {
        let is_mysql = self.dialect == Dialect::Mysql;
        let line = || super::line_len(src, is_end).map(|len| Token::new(Kind::Space, len));
        if src.len() < COMMENT_HEAD && !is_end && (src[0] != b'#' || !is_mysql) {
            return None;
        }
        match src {
            [b'#', ..] if is_mysql => line(),
            [b'-', b'-', third, ..] if !is_mysql || third.is_ascii_whitespace() => line(),
            [b'-', b'-'] => line(),
            [b'-', ..] => number(src, is_end),
            [b'*', b'/', ..] if self.is_in_comment => {
                self.is_in_comment = false;
                Some(Token::new(Kind::Space, 2))
            }
            [b'/', b'*', rest @ ..] if is_mysql => {
                if let Some(len) = read_comment_len(rest) {
                    self.is_in_comment = true;
                    return Some(Token::new(Kind::Space, 2 + len));
                }
                let end = memchr::memmem::find(rest, b"*/")?;
                Some(Token::new(Kind::Space, 2 + end + 2))
            }
            [b'/', b'*', ..] => nested_comment_len(src).map(|len| Token::new(Kind::Space, len)),
            _ => Some(Token::new(Kind::Mark, 1)),
        }
    }

    /// A word, or the text that it is the beginning of.
    fn word(&self, src: &[u8], is_end: bool) -> Result<Option<Token>, Problem> {
        let len = src.iter().take_while(|byte| is_word(**byte)).count();
        if src.len() < len + LOOK_AHEAD && !is_end {
            return Ok(None);
        }
        let is_mysql = self.dialect == Dialect::Mysql;
        let rest = &src[len..];
        let quoting = match (src[0].to_ascii_lowercase(), rest) {
            (_, _) if len != 1 => None,
            (b'u', [b'&', b'\'' | b'"', ..]) if !is_mysql => {
                return Problem::new(0, "a text with U& before it can't be scrubbed");
            }
            (b'e', [b'\'', ..]) if !is_mysql => Some(Quoting::Escaped),
            (b'n', [b'\'', ..]) if is_mysql => Some(Quoting::Mysql),
            (b'n', [b'\'', ..]) => Some(Quoting::Plain),
            (b'x', [b'\'', ..]) if is_mysql => Some(Quoting::Hex),
            (b'x' | b'b', [b'\'', ..]) => Some(Quoting::Bits),
            _ => None,
        };
        Ok(match quoting {
            Some(quoting) => quoted(src, 1, quoting, is_end),
            None => Some(Token::new(Kind::Word, len)),
        })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'@') || byte >= 0x80
}

/// The length of the head of a comment that MySQL or MariaDB reads: `!40101`, `M!100100`.
/// MariaDB puts a version that never comes before what only its client reads.
fn read_comment_len(comment: &[u8]) -> Option<usize> {
    let mark = match comment {
        [b'!', ..] => 1,
        [b'M', b'!', ..] => 2,
        _ => return None,
    };
    let digits = &comment[mark..];
    let len = digits
        .iter()
        .take(6)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (&digits[..len] != b"999999").then_some(mark + len)
}

fn nested_comment_len(src: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'/', b'*', src.get(at..)?)?;
        match src.get(at..at + 2)? {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The text whose quote is at `start`.
fn quoted(src: &[u8], start: usize, quoting: Quoting, is_end: bool) -> Option<Token> {
    let body = match quoting {
        Quoting::Escaped | Quoting::Mysql => escaped(src, start, is_end),
        _ => doubled(src, start, is_end),
    }?;
    Some(Token::quoted(Kind::Text(quoting), body))
}

/// What is between the quote at `start` and the next that is not written twice.
fn doubled(src: &[u8], start: usize, is_end: bool) -> Option<Range<usize>> {
    let quote = src[start];
    let mut at = start + 1;
    loop {
        at += memchr::memchr(quote, src.get(at..)?)?;
        match src.get(at + 1) {
            Some(&next) if next == quote => at += 2,
            None if !is_end => return None,
            _ => return Some(start + 1..at),
        }
    }
}

/// Likewise, where a backslash takes the meaning of the character after it.
fn escaped(src: &[u8], start: usize, is_end: bool) -> Option<Range<usize>> {
    let quote = src[start];
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(quote, b'\\', src.get(at..)?)?;
        match (src[at], src.get(at + 1)) {
            (b'\\', _) => at += 2,
            (_, Some(&next)) if next == quote => at += 2,
            (_, None) if !is_end => return None,
            _ => return Some(start + 1..at),
        }
    }
}

fn dollars(src: &[u8], is_end: bool) -> Option<Token> {
    let is_tag = |byte: &u8| is_word(*byte) && !matches!(byte, b'$' | b'@');
    let tag = src[1..].iter().take_while(|byte| is_tag(byte)).count();
    let is_parameter = src.get(1).is_some_and(u8::is_ascii_digit);
    match src.get(1 + tag) {
        None if !is_end => return None,
        Some(b'$') if !is_parameter => (),
        _ => return Some(Token::new(Kind::Mark, 1)),
    }
    let open = 1 + tag + 1;
    let end = open + memchr::memmem::find(&src[open..], &src[..open])?;
    Some(Token {
        kind: Kind::Text(Quoting::Dollars),
        len: end + open,
        body: open..end,
    })
}

/// A number; a word, where it goes on as one; a mark, where there are no digits.
fn number(src: &[u8], is_end: bool) -> Option<Token> {
    let sign = usize::from(matches!(src[0], b'-' | b'+'));
    let mut len = sign;
    let mut last = b' ';
    while let Some(&byte) = src.get(len) {
        let is_sign = matches!(byte, b'-' | b'+') && matches!(last, b'e' | b'E');
        if !(is_word(byte) || byte == b'.' || is_sign) {
            break;
        }
        last = byte;
        len += 1;
    }
    if len == src.len() && !is_end {
        return None;
    }
    let text = &src[sign..len];
    if is_decimal(text) {
        return Some(Token::new(Kind::Number, len));
    }
    if let [b'0', b'x' | b'X', digits @ ..] = text
        && sign == 0
        && !digits.is_empty()
        && digits.iter().all(u8::is_ascii_hexdigit)
    {
        return Some(Token {
            kind: Kind::Text(Quoting::Hex),
            len,
            body: 2..len,
        });
    }
    // `t1.2nd`: a name may begin with a digit, and its dot is a mark.
    let is_word_like = sign == 0 && src[0] != b'.';
    let word = src.iter().take_while(|byte| is_word(**byte)).count();
    Some(match is_word_like {
        true => Token::new(Kind::Word, word),
        false => Token::new(Kind::Mark, 1),
    })
}

/// Digits, perhaps with a point and an exponent.
pub(super) fn is_decimal(text: &[u8]) -> bool {
    let at = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = text.split_at(at.unwrap_or(text.len()));
    let is_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_mantissa = match mantissa.iter().position(|byte| *byte == b'.') {
        None => is_digits(mantissa),
        Some(at) => {
            let (whole, fraction) = (&mantissa[..at], &mantissa[at + 1..]);
            (whole.is_empty() || is_digits(whole))
                && (fraction.is_empty() || is_digits(fraction))
                && mantissa.len() > 1
        }
    };
    let is_exponent = match exponent {
        [] => true,
        [_, b'-' | b'+', digits @ ..] | [_, digits @ ..] => is_digits(digits),
    };
    is_mantissa && is_exponent
}
