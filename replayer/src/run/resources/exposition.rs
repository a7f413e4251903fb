//! Metrics as text (the text-based format of Prometheus, version 0.0.4).

use std::str::FromStr;

/// Which series are meant: a metric's name, and labels that they must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    name: String,
    labels: Vec<(String, String)>,
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Selector, String> {
        let parsed = series(text.trim()).filter(|(_, rest)| rest.is_empty());
        let (selector, _) = parsed.ok_or_else(|| {
            format!("{text:?} names no metric; write `name` or `name{{label=\"value\"}}`")
        })?;
        Ok(selector)
    }
}

impl Selector {
    /// The name of the metric.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sum of all series that are meant; none where there is none.
    pub fn sum(&self, text: &str) -> Option<f64> {
        let lines = text.lines().map(str::trim);
        let values = lines
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (found, rest) = series(line)?;
                let has = |label| found.labels.contains(label);
                let is_meant = found.name == self.name && self.labels.iter().all(has);
                let value = rest.split_whitespace().next()?;
                value.parse::<f64>().ok().filter(|_| is_meant)
            });
        let finite = values.filter(|value| value.is_finite());
        finite.reduce(|sum, value| sum + value)
    }
}

/// A name with its labels, and what follows.
fn series(text: &str) -> Option<(Selector, &str)> {
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':');
    let (name, mut rest) = text.split_at(text.find(|char| !is_of_name(char)).unwrap_or(text.len()));
    if name.is_empty() {
        return None;
    }
    let mut labels = Vec::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        loop {
            inner = inner.trim_start_matches([' ', ',']);
            if let Some(after) = inner.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = inner.split_once('=')?;
            let (value, after) = quoted(after.trim_start())?;
            labels.push((label.trim().to_owned(), value));
            inner = after;
        }
    }
    let name = name.to_owned();
    Some((Selector { name, labels }, rest))
}

/// What stands between quotes, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 2.5e+07
pool_open{pool="a,b}",state="idle"} 3 1700000000000
pool_open{pool="a,b}",state="used"} 4
pool_open{pool="say \"c\"" , state="used"} NaN
pool_open_most 99
broken{pool="a
"#;

    fn sum(selector: &str) -> Option<f64> {
        selector.parse::<Selector>().expect("it is one").sum(TEXT)
    }

    #[test]
    fn series_are_summed_by_name_and_labels() {
        assert_eq!(sum("process_resident_memory_bytes"), Some(2.5e7));
        assert_eq!(sum("pool_open"), Some(7.0));
        assert_eq!(sum(r#"pool_open{state="used"}"#), Some(4.0));
        assert_eq!(sum(r#"pool_open{pool="a,b}", state="idle"}"#), Some(3.0));
        assert_eq!(sum(r#"pool_open{pool="say \"c\""}"#), None);
        assert_eq!(sum("broken"), None);
        assert_eq!(sum("nothing"), None);
    }

    #[test]
    fn what_names_no_metric_is_refused() {
        for text in ["", "{a=\"b\"}", "name{a=b}", "name 7", "name{a=\"b\""] {
            assert!(text.parse::<Selector>().is_err(), "{text:?}");
        }
    }
}
