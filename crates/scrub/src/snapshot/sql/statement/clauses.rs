//! Which column a literal or parameter belongs to, as far as a statement tells.

use std::collections::{HashMap, HashSet};

use super::super::lex::Kind;
use super::super::tables::name;
use super::super::{Dialect, upper};
use super::Piece;
use crate::names;

/// Follows a statement, piece by piece.
pub(super) struct Clauses {
    dialect: Dialect,
    /// Tables by their names and aliases.
    tables: HashMap<String, String>,
    /// The one table that the statement is about.
    table: Option<String>,
    depth: usize,
    /// The name that came last, and that of its table.
    last: Option<(Option<String>, String)>,
    /// The place of what is compared or assigned, and how deep it began.
    target: Option<(String, usize)>,
    is_between: bool,
    insert: Insert,
    before: Before,
    pub(super) parameters: Vec<String>,
}

/// The piece before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Before {
    #[default]
    Nothing,
    Dot,
    /// PostgreSQL's `$` of a parameter.
    Dollar,
    /// `-` of an arrow, and the arrow's head.
    Dash,
    Arrow,
    Interval,
}

/// How far an INSERT has come.
#[derive(Debug, Default)]
enum Insert {
    #[default]
    None,
    /// Its table was not read yet, or its columns come.
    Named,
    Columns(Vec<String>),
    /// A row's value comes, in the column with this index.
    Values(Vec<String>, usize),
}

/// Words after which a table's name comes.
const BEFORE_TABLES: &[&str] = &["FROM", "INTO", "JOIN", "TABLE", "UPDATE"];

/// Words that begin another clause.
const CLAUSES: &[&str] = &[
    "CASE",
    "CROSS",
    "ELSE",
    "END",
    "FETCH",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "INNER",
    "INTO",
    "JOIN",
    "LEFT",
    "ON",
    "OR",
    "ORDER",
    "RETURNING",
    "RIGHT",
    "SELECT",
    "SET",
    "THEN",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
];

/// Words that compare.
const OPERATORS: &[&str] = &[
    "BETWEEN", "ILIKE", "IN", "IS", "LIKE", "REGEXP", "RLIKE", "SIMILAR",
];

/// Other words that are no names.
const KEYWORDS: &[&str] = &[
    "ALL", "AND", "ANY", "ARRAY", "AS", "ASC", "BY", "CAST", "DEFAULT", "DESC", "DISTINCT",
    "EXISTS", "FALSE", "INTERVAL", "LIMIT", "NOT", "NULL", "OFFSET", "ONLY", "TO", "TRUE",
];

/// Digits of a parameter's number, which has 16 bits.
const PARAMETER_DIGITS: usize = 5;

const NOWHERE: &str = "sql.value";

impl Clauses {
    pub(super) fn new(dialect: Dialect, pieces: &[Piece<'_>]) -> Clauses {
        let tables = tables(dialect, pieces);
        let all: HashSet<&String> = tables.values().collect();
        let mut all = all.into_iter();
        let table = match (all.next(), all.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        };
        Clauses {
            dialect,
            tables,
            table,
            depth: 0,
            last: None,
            target: None,
            is_between: false,
            insert: Insert::None,
            before: Before::Nothing,
            parameters: Vec::new(),
        }
    }

    /// What rules call the literal that comes.
    pub(super) fn literal(&self) -> String {
        match (&self.insert, &self.target) {
            (Insert::Values(columns, at), _) => match columns.get(*at) {
                Some(column) => self.place(None, column),
                None => self.place(None, &format!("column{}", at + 1)),
            },
            (_, Some((place, _))) => place.clone(),
            _ => NOWHERE.to_owned(),
        }
    }

    /// Whether a literal is no value: the number of a parameter, a length of time, the name of
    /// a member in JSON.
    pub(super) fn is_kept(&self, piece: &Piece<'_>) -> bool {
        let inside = piece.text.get(piece.token.body.clone()).unwrap_or_default();
        let inside = std::str::from_utf8(inside).unwrap_or_default();
        match self.before {
            Before::Dollar => {
                piece.token.kind == Kind::Number && piece.text.len() <= PARAMETER_DIGITS
            }
            Before::Interval => is_interval(inside),
            Before::Arrow => names::is_structural(inside),
            _ => false,
        }
    }

    /// Takes a piece.
    pub(super) fn pass(&mut self, piece: &Piece<'_>) {
        let before = std::mem::take(&mut self.before);
        match piece.token.kind {
            Kind::End => {
                let parameters = std::mem::take(&mut self.parameters);
                let tables = std::mem::take(&mut self.tables);
                *self = Clauses {
                    parameters,
                    tables,
                    table: self.table.take(),
                    ..Clauses::new(self.dialect, &[])
                };
            }
            Kind::Word | Kind::Name => self.word(piece, &before),
            Kind::Mark => self.mark(piece.text, &before),
            Kind::Number if before == Before::Dollar => self.parameter(piece.text),
            Kind::Space | Kind::Text(_) | Kind::Number => {}
        }
    }

    fn word(&mut self, piece: &Piece<'_>, before: &Before) {
        let word = match piece.token.kind {
            Kind::Word => upper(piece.text),
            _ => String::new(),
        };
        if let Insert::Columns(columns) = &mut self.insert {
            columns.extend(name(piece.token, piece.text, self.dialect));
            return;
        }
        match &word[..] {
            "INTERVAL" => self.before = Before::Interval,
            "AND" if self.is_between => self.is_between = false,
            "AND" => self.forget(),
            "LIMIT" | "OFFSET" => self.target = Some(("sql.limit".to_owned(), self.depth)),
            "INSERT" | "REPLACE" if self.depth == 0 && self.last.is_none() => {
                self.insert = Insert::Named;
            }
            "VALUES" | "VALUE" => {
                self.forget();
                if let Insert::Named = self.insert {
                    self.insert = Insert::Values(Vec::new(), 0);
                }
            }
            "ON" | "SELECT" | "SET" | "RETURNING" if self.depth == 0 => {
                self.forget();
                self.insert = Insert::None;
            }
            operator if OPERATORS.contains(&operator) => {
                self.aim();
                self.is_between = operator == "BETWEEN";
            }
            clause if CLAUSES.contains(&clause) => self.forget(),
            keyword if KEYWORDS.contains(&keyword) => {}
            _ => {
                let Some(name) = name(piece.token, piece.text, self.dialect) else {
                    return;
                };
                let table = match (before, self.last.take()) {
                    (Before::Dot, Some((_, table))) => Some(table),
                    _ => None,
                };
                self.last = Some((table, name));
            }
        }
    }

    fn mark(&mut self, text: &[u8], before: &Before) {
        match text {
            b"." => self.before = Before::Dot,
            b"$" => self.before = Before::Dollar,
            b"-" => self.before = Before::Dash,
            b">" if matches!(before, Before::Dash | Before::Arrow) => self.before = Before::Arrow,
            b"=" | b"<" | b">" | b"!" | b"~" => self.aim(),
            b"?" if self.dialect == Dialect::Mysql => self.parameters.push(self.literal()),
            b"(" => {
                self.depth += 1;
                if let (Insert::Named, 1) = (&self.insert, self.depth) {
                    self.insert = Insert::Columns(Vec::new());
                }
                if let Insert::Values(_, at) = &mut self.insert
                    && self.depth == 1
                {
                    *at = 0;
                }
            }
            b")" => {
                self.depth = self.depth.saturating_sub(1);
                if let Insert::Columns(columns) = &mut self.insert {
                    self.insert = Insert::Values(std::mem::take(columns), 0);
                }
                let is_over = |target: &(String, usize)| target.1 > self.depth;
                if self.target.as_ref().is_some_and(is_over) {
                    self.target = None;
                }
            }
            b"," => {
                if let Insert::Values(_, at) = &mut self.insert
                    && self.depth == 1
                {
                    *at += 1;
                }
                let is_over = |target: &(String, usize)| target.1 >= self.depth;
                if self.target.as_ref().is_some_and(is_over) {
                    self.forget();
                }
            }
            _ => {}
        }
    }

    fn parameter(&mut self, digits: &[u8]) {
        let number = std::str::from_utf8(digits).ok();
        let number: Option<usize> = number.and_then(|digits| digits.parse().ok());
        // There are 16 bits for their number.
        let Some(index) = number.and_then(|number| number.checked_sub(1)) else {
            return;
        };
        if index >= usize::from(u16::MAX) {
            return;
        }
        if self.parameters.len() <= index {
            self.parameters.resize(index + 1, NOWHERE.to_owned());
        }
        let place = self.literal();
        if let Some(known) = self.parameters.get_mut(index)
            && known == NOWHERE
        {
            *known = place;
        }
    }

    /// What comes is compared with, or assigned to, the name that came last.
    fn aim(&mut self) {
        if let Some((table, column)) = &self.last {
            let place = self.place(table.as_deref(), column);
            self.target = Some((place, self.depth));
        }
    }

    fn forget(&mut self) {
        self.target = None;
        self.last = None;
        self.is_between = false;
    }

    fn place(&self, table: Option<&str>, column: &str) -> String {
        let table = match table {
            Some(table) => Some(self.tables.get(table).map_or(table, String::as_str)),
            None => self.table.as_deref(),
        };
        match table {
            Some(table) => format!("sql.{table}.{column}"),
            None => format!("sql.{column}"),
        }
    }
}

/// What an interval counts, in the singular.
const UNITS: [&str; 11] = [
    "year",
    "mon",
    "month",
    "week",
    "day",
    "hour",
    "min",
    "minute",
    "sec",
    "second",
    "millisecond",
];

/// Digits and a unit, perhaps several: `30 days`.
fn is_interval(text: &str) -> bool {
    let mut words = text.split(' ');
    text.len() <= 40
        && words.all(|word| {
            let is_number =
                (1..=4).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
            is_number || UNITS.contains(&word.strip_suffix('s').unwrap_or(word))
        })
}

/// The tables that a statement names, by name and by alias.
fn tables(dialect: Dialect, pieces: &[Piece<'_>]) -> HashMap<String, String> {
    let mut told = pieces
        .iter()
        .filter(|piece| piece.token.kind != Kind::Space)
        .peekable();
    let mut tables = HashMap::new();
    while let Some(piece) = told.next() {
        let is_word = piece.token.kind == Kind::Word;
        if !is_word || !BEFORE_TABLES.contains(&&upper(piece.text)[..]) {
            continue;
        }
        loop {
            let mut table = None;
            while let Some(piece) = told.peek()
                && !is_keyword(piece)
                && let Some(part) = name(piece.token, piece.text, dialect)
            {
                table = Some(part);
                told.next();
                if told.next_if(|piece| piece.text == b".").is_none() {
                    break;
                }
            }
            let Some(table) = table else { break };
            // ON DUPLICATE KEY UPDATE a = 1; a function
            if told.peek().is_some_and(|piece| matches!(piece.text, b"=")) {
                break;
            }
            tables.insert(table.clone(), table.clone());
            told.next_if(|piece| upper(piece.text) == "AS");
            if let Some(piece) = told.peek()
                && !is_keyword(piece)
                && let Some(alias) = name(piece.token, piece.text, dialect)
            {
                tables.insert(alias, table);
                told.next();
            }
            if told.next_if(|piece| piece.text == b",").is_none() {
                break;
            }
        }
    }
    tables
}

pub(super) fn is_keyword(piece: &Piece<'_>) -> bool {
    let word = upper(piece.text);
    piece.token.kind == Kind::Word
        && [
            CLAUSES,
            OPERATORS,
            KEYWORDS,
            &["VALUE", "NATURAL", "IF", "IGNORE"],
        ]
        .iter()
        .any(|words| words.contains(&&word[..]))
}
