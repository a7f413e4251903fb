//! A statement of the traffic: its literals are values, everything else is the service's own.

mod clauses;
pub(crate) mod fingerprint;

use super::lex::{Kind, Lexer, Token};
use super::tables::Column;
use super::{Dialect, literal, upper};
use crate::names;
use crate::snapshot::values::{Place, Replace};
use clauses::Clauses;

/// A statement whose literals were scrubbed.
pub(crate) struct Statement {
    pub(crate) text: Vec<u8>,
    /// The literals that are written as they are read, in their order.
    pub(crate) literals: Vec<Literal>,
    /// What rules call the parameters, by their numbers from 0.
    pub(crate) parameters: Vec<String>,
}

/// Where a literal stands in the scrubbed text; the `index`th of those that were replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) index: usize,
}

/// A token and what it is written as.
#[derive(Clone, Copy)]
struct Piece<'a> {
    token: &'a Token,
    text: &'a [u8],
}

/// What rules never decide about: it is replaced.
pub(crate) const SECRET: &str = "sql.secret";

/// What a name that looks like a value is called.
pub(crate) const NAME: &str = "sql.name";

/// Words of statements that hold passwords.
const SECRETS: &[&str] = &["PASSWORD", "IDENTIFIED"];
/// First words of such statements. In others those words are names of columns.
const OF_ACCOUNTS: &[&str] = &["ALTER", "CREATE", "GRANT", "SET"];

/// Scrubs a statement; none where it can't be read. `replace` sees every literal in its order.
pub(crate) fn scrub(
    text: &[u8],
    dialect: Dialect,
    keeps_names: bool,
    replace: &mut impl Replace,
) -> Option<Statement> {
    let tokens = tokens(text, dialect)?;
    let pieces = pieces(text, &tokens);
    let has_secrets = has_secrets(&pieces);
    let mut clauses = Clauses::new(dialect, &pieces);
    let mut done = Statement {
        text: Vec::with_capacity(text.len()),
        literals: Vec::new(),
        parameters: Vec::new(),
    };
    let mut count = 0;
    for piece in &pieces {
        let Piece { token, text } = *piece;
        match token.kind {
            Kind::Space => space(text, &mut done.text),
            Kind::Text(_) | Kind::Number if clauses.is_kept(piece) => {
                done.text.extend_from_slice(text);
            }
            Kind::Text(_) | Kind::Number => {
                let path = match has_secrets {
                    true => SECRET.to_owned(),
                    false => clauses.literal(),
                };
                let column = Column::at(path);
                let start = done.text.len();
                literal::scrub(&column, token, text, dialect, replace, &mut done.text);
                done.literals.extend(plain(&done.text, start, token, count));
                count += 1;
            }
            Kind::Word | Kind::Name if !keeps_names => {
                name(token, text, replace, &mut done.text);
            }
            Kind::Word | Kind::Name | Kind::Mark | Kind::End => done.text.extend_from_slice(text),
        }
        if token.kind != Kind::Space {
            clauses.pass(piece);
        }
    }
    done.parameters = clauses.parameters;
    Some(done)
}

fn tokens(text: &[u8], dialect: Dialect) -> Option<Vec<Token>> {
    let mut lexer = Lexer::new(dialect);
    let mut tokens = Vec::new();
    let mut left = text;
    while !left.is_empty() {
        let token = lexer.token(left, true).ok()??;
        left = left.get(token.len..).filter(|_| token.len > 0)?;
        tokens.push(token);
    }
    Some(tokens)
}

fn pieces<'a>(text: &'a [u8], tokens: &'a [Token]) -> Vec<Piece<'a>> {
    let mut left = text;
    let mut pieces = Vec::with_capacity(tokens.len());
    for token in tokens {
        // Tokens were cut from this very text.
        let (text, rest) = left.split_at(token.len.min(left.len()));
        left = rest;
        pieces.push(Piece { token, text });
    }
    pieces
}

/// Whether one of the statements sets a password.
fn has_secrets(pieces: &[Piece<'_>]) -> bool {
    let mut statements = pieces.split(|piece| piece.token.kind == Kind::End);
    statements.any(|pieces| {
        let words = pieces.iter().filter(|piece| piece.token.kind == Kind::Word);
        let mut words = words.map(|piece| upper(piece.text));
        let is_of_accounts = words
            .next()
            .is_some_and(|first| OF_ACCOUNTS.contains(&&first[..]));
        is_of_accounts && words.any(|word| SECRETS.contains(&&word[..]))
    })
}

/// White space as it is; a comment, which may hold anything, is a space. What MySQL reads though
/// it is in a comment is read as tokens, and its brackets stay.
fn space(text: &[u8], out: &mut Vec<u8>) {
    let begins = text.starts_with(b"/*!") || text.starts_with(b"/*M!");
    let is_read = begins && !text.ends_with(b"*/") || text == b"*/";
    match text.first().is_some_and(u8::is_ascii_punctuation) && !is_read {
        true => out.push(b' '),
        false => out.extend_from_slice(text),
    }
}

/// A keyword or name stays where it looks like one.
fn name(token: &Token, text: &[u8], replace: &mut impl Replace, out: &mut Vec<u8>) {
    let body = text.get(token.body.clone()).unwrap_or(text);
    if std::str::from_utf8(body).is_ok_and(names::is_structural) {
        return out.extend_from_slice(text);
    }
    let place = Place {
        path: NAME,
        name: "name",
        is_in_path: false,
    };
    let new = replace
        .replace(place, body)
        .unwrap_or_else(|| body.to_vec());
    let quote = |byte: &u8| matches!(byte, b'"' | b'`' | b'\\' | b'\'');
    let new = new
        .iter()
        .map(|byte| if quote(byte) { b'_' } else { *byte });
    out.extend_from_slice(text.get(..token.body.start).unwrap_or_default());
    out.extend(new);
    out.extend_from_slice(text.get(token.body.end..).unwrap_or_default());
}

/// Where a literal stands whose text is its value, without escapes or another form.
fn plain(out: &[u8], start: usize, token: &Token, index: usize) -> Option<Literal> {
    let written = out.get(start..)?;
    let (before, after) = match token.kind {
        Kind::Text(_) => (token.body.start, token.len - token.body.end),
        _ => (0, 0),
    };
    let inside = written.get(before..written.len().checked_sub(after)?)?;
    let is_plain = !inside
        .iter()
        .any(|byte| matches!(byte, b'\'' | b'"' | b'\\'));
    is_plain.then_some(Literal {
        start: start + before,
        len: inside.len(),
        index,
    })
}
