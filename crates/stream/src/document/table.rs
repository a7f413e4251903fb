//! What a statement tells of its rows.

/// Words after which a table's name comes.
const BEFORE_TABLES: &[&str] = &["FROM", "INTO", "JOIN", "UPDATE"];

/// What a statement tells of its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The table that they are of, where it is one.
    pub table: Option<String>,
    /// Their order says nothing: nothing was asked for.
    pub is_unordered: bool,
    /// MySQL's statement: what has no name there is called by its own text, a value perhaps.
    pub text: Option<String>,
}

impl Told {
    /// The name of a column that has this number, from 1: not the text of a value.
    pub fn column(&self, name: String, number: usize) -> String {
        let is_value = |text: &String| {
            ["'", "\""]
                .iter()
                .any(|quote| text.contains(&format!("{quote}{name}{quote}")))
        };
        match self.text.as_ref().is_some_and(is_value) {
            true => format!("column{number}"),
            false => name,
        }
    }
}

/// Reads a statement of PostgreSQL (`folds_case`) or MySQL.
pub(super) fn told(statement: &[u8], folds_case: bool) -> Told {
    let text = String::from_utf8_lossy(statement).to_ascii_uppercase();
    let words: Vec<&str> = text.split_whitespace().take(MOST_WORDS).collect();
    let is_query = matches!(words.first(), Some(&("SELECT" | "WITH" | "TABLE")));
    // Those of EXPLAIN and SHOW have an order of their own.
    let is_ordered = words.windows(2).any(|pair| pair == ["ORDER", "BY"]);
    Told {
        table: only_table(statement, folds_case),
        is_unordered: is_query && !is_ordered && words.len() < MOST_WORDS,
        text: (!folds_case).then(|| String::from_utf8_lossy(statement).into_owned()),
    }
}

/// Statements of more words are not read to tell whether they sort.
const MOST_WORDS: usize = 10_000;

/// The only table that a statement names, without its schema's name; none where it names several,
/// or reads from something else. `folds_case` where names without quotes are in small letters, as
/// PostgreSQL has them; else texts may stand in double quotes.
fn only_table(statement: &[u8], folds_case: bool) -> Option<String> {
    let statement = std::str::from_utf8(statement).ok()?;
    let shown = without_texts(statement, folds_case)?
        .replace('(', " ( ")
        .replace(',', " , ");
    let is_part = |char: char| char.is_alphanumeric() || "_$.\"`".contains(char);
    let mut words = shown
        .split(|char: char| char.is_whitespace() || char == ';')
        .filter(|word| !word.is_empty());
    let mut only: Option<&str> = None;
    while let Some(word) = words.next() {
        if !BEFORE_TABLES.contains(&&word.to_ascii_uppercase()[..]) {
            continue;
        }
        let name = words.next()?;
        let name = name.trim_end_matches(')');
        if !name.chars().all(is_part) {
            return None;
        }
        if only.is_some_and(|only| only != name) {
            return None;
        }
        // After the name there may be another for it, and then a further table.
        let is_list = words
            .clone()
            .take(3)
            .take_while(|word| *word != "(" && !word.eq_ignore_ascii_case("SET"))
            .any(|word| word == ",");
        if is_list {
            return None;
        }
        only = Some(name);
    }
    let last = only?.rsplit('.').next()?;
    let bare = last.trim_matches(['"', '`']);
    let name = match bare.len() == last.len() && folds_case {
        true => bare.to_ascii_lowercase(),
        false => bare.to_owned(),
    };
    (!name.is_empty()).then_some(name)
}

/// The statement without its texts, in which anything may stand; none where it is not plain what
/// is a text.
fn without_texts(statement: &str, folds_case: bool) -> Option<String> {
    let is_dark = ["\\", "--", "/*", "#", "$$"]
        .iter()
        .any(|mark| statement.contains(mark))
        || !folds_case && statement.contains('"');
    let tags = statement.match_indices('$');
    let has_tag = tags.into_iter().any(|(at, _)| {
        let next = statement.as_bytes().get(at + 1);
        !next.is_some_and(u8::is_ascii_digit)
    });
    // Two quotes in a row, which are one in the text, close and open it again.
    let shown: Vec<&str> = statement.split('\'').step_by(2).collect();
    (!is_dark && !has_tag).then(|| shown.join(" ? "))
}

#[cfg(test)]
mod tests {
    use super::{only_table, told};

    #[test]
    fn rows_have_an_order_where_one_was_asked_for() {
        for (statement, is_unordered) in [
            ("select a from t", true),
            ("SELECT a FROM t ORDER\n BY a", false),
            ("SHOW TABLES", false),
            ("INSERT INTO t VALUES (1) RETURNING a", false),
        ] {
            let told = told(statement.as_bytes(), true);
            assert_eq!(told.is_unordered, is_unordered, "{statement}");
        }
    }

    #[test]
    fn of_one_table_its_name() {
        for (statement, table) in [
            ("SELECT a FROM users WHERE b = 1", Some("users")),
            ("select a from public.Users u", Some("users")),
            ("SELECT a FROM \"Users\" WHERE b = $1", Some("Users")),
            ("SELECT `a` FROM `shop`.`Users`;", Some("Users")),
            ("INSERT INTO orders(id) VALUES (1)", Some("orders")),
            ("UPDATE t SET a = 1", Some("t")),
            ("SELECT 1 FROM a, b", None),
            ("SELECT 1 FROM a , b", None),
            ("SELECT p.name FROM users u, patients p", None),
            ("SELECT 1 FROM users AS u ,patients", None),
            ("UPDATE t SET a=1, b=2", Some("t")),
            ("SELECT 1 FROM a JOIN b ON a.x = b.x", None),
            ("SELECT 1 FROM (SELECT 2) s", None),
            ("SELECT 1", None),
            ("SELECT a FROM", None),
            ("SELECT 'x FROM ann y'", None),
            ("SELECT 'it''s FROM ann y', b FROM t", Some("t")),
            ("SELECT 'it\\' FROM ann y'", None),
            ("SELECT $$x FROM ann y$$", None),
            ("SELECT 1 -- FROM ann", None),
        ] {
            assert_eq!(
                only_table(statement.as_bytes(), true).as_deref(),
                table,
                "{statement}"
            );
        }
    }
}
