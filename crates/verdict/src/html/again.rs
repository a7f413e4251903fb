//! How an exchange came about, and how to do it again.

use maud::{Markup, html as page};

use crate::evidence::Evidence;
use crate::report::Report;

/// Fields that a client writes by itself, or that go with one connection.
const OWN_FIELDS: [&str; 5] = [
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
];
/// The end of what was cut.
const CUT: char = '…';

/// What the example's session did before it, where that is known.
pub(super) fn session(example: &Evidence) -> Markup {
    if example.before.is_empty() {
        return page! {};
    }
    page! {
        details {
            summary.small { "What its session did before" }
            div.scroll tabindex="0" role="region" aria-label={ "Session " (example.session) " before the exchange" } {
                table {
                    caption { "The last steps of session " code { (example.session) } }
                    thead {
                        tr {
                            th.n scope="col" { "Place" }
                            th scope="col" { "Request" }
                            th scope="col" { "Baseline" }
                            th scope="col" { "Candidate" }
                        }
                    }
                    tbody {
                        @for step in &example.before {
                            tr {
                                td.n { (step.position) }
                                th scope="row" { code { (step.request) } }
                                td { (step.baseline) }
                                td {
                                    @if step.candidate == step.baseline { (step.candidate) }
                                    @else { strong.open { (step.candidate) " (differs)" } }
                                }
                            }
                        }
                        tr {
                            td.n { (example.position) }
                            th scope="row" { strong { "this exchange" } }
                            td { (status(example.baseline.status)) }
                            td { (status(example.candidate.status)) }
                        }
                    }
                }
            }
        }
    }
}

fn status(status: Option<u16>) -> String {
    status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())
}

/// Commands that send the request by itself.
pub(super) fn commands(example: &Evidence, report: &Report) -> Markup {
    let twins = [
        ("candidate", &report.twins.candidate),
        ("baseline", &report.twins.baseline),
    ];
    let lines: Vec<(&str, String)> = twins
        .into_iter()
        .filter_map(|(twin, target)| Some((twin, curl(example, &target.address)?)))
        .collect();
    page! {
        @if !lines.is_empty() {
            details {
                summary.small { "Send it by hand" }
                p.small {
                    "The request as it was recorded and scrubbed: ids and tokens that a twin gave in the run are another’s."
                }
                @for (twin, line) in &lines {
                    p.small { "At the " (twin) ":" }
                    pre tabindex="0" { (line) }
                }
            }
        }
    }
}

/// The request as a command line for `curl`; none where not all of it is known.
fn curl(example: &Evidence, address: &str) -> Option<String> {
    let mut parts = example.request.split(' ');
    let (method, target) = (parts.next()?, parts.next()?);
    let (head, body) = (&example.request_head, &example.request_body);
    let is_cut = |text: &str| text.ends_with(CUT) || (text.starts_with('(') && text.ends_with(')'));
    if address.is_empty() || !target.starts_with('/') || [head, body].iter().any(|it| is_cut(it)) {
        return None;
    }
    // Without a scheme it is plain HTTP to curl.
    let mut line = format!(
        "curl -i -X {method} {}",
        quoted(&format!("{address}{target}"))
    );
    for field in head.lines() {
        let name = field.split(':').next().unwrap_or_default();
        if !OWN_FIELDS.contains(&name.to_ascii_lowercase().as_str()) {
            line.push_str(" \\\n  -H ");
            line.push_str(&quoted(field));
        }
    }
    if !body.is_empty() {
        line.push_str(" \\\n  --data-raw ");
        line.push_str(&quoted(body));
    }
    Some(line)
}

/// One word of a POSIX shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Excerpt;

    fn example(head: &str, body: &str) -> Evidence {
        Evidence {
            exchange: String::new(),
            session: String::new(),
            position: 0,
            recorded: String::new(),
            at: String::new(),
            change: String::new(),
            request: "PUT /names/O'Hara HTTP/1.1".to_owned(),
            request_head: head.to_owned(),
            request_body: body.to_owned(),
            production: Excerpt::default(),
            baseline: Excerpt::default(),
            candidate: Excerpt::default(),
            races: Vec::new(),
            before: Vec::new(),
        }
    }

    #[test]
    fn what_is_in_a_request_stays_data_to_the_shell() {
        let line = curl(&example("Host: a\nX-Name: it's", "a=$(b)"), "127.0.0.1:80");
        let expected = r"curl -i -X PUT '127.0.0.1:80/names/O'\''Hara' \
  -H 'X-Name: it'\''s' \
  --data-raw 'a=$(b)'";
        assert_eq!(line.as_deref(), Some(expected));
        let line = curl(&example("", ""), "https://twin.example");
        let expected = r"curl -i -X PUT 'https://twin.example/names/O'\''Hara'";
        assert_eq!(line.as_deref(), Some(expected));
    }

    #[test]
    fn what_was_cut_or_has_no_address_is_not_offered() {
        assert_eq!(curl(&example("", "begins…"), "a:1"), None);
        assert_eq!(curl(&example("X: begins…", ""), "a:1"), None);
        assert_eq!(curl(&example("", "(7 bytes, not kept)"), "a:1"), None);
        assert_eq!(curl(&example("", ""), ""), None);
    }
}
