//! Statements of SQL that no run repeats.

use twintap_plan::SkipReason;

/// What statements begin with that are not fired, and why: those that hand over to another
/// protocol, those that make the server reach for others, and those about the server and who may
/// log in there.
const BEGINS: &[(SkipReason, &[&str])] = &[
    (
        SkipReason::Stream,
        &[
            "COPY",
            "LISTEN",
            "LOAD DATA",
            "LOAD XML",
            "START_REPLICATION",
        ],
    ),
    (
        SkipReason::Administration,
        &[
            "ALTER ROLE",
            "ALTER SERVER",
            "ALTER SUBSCRIPTION",
            "ALTER SYSTEM",
            "ALTER USER",
            "CHANGE MASTER",
            "CHANGE REPLICATION",
            "CREATE ROLE",
            "CREATE SERVER",
            "CREATE SUBSCRIPTION",
            "CREATE USER",
            "DROP ROLE",
            "DROP SERVER",
            "DROP SUBSCRIPTION",
            "DROP USER",
            "GRANT",
            "INSTALL",
            "KILL",
            "RESET MASTER",
            "REVOKE",
            "SET GLOBAL",
            "SET PASSWORD",
            "SET PERSIST",
            "SHUTDOWN",
            "START REPLICA",
            "START SLAVE",
            "STOP REPLICA",
            "STOP SLAVE",
            "UNINSTALL",
        ],
    ),
];

/// Why none of a text's statements is fired, where one is not to be. What follows a semicolon
/// counts as a statement, also where it is in a string.
pub(crate) fn unrepeated(text: &[u8]) -> Option<SkipReason> {
    let statements = text.split(|byte| *byte == b';');
    let mut begins = statements.map(begin);
    begins.find_map(|begin| {
        let mut kinds = BEGINS.iter();
        let is_it = |known: &&str| {
            let rest = begin.strip_prefix(*known);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        kinds.find_map(|(reason, known)| known.iter().any(is_it).then_some(*reason))
    })
}

/// The first three words of a statement, in capitals, without comments before them.
fn begin(statement: &[u8]) -> String {
    let mut rest = statement;
    loop {
        rest = rest.trim_ascii_start();
        let comment_end = match rest {
            [b'-', b'-', ..] | [b'#', ..] => memchr::memchr(b'\n', rest).map(|end| end + 1),
            [b'/', b'*', ..] => memchr::memmem::find(rest, b"*/").map(|end| end + 2),
            [b'(', ..] => Some(1),
            _ => break,
        };
        rest = comment_end.map_or(&[][..], |end| &rest[end..]);
    }
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let words = rest.split(|byte| !is_of_word(byte));
    let words = words.filter(|word| !word.is_empty()).take(3);
    let words: Vec<String> = words
        .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_fired_is_told_by_how_it_begins() {
        let (stream, administration) = (SkipReason::Stream, SkipReason::Administration);
        for (text, expected) in [
            ("SELECT 1", None),
            ("copy orders from stdin", Some(stream)),
            (
                "/* nightly */ -- all\n COPY(SELECT 1) TO STDOUT",
                Some(stream),
            ),
            ("SELECT 1; alter  system SET x = 1", Some(administration)),
            ("ALTER TABLE t ADD x int", None),
            ("CREATE USER\tada", Some(administration)),
            ("INSERT INTO copy VALUES (1)", None),
            ("grants", None),
            ("", None),
            ("/* never ends", None),
        ] {
            assert_eq!(unrepeated(text.as_bytes()), expected, "{text}");
        }
    }
}
