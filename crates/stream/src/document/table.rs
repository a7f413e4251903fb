//! The table that a statement is about.

/// Words after which a table's name comes.
const BEFORE_TABLES: &[&str] = &["FROM", "INTO", "JOIN", "UPDATE"];

/// The only table that a statement names, without its schema's name; none where it names several,
/// or reads from something else. `folds_case` where names without quotes are in small letters, as
/// PostgreSQL has them; else texts may stand in double quotes.
pub(super) fn only_table(statement: &[u8], folds_case: bool) -> Option<String> {
    let statement = std::str::from_utf8(statement).ok()?;
    let shown = without_texts(statement, folds_case)?;
    let is_part = |char: char| char.is_alphanumeric() || "_$.\"`".contains(char);
    let mut words = shown
        .split(|char: char| char.is_whitespace() || "(;".contains(char))
        .filter(|word| !word.is_empty());
    let mut only: Option<&str> = None;
    while let Some(word) = words.next() {
        if !BEFORE_TABLES.contains(&&word.to_ascii_uppercase()[..]) {
            continue;
        }
        let name = words.next()?;
        let is_list = name.ends_with(',');
        let name = name.trim_end_matches([',', ')']);
        if is_list || !name.chars().all(is_part) {
            return None;
        }
        if only.is_some_and(|only| only != name) {
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
    use super::only_table;

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
