//! Words of commands that a user may give a shell.

/// A word that a shell (POSIX) takes for one.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=~+,".contains(c);
    if !word.is_empty() && !word.starts_with('~') && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_part_them() {
        assert_eq!(quoted("path=/a/b"), "path=/a/b");
        assert_eq!(quoted("path=/a b's"), r"'path=/a b'\''s'");
        assert_eq!(quoted("~/runs/a.yaml"), "'~/runs/a.yaml'");
        assert_eq!(quoted(""), "''");
    }
}
