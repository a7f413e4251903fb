//! The report as JUnit XML, as build servers read it.

use std::io;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use crate::gate::{Level, RuleOutcome};
use crate::outline::further;
use crate::report::{Finding, Report, Verdict};

/// The report as JUnit XML: a test for each endpoint that was compared, for each rule of the
/// gate, and one for the run. Findings are failures, what leaves a run inconclusive errors.
#[must_use]
pub fn junit(report: &Report) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory can't fail.
    let _ = write(report, &mut writer);
    let xml = String::from_utf8(writer.into_inner()).unwrap_or_default();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{xml}\n")
}

/// A test: its name, what is wrong, and what else there is to say.
struct Case {
    class: &'static str,
    name: String,
    wrong: Vec<Wrong>,
    told: Vec<String>,
    is_skipped: bool,
}

struct Wrong {
    is_error: bool,
    kind: String,
    message: String,
    text: String,
}

fn write(report: &Report, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
    let cases = cases(report);
    let with = |is_error: bool| {
        let of = |case: &&Case| case.wrong.iter().any(|wrong| wrong.is_error == is_error);
        cases.iter().filter(of).count().to_string()
    };
    let skipped = cases.iter().filter(|case| case.is_skipped).count();
    let attributes = [
        ("name", plain(&report.run)),
        ("tests", cases.len().to_string()),
        ("failures", with(false)),
        ("errors", with(true)),
        ("skipped", skipped.to_string()),
    ];
    let attributes = attributes.iter().map(|(key, value)| (*key, value.as_str()));
    let suites = writer.create_element("testsuites");
    suites
        .with_attributes(attributes.clone())
        .write_inner_content(|writer| {
            let mut suite = writer
                .create_element("testsuite")
                .with_attributes(attributes);
            if let Some(started) = &report.started {
                suite = suite.with_attribute(("timestamp", started.as_str()));
            }
            suite.write_inner_content(|writer| {
                cases.iter().try_for_each(|case| case.write(writer))
            })?;
            Ok(())
        })?;
    Ok(())
}

fn cases(report: &Report) -> Vec<Case> {
    let mut cases = vec![of_run(report)];
    let known: Vec<&str> = report
        .scope
        .endpoints
        .iter()
        .map(|row| row.endpoint.as_str())
        .collect();
    for row in &report.scope.endpoints {
        let mut case = of_endpoint(report, &row.endpoint);
        case.is_skipped = row.compared == 0 && case.wrong.is_empty();
        cases.push(case);
    }
    // Findings of no endpoint, such as the process.
    let mut others: Vec<&str> = report
        .findings
        .iter()
        .map(|finding| finding.endpoint.as_str())
        .filter(|endpoint| !known.contains(endpoint))
        .collect();
    others.sort_unstable();
    others.dedup();
    cases.extend(others.into_iter().map(|name| of_endpoint(report, name)));
    cases.extend(report.gate.iter().map(|rule| Case {
        class: "gate",
        name: rule.name.clone(),
        wrong: match rule.outcome {
            RuleOutcome::Held | RuleOutcome::Applied => Vec::new(),
            outcome @ (RuleOutcome::Failed | RuleOutcome::Doubted) => vec![Wrong {
                is_error: outcome == RuleOutcome::Doubted,
                kind: outcome.name().to_owned(),
                message: rule.statement.clone(),
                text: String::new(),
            }],
        },
        told: Vec::new(),
        is_skipped: false,
    }));
    let is_failure = |case: &Case| case.wrong.iter().any(|wrong| !wrong.is_error);
    if report.verdict == Verdict::Fail && !cases.iter().any(is_failure) {
        cases[0].wrong.push(failed_beyond(report));
    }
    cases
}

/// What a run fails by where no finding and no rule of the gate does: what was watched over the
/// whole of it. A build must not be green whose run is not.
fn failed_beyond(report: &Report) -> Wrong {
    let mut reasons = further(report).cloned();
    Wrong {
        is_error: false,
        kind: report.verdict.name().to_owned(),
        message: reasons.next().unwrap_or_default(),
        text: reasons.collect::<Vec<_>>().join("\n"),
    }
}

/// A run that can't tell is an error; most that fail have their failures elsewhere.
fn of_run(report: &Report) -> Case {
    let wrong = match report.verdict {
        Verdict::Inconclusive => vec![Wrong {
            is_error: true,
            kind: report.verdict.name().to_owned(),
            message: "the run says nothing of the candidate".to_owned(),
            text: further(report).cloned().collect::<Vec<_>>().join("\n"),
        }],
        Verdict::Pass | Verdict::Fail => Vec::new(),
    };
    Case {
        class: "run",
        name: "verdict".to_owned(),
        wrong,
        told: report.reasons.clone(),
        is_skipped: false,
    }
}

fn of_endpoint(report: &Report, endpoint: &str) -> Case {
    let findings = report.findings.iter();
    let of_it = findings.filter(|finding| finding.endpoint == endpoint);
    let (failing, told): (Vec<&Finding>, Vec<&Finding>) =
        of_it.partition(|finding| finding.level == Level::Fail);
    Case {
        class: "endpoint",
        name: endpoint.to_owned(),
        wrong: failing.into_iter().map(wrong).collect(),
        told: told
            .into_iter()
            .map(|finding| format!("{}: {}", finding.level.name(), finding.summary))
            .collect(),
        is_skipped: false,
    }
}

fn wrong(finding: &Finding) -> Wrong {
    let mut text = format!(
        "{} at {}\n{}\n",
        finding.kind, finding.location, finding.test.statement
    );
    if let Some(example) = finding.evidence.first() {
        text += &format!(
            "for example {} at {}: {}\nexchange {}, session {}\n",
            example.request, example.at, example.change, example.exchange, example.session
        );
    }
    Wrong {
        is_error: false,
        kind: finding.kind.name().to_owned(),
        message: format!("{}: {}", finding.id, finding.summary),
        text,
    }
}

impl Case {
    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let name = plain(&self.name);
        let case = writer
            .create_element("testcase")
            .with_attributes([("classname", self.class), ("name", name.as_str())]);
        case.write_inner_content(|writer| {
            for wrong in &self.wrong {
                wrong.write(writer)?;
            }
            if self.is_skipped {
                let message = ("message", "seen in production and not compared");
                writer
                    .create_element("skipped")
                    .with_attribute(message)
                    .write_empty()?;
            }
            if !self.told.is_empty() {
                let told = plain(&self.told.join("\n"));
                let out = writer.create_element("system-out");
                out.write_text_content(BytesText::new(&told))?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Wrong {
    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let (message, text) = (plain(&self.message), plain(&self.text));
        let element = match self.is_error {
            true => writer.create_element("error"),
            false => writer.create_element("failure"),
        };
        element
            .with_attributes([("type", self.kind.as_str()), ("message", message.as_str())])
            .write_text_content(BytesText::new(&text))?;
        Ok(())
    }
}

/// Without the characters that XML has no way to write (XML 1.0, section 2.2).
fn plain(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '\n' => char,
            '\u{fffe}' | '\u{ffff}' => ' ',
            char if char.is_control() => ' ',
            char => char,
        })
        .collect()
}
