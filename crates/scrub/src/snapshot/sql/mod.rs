//! Dumps of PostgreSQL and MySQL: the values of INSERT and COPY.
//!
//! Definitions (tables, functions, settings) stay as they are: they are the service's
//! own. Whatever else holds values can't be scrubbed, and ends the dump.

mod copy;
mod define;
mod insert;
mod lex;
mod literal;
pub(crate) mod statement;
mod tables;

use self::copy::{Copy, Rows};
use self::define::Definition;
use self::insert::Insert;
pub(crate) use self::lex::Dialect;
use self::lex::{Kind, Lexer, Token};
use self::tables::Tables;
use super::values::Values;
use super::{Problem, line_len};

/// Reads a dump, token by token and row by row.
pub(super) struct Sql {
    lexer: Lexer,
    tables: Tables,
    state: State,
}

enum State {
    /// Between two statements.
    Start,
    Definition(Definition),
    Insert(Insert),
    Copy(Copy),
    /// The rows after a COPY.
    Rows(Rows),
}

/// What a token leads to.
enum Next {
    /// The statement goes on.
    Same,
    /// The next statement.
    Start,
    /// The rows of a COPY.
    Rows(Rows),
}

const NOT_SCRUBBED: &str = "a statement that can't be scrubbed, expected INSERT with VALUES, COPY from stdin, settings and definitions";

impl Sql {
    pub(super) fn new(dialect: Dialect) -> Sql {
        Sql {
            lexer: Lexer::new(dialect),
            tables: Tables::default(),
            state: State::Start,
        }
    }

    /// Takes a token, or a row of a COPY.
    pub(super) fn step(
        &mut self,
        src: &[u8],
        is_end: bool,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<usize, Problem> {
        if let State::Rows(rows) = &mut self.state {
            let Some(len) = line_len(src, is_end) else {
                return Ok(0);
            };
            if rows.line(&src[..len], values, out)? {
                self.state = State::Start;
            }
            return Ok(len);
        }
        if matches!(self.state, State::Start)
            && let Some(len) = self.client_command(src, is_end)?
        {
            out.extend_from_slice(&src[..len]);
            return Ok(len);
        }
        let Some(token) = self.lexer.token(src, is_end)? else {
            return Ok(0);
        };
        let text = &src[..token.len];
        if token.kind == Kind::Space {
            out.extend_from_slice(text);
            return Ok(token.len);
        }
        let next = match &mut self.state {
            State::Start => self.begin(&token, text)?,
            State::Definition(definition) => definition.token(&token, text, &mut self.tables)?,
            State::Insert(insert) => {
                let next = insert.token(&token, text, &self.tables, values, out)?;
                self.go(next);
                return Ok(token.len);
            }
            State::Copy(copy) => copy.token(&token, text, &self.tables)?,
            State::Rows(_) => Next::Same,
        };
        out.extend_from_slice(text);
        self.go(next);
        Ok(token.len)
    }

    /// Whether a dump may end here.
    pub(super) fn end(&self) -> Result<(), Problem> {
        match &self.state {
            State::Start | State::Definition(_) => Ok(()),
            State::Insert(insert) if insert.may_end() => Ok(()),
            State::Insert(_) | State::Copy(_) => {
                Problem::new(0, "the dump ends inside of a statement")
            }
            State::Rows(_) => Problem::new(0, "the dump ends inside of the rows of a COPY"),
        }
    }

    fn go(&mut self, next: Next) {
        match next {
            Next::Same => (),
            Next::Start => self.state = State::Start,
            Next::Rows(rows) => self.state = State::Rows(rows),
        }
    }

    /// Begins the statement whose first token this is.
    fn begin(&mut self, token: &Token, text: &[u8]) -> Result<Next, Problem> {
        if token.kind == Kind::End {
            return Ok(Next::Same);
        }
        if token.kind != Kind::Word {
            return Problem::new(0, NOT_SCRUBBED);
        }
        let dialect = self.lexer.dialect();
        let verb = upper(text);
        self.state = match verb.as_str() {
            "INSERT" => State::Insert(Insert::new(dialect)),
            "REPLACE" if dialect == Dialect::Mysql => State::Insert(Insert::new(dialect)),
            "COPY" if dialect == Dialect::Postgres => State::Copy(Copy::new()),
            _ => State::Definition(Definition::new(verb, dialect)?),
        };
        Ok(Next::Same)
    }

    /// The length of a line that the client of the database takes for itself, at the
    /// beginning of `src`: the delimiter of MySQL's, a few commands of psql's; 0 asks for
    /// more bytes.
    fn client_command(&mut self, src: &[u8], is_end: bool) -> Result<Option<usize>, Problem> {
        const DELIMITER: &[u8] = b"DELIMITER ";
        const BACKSLASHED: [&[u8]; 4] = [b"\\connect ", b"\\c ", b"\\restrict ", b"\\unrestrict "];
        let is_ours = match self.lexer.dialect() {
            Dialect::Postgres => src[0] == b'\\',
            Dialect::Mysql => {
                let begin = &src[..src.len().min(DELIMITER.len())];
                let is_like = DELIMITER[..begin.len()].eq_ignore_ascii_case(begin);
                is_like && (begin.len() == DELIMITER.len() || !is_end)
            }
        };
        if !is_ours {
            return Ok(None);
        }
        let Some(len) = line_len(src, is_end) else {
            return Ok(Some(0));
        };
        let line = &src[..len];
        if src[0] == b'\\' {
            let is_known = BACKSLASHED.iter().any(|begin| line.starts_with(begin));
            return match is_known {
                true => Ok(Some(len)),
                false => Problem::new(0, "a command of psql that can't be scrubbed"),
            };
        }
        self.lexer.delimit(line[DELIMITER.len()..].trim_ascii())?;
        Ok(Some(len))
    }
}

/// A word as statements compare it.
fn upper(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_uppercase()
}
