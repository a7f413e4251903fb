//! Statements without their values.

use super::super::lex::Kind;
use super::super::{Dialect, upper};
use super::clauses::is_keyword;
use super::{Piece, pieces, tokens};

/// Words that are no part of clauses.
const VERBS: &[&str] = &[
    "ALTER",
    "BEGIN",
    "CALL",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DO",
    "DROP",
    "EXPLAIN",
    "INSERT",
    "REPLACE",
    "ROLLBACK",
    "SHOW",
    "START",
    "TRANSACTION",
    "UPDATE",
    "USE",
    "WITH",
];

/// A statement of MySQL or PostgreSQL with `?` for its literals and parameters: lists of them are
/// one, white space is one space, comments are none, and keywords are in capitals. None where it
/// can't be read.
#[must_use]
pub fn fingerprint(statement: &str, is_mysql: bool) -> Option<String> {
    let dialect = match is_mysql {
        true => Dialect::Mysql,
        false => Dialect::Postgres,
    };
    let tokens = tokens(statement.as_bytes(), dialect)?;
    let pieces = pieces(statement.as_bytes(), &tokens);
    let mut words: Vec<String> = Vec::new();
    let mut is_parameter = false;
    // Whether white space came since the last word.
    let mut is_apart = false;
    for piece in &pieces {
        let was_parameter = std::mem::take(&mut is_parameter);
        let text = String::from_utf8_lossy(piece.text);
        let word = match piece.token.kind {
            Kind::Space => {
                is_apart = true;
                continue;
            }
            Kind::Number if was_parameter => continue,
            Kind::Text(_) | Kind::Number => "?".to_owned(),
            Kind::Mark if piece.text == b"$" && dialect == Dialect::Postgres => {
                is_parameter = true;
                "?".to_owned()
            }
            Kind::Word if is_capital(piece) => upper(piece.text),
            Kind::End => continue,
            Kind::Word | Kind::Name | Kind::Mark => text.into_owned(),
        };
        push(&mut words, word, std::mem::take(&mut is_apart));
    }
    Some(one_of_each_list(&words.concat()))
}

fn is_capital(piece: &Piece<'_>) -> bool {
    is_keyword(piece) || VERBS.contains(&&upper(piece.text)[..])
}

/// Adds a word, with a space before it where one belongs.
fn push(words: &mut Vec<String>, word: String, is_apart: bool) {
    let is_operator = |word: &str| matches!(word, "=" | "<" | ">" | "!" | "~");
    let last = words.last().map_or("", String::as_str);
    let is_tight = matches!(last, "" | "(" | ".") || matches!(&word[..], "," | ")" | "." | ";");
    let is_loose = match (is_operator(last), is_operator(&word)) {
        (true, true) => false,
        (true, false) | (false, true) => true,
        (false, false) => is_apart || last == ",",
    };
    if is_loose && !is_tight {
        words.push(" ".to_owned());
    }
    words.push(word);
}

/// `(?, ?, ?)` as `(?)`, and several of these as one.
fn one_of_each_list(text: &str) -> String {
    let mut text = text.to_owned();
    while text.contains("?, ?") {
        text = text.replace("?, ?", "?");
    }
    while text.contains("(?), (?)") {
        text = text.replace("(?), (?)", "(?)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn values_lists_and_spelling_make_no_difference() {
        for (statement, expected) in [
            (
                "select name from users where id=$1",
                "SELECT name FROM users WHERE id = ?",
            ),
            (
                "SELECT  name\nFROM users /* x */ WHERE id = 17;",
                "SELECT name FROM users WHERE id = ?",
            ),
            (
                "SELECT count(*) FROM t WHERE a IN (1, 2,3) and b >= 'x''y'",
                "SELECT count(*) FROM t WHERE a IN (?) AND b >= ?",
            ),
            (
                "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')",
                "INSERT INTO t (a, b) VALUES (?)",
            ),
            (
                "UPDATE t SET \"A\" = 1, b=$2 LIMIT 5",
                "UPDATE t SET \"A\" = ?, b = ? LIMIT ?",
            ),
        ] {
            assert_eq!(fingerprint(statement, false).as_deref(), Some(expected));
        }
        let mysql = fingerprint("SELECT `a` FROM t WHERE b = \"x\" AND c = ?", true);
        assert_eq!(
            mysql.as_deref(),
            Some("SELECT `a` FROM t WHERE b = ? AND c = ?")
        );
        assert_eq!(fingerprint("SELECT 'open", false), None);
    }
}
