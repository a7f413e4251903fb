//! Statements that stay as they are: definitions and settings.

use super::lex::{Dialect, Kind, Token};
use super::tables::{self, Column, TableName, Tables};
use super::{NOT_SCRUBBED, Next, Problem, upper};

/// A definition or a setting.
pub(super) struct Definition {
    dialect: Dialect,
    /// The words it begins with, in capital letters.
    words: Vec<String>,
    table: Table,
}

/// As many words as tell what a definition is of.
const FEW_WORDS: usize = 6;

/// What may stand between CREATE and TABLE, and between them and the name.
const OF_TABLE: &[&str] = &[
    "GLOBAL",
    "LOCAL",
    "TEMPORARY",
    "TEMP",
    "UNLOGGED",
    "FOREIGN",
    "OR",
    "REPLACE",
];
const BEFORE_NAME: &[&str] = &["IF", "NOT", "EXISTS"];

/// Beginnings of statements that hold values of nobody.
const KEPT: &[&str] = &[
    "ALTER", "ANALYZE", "BEGIN", "COMMENT", "COMMIT", "CREATE", "DROP", "FLUSH", "GRANT", "LOCK",
    "REFRESH", "REINDEX", "REVOKE", "SECURITY", "SET", "START", "TRUNCATE", "UNLOCK", "USE",
    "VACUUM",
];

/// What a SELECT of a dump may call.
const CALLS: &[&str] = &["PG_CATALOG", "SETVAL", "SET_CONFIG"];

/// What is defined together with secrets.
const WITH_SECRETS: &[&str] = &["ROLE", "USER", "GROUP", "SERVER", "SUBSCRIPTION"];

impl Definition {
    pub(super) fn new(verb: String, dialect: Dialect) -> Result<Definition, Problem> {
        let is_select = dialect == Dialect::Postgres && verb == "SELECT";
        if !is_select && !KEPT.contains(&verb.as_str()) {
            return Problem::new(0, NOT_SCRUBBED);
        }
        Ok(Definition {
            dialect,
            table: match verb.as_str() {
                "CREATE" => Table::Wanted,
                _ => Table::None,
            },
            words: vec![verb],
        })
    }

    /// Takes a token, which stays.
    pub(super) fn token(
        &mut self,
        token: &Token,
        text: &[u8],
        tables: &mut Tables,
    ) -> Result<Next, Problem> {
        if token.kind == Kind::End {
            return Ok(Next::Start);
        }
        self.check(token, text)?;
        if token.kind == Kind::Word && self.words.len() < FEW_WORDS {
            self.words.push(upper(text));
        }
        let words = &self.words;
        self.table.token(token, text, words, self.dialect, tables)?;
        Ok(Next::Same)
    }

    fn check(&self, token: &Token, text: &[u8]) -> Result<(), Problem> {
        let is_text = matches!(token.kind, Kind::Text(_));
        match self.words[0].as_str() {
            "SELECT" => self.check_call(token, text),
            "SET" => self.check_setting(token, text),
            "CREATE" | "ALTER" if is_text && self.is_of_secret() => Problem::new(
                0,
                "roles and servers with passwords can't be scrubbed: dump without them",
            ),
            _ => Ok(()),
        }
    }

    fn is_of_secret(&self) -> bool {
        let second = self.words.iter().skip(1);
        let mut second = second.skip_while(|word| ["OR", "REPLACE"].contains(&word.as_str()));
        second
            .next()
            .is_some_and(|word| WITH_SECRETS.contains(&word.as_str()))
    }

    /// A SELECT sets a sequence or a setting, or it is none of a dump's.
    fn check_call(&self, token: &Token, text: &[u8]) -> Result<(), Problem> {
        let is_called = self.words.len() > 1;
        let is_catalog = self.words.last().is_some_and(|word| word == "PG_CATALOG");
        let is_fine = match token.kind {
            Kind::Word if !is_called || is_catalog => CALLS.contains(&upper(text).as_str()),
            Kind::Mark if is_catalog => text == b".",
            _ => is_called && !is_catalog,
        };
        match is_fine {
            true => Ok(()),
            false => Problem::new(0, NOT_SCRUBBED),
        }
    }

    /// Some settings change how texts are read, and a variable may hold anything.
    fn check_setting(&self, token: &Token, text: &[u8]) -> Result<(), Problem> {
        let upper = upper(text);
        let of = |word: &str| self.words.iter().any(|known| known == word);
        let is_variable = self
            .words
            .get(1)
            .is_some_and(|word| word.starts_with('@') && !word.starts_with("@@"));
        if of("STANDARD_CONFORMING_STRINGS") && upper.contains("OFF")
            || ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"]
                .iter()
                .any(|mode| upper.contains(mode))
        {
            return Problem::new(0, "with this setting texts can't be read");
        }
        let is_text = matches!(token.kind, Kind::Text(_));
        if is_variable && is_text && !self.words.iter().skip(2).any(|word| word == "SQL_MODE") {
            return Problem::new(0, "a text in a variable can't be scrubbed");
        }
        Ok(())
    }
}

/// The table that a definition may be of.
enum Table {
    /// None, or all of it was read.
    None,
    /// The word was not read yet.
    Wanted,
    Name(TableName),
    Columns {
        table: TableName,
        read: Vec<Column>,
        depth: u32,
        /// What is read next of a column.
        part: ColumnPart,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ColumnPart {
    Name,
    Type,
    Rest,
}

impl Table {
    fn token(
        &mut self,
        token: &Token,
        text: &[u8],
        words: &[String],
        dialect: Dialect,
        tables: &mut Tables,
    ) -> Result<(), Problem> {
        match self {
            Table::None => (),
            Table::Wanted => {
                let word = words.last().map_or("", String::as_str);
                *self = match word {
                    "TABLE" => Table::Name(TableName::default()),
                    _ if OF_TABLE.contains(&word) => Table::Wanted,
                    _ => Table::None,
                };
            }
            Table::Name(table) => {
                let is_extra = token.kind == Kind::Word
                    && !table.is_whole()
                    && BEFORE_NAME.contains(&upper(text).as_str());
                if is_extra || table.token(token, text, dialect) {
                    return Ok(());
                }
                *self = match text {
                    b"(" if table.is_whole() => Table::Columns {
                        table: std::mem::take(table),
                        read: Vec::new(),
                        depth: 1,
                        part: ColumnPart::Name,
                    },
                    _ => Table::None,
                };
            }
            Table::Columns {
                table,
                read,
                depth,
                part,
            } => {
                match text {
                    b"(" => *depth += 1,
                    b")" => *depth -= 1,
                    b"," if *depth == 1 => *part = ColumnPart::Name,
                    _ if *depth == 1 => *part = of_column(read, *part, token, text, table, dialect),
                    _ => (),
                }
                if *depth == 0 {
                    tables.add(table, std::mem::take(read))?;
                    *self = Table::None;
                }
            }
        }
        Ok(())
    }
}

/// Takes a token of a column's definition; what is read next.
fn of_column(
    read: &mut Vec<Column>,
    part: ColumnPart,
    token: &Token,
    text: &[u8],
    table: &TableName,
    dialect: Dialect,
) -> ColumnPart {
    match part {
        ColumnPart::Name => {
            let is_constraint = token.kind == Kind::Word && begins_constraint(text, dialect);
            match tables::name(token, text, dialect).filter(|_| !is_constraint) {
                Some(name) => {
                    read.push(Column::new(table, &name));
                    ColumnPart::Type
                }
                None => ColumnPart::Rest,
            }
        }
        ColumnPart::Type => {
            if let Some(column) = read.last_mut() {
                column.is_boolean = matches!(upper(text).as_str(), "BOOLEAN" | "BOOL");
            }
            ColumnPart::Rest
        }
        ColumnPart::Rest => ColumnPart::Rest,
    }
}

/// Words that are no names of columns, unless in quotes.
fn begins_constraint(word: &[u8], dialect: Dialect) -> bool {
    let word = upper(word);
    match word.as_str() {
        "CONSTRAINT" | "PRIMARY" | "UNIQUE" | "CHECK" | "FOREIGN" | "LIKE" => true,
        "KEY" | "INDEX" | "FULLTEXT" | "SPATIAL" => dialect == Dialect::Mysql,
        _ => false,
    }
}
