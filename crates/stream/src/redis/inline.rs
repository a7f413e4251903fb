//! Commands as a person types them: words on a line.

/// The words of a line; None when its quotes don't match.
///
/// A word may hold parts in double quotes, with escapes, and in single quotes, where only the
/// quote itself is escaped. White space follows a closing quote.
pub(super) fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Some(words)
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    while let [first, after @ ..] = rest {
        match first {
            b'"' | b'\'' => {
                rest = quoted(*first, after, &mut word)?;
                let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
                return ends.then_some((word, rest));
            }
            byte if byte.is_ascii_whitespace() => break,
            byte => {
                word.push(*byte);
                rest = after;
            }
        }
    }
    Some((word, rest))
}

/// Takes text through the closing `quote`; gives what follows it.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [byte, after @ ..] if *byte == quote => return Some(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => {
                word.push(b'\'');
                rest = after;
            }
            [b'\\', b'x', high, low, after @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            [b'\\', byte, after @ ..] if quote == b'"' => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    byte => *byte,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10) & 0x0f,
    }
}

#[cfg(test)]
mod tests {
    use super::words;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(line: &str, expect: Expect) {
        let words = words(line.as_bytes()).map(|words| {
            let text = words.iter().map(|word| word.escape_ascii().to_string());
            text.collect::<Vec<_>>()
        });
        expect.assert_eq(&format!("{words:?}"));
    }

    #[test]
    fn words_and_quotes() {
        check("SET  a b ", expect![[r#"Some(["SET", "a", "b"])"#]]);
        check(
            r#"SET "a b" '' c"d e""#,
            expect![[r#"Some(["SET", "a b", "", "cd e"])"#]],
        );
        check(
            r#""\x41\n\"\q" 'it\'s \n'"#,
            expect![[r#"Some(["A\\n\\\"q", "it\\'s \\\\n"])"#]],
        );
        check(r#"SET "a"#, expect!["None"]);
        check(r#"SET "a"b"#, expect!["None"]);
        check("", expect!["Some([])"]);
    }
}
