//! Globs over leaf paths, names and request paths.

use serde::{Deserialize, Serialize};

/// A pattern: `*` stands for any run of characters but `/`, `**` for any run,
/// `?` for any one character but `/`; everything else stands for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(String);

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Glob, String> {
        if text.is_empty() {
            return Err("\"\" is no pattern: write `**` for everything".to_owned());
        }
        if text.contains("***") {
            return Err(format!("{text:?} is no pattern: write `*` or `**`"));
        }
        Ok(Glob(text))
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> String {
        glob.0
    }
}

impl Glob {
    /// True for the pattern that stands for any text.
    pub(crate) fn is_all(&self) -> bool {
        self.0 == "**"
    }

    /// The pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the pattern stands for all of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        matches(self.0.as_bytes(), text.as_bytes())
    }
}

/// Goes back to the last star, and from there to the last double star, so that
/// the time is bounded by the product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            double = Some((p + 2, t));
            star = None;
            p += 2;
            continue;
        }
        match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some(b'?'), Some(byte)) if *byte != b'/' => {
                p += 1;
                t += 1;
                continue;
            }
            (Some(wanted), Some(byte)) if wanted == byte => {
                p += 1;
                t += 1;
                continue;
            }
            _ => (),
        }
        match (star, double) {
            (Some((after, from)), _) if text.get(from).is_some_and(|&byte| byte != b'/') => {
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            (_, Some((after, from))) if from < text.len() => {
                double = Some((after, from + 1));
                star = None;
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let glob = Glob::try_from(pattern.to_owned()).unwrap();
        for text in yes {
            assert!(glob.matches(text), "{pattern} {text}");
        }
        for text in no {
            assert!(!glob.matches(text), "{pattern} {text}");
        }
    }

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        check(
            "header.x-*",
            &["header.x-", "header.x-id"],
            &["header.host", "header.x-a/b"],
        );
        check(
            "json./items/*/id",
            &["json./items/*/id"],
            &["json./items/id", "json./items/*/a/id"],
        );
        check("json.**", &["json.", "json./a/b"], &["form.a"]);
        check(
            "json.**/id",
            &["json./id", "json./a/b/id"],
            &["json./a/idx"],
        );
        check(
            "/a/*/c/**",
            &["/a/b/c/", "/a/b/c/d/e"],
            &["/a/b/c", "/a/b/b/c/d"],
        );
        check("*token*", &["token", "csrf-token-2"], &["tok"]);
        check("?d", &["id"], &["d", "aid", "/d"]);
        check("**a*b", &["ab", "x/a/ab", "aab"], &["a/b"]);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert!(Glob::try_from(String::new()).is_err());
        assert!(Glob::try_from("a***".to_owned()).is_err());
    }
}
