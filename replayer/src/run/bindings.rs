//! Bindings files (docs/bindings.md).

use std::path::Path;

use anyhow::{Result, bail};
use serde::Deserialize;
use twintap_plan::BindingRule;
use twintap_plan::rules::MOST_RULES;

use super::values::Version;
use super::yaml;

const WHAT: &str = "bindings file";

/// A bindings file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BindingsFile {
    #[serde(rename = "version")]
    _version: Version,
    bindings: Vec<BindingRule>,
}

/// Reads a bindings file.
///
/// # Errors
/// When it can't be read, or says what no bindings file may: the text names line
/// and key.
pub fn read(path: &Path) -> Result<Vec<BindingRule>> {
    let file: BindingsFile = yaml::read(path, WHAT)?;
    checked(file, &path.display().to_string())
}

fn checked(file: BindingsFile, source: &str) -> Result<Vec<BindingRule>> {
    let count = file.bindings.len();
    if count > MOST_RULES {
        bail!("{source}: {count} bindings are more than the {MOST_RULES} that a file may have");
    }
    Ok(file.bindings)
}

#[cfg(test)]
mod tests {
    use twintap_plan::RuleAction;

    use super::*;

    fn parse(text: &str, source: &str) -> Result<Vec<BindingRule>> {
        checked(yaml::parse(text, source, WHAT)?, source)
    }

    #[test]
    fn a_file_is_read() {
        let text = "version: 1\nbindings:\n  \
            - {action: forbid, consumer: {leaf: query.page}}\n  \
            - action: pin\n    consumer: {method: POST, path: /cart/*, leaf: json./token}\n    \
              producer: {path: /login, leaf: json./session}\n";
        let rules = parse(text, "b.yaml").expect("a sound bindings file");
        let actions: Vec<RuleAction> = rules.iter().map(|rule| rule.action).collect();
        assert_eq!(actions, [RuleAction::Forbid, RuleAction::Pin]);
        let consumer = &rules[1].consumer;
        assert_eq!(consumer.method.as_deref(), Some("POST"));
        assert!(consumer.leaf.matches("json./token"));
    }

    #[track_caller]
    fn check_error(rule: &str, expected: &[&str]) {
        let text = format!("version: 1\nbindings:\n  - {rule}\n");
        let error = parse(&text, "b.yaml").expect_err("a faulty bindings file");
        let error = format!("{error:#}");
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    #[test]
    fn errors_name_the_line_and_what_would_be_right() {
        check_error(
            "{action: forbid, consumer: {leaf: a, host: b}}",
            &["line 3", "host"],
        );
        check_error("{action: hold, consumer: {leaf: a}}", &["line 3", "pin"]);
        check_error("{action: pin, consumer: {leaf: a}}", &["needs `producer`"]);
        check_error(
            "{action: forbid, consumer: {leaf: ''}}",
            &["write `**` for everything"],
        );
        let version = parse("version: 2\nbindings: []\n", "b.yaml").expect_err("another version");
        assert!(format!("{version:#}").contains("must be 1"), "{version:#}");
        let rule = "  - {action: forbid, consumer: {leaf: a}}\n";
        let many = format!("version: 1\nbindings:\n{}", rule.repeat(256));
        let many = parse(&many, "b.yaml").expect_err("too many");
        assert!(format!("{many:#}").contains("256 bindings"), "{many:#}");
    }
}
