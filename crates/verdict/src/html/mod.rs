//! The report as one page: no scripts, nothing from elsewhere.

mod again;
mod apart;
mod business;
mod chart;
#[cfg(test)]
mod contrast;
mod errors;
mod finding;
mod gate;
mod ledger;
mod number;
mod resources;
mod scope;
mod second;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html as page};

use crate::outline::{fired_again, further, level_note};
use crate::reasons::percent;
use crate::report::{Report, Verdict};
use number::count;

/// One self-contained page, for screens of any width and for paper.
#[must_use]
pub fn html(report: &Report) -> String {
    let markup = page! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (headline(report.verdict)) " · Twintap" }
                // The style sheet is a constant of this crate.
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                (top(report))
                main {
                    (reasons(report))
                    @if !report.findings.is_empty() {
                        section id="findings" {
                            h2 { "Findings" }
                            @for finding in &report.findings {
                                (finding::article(finding, report))
                            }
                        }
                    }
                    @if !report.not_reproduced.is_empty() {
                        section id="not-reproduced" {
                            h2 { "Not reproduced" }
                            p.small { "One session alone showed each of these, and did not show it again when it was fired again at fresh twins: a fault that comes once in a long while, or a hiccup of the machine. None is held against the candidate." }
                            @for finding in &report.not_reproduced { (finding::article(finding, report)) }
                        }
                    }
                    (gate::section(report))
                    (business::section(report))
                    (apart::section(report))
                    (errors::section(report))
                    (tables::latency(report))
                    (resources::section(report))
                    (tables::fidelity(report))
                    (second::section(report))
                    (ledger::section(report))
                    (tables::timing(report))
                    (tables::scope(report))
                    (tables::masked(report))
                    (about(report))
                }
                (footer(report))
            }
        }
    };
    markup.into_string()
}

fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Pass",
        Verdict::Fail => "Fail",
        Verdict::Inconclusive => "Inconclusive",
    }
}

fn top(report: &Report) -> Markup {
    let sentence = match report.verdict {
        Verdict::Pass if report.findings.is_empty() => {
            "answers as the release of today does, the baseline."
        }
        Verdict::Pass => {
            "differs from the release of today, the baseline, as listed below, and the gate fails none of it."
        }
        Verdict::Fail => {
            "would break what is listed below. The release of today, the baseline, does not."
        }
        Verdict::Inconclusive => "was not judged: this run can’t say whether it is sound.",
    };
    let candidate = match report.twins.candidate.name.as_str() {
        "" => "The candidate ".to_owned(),
        name => format!("The candidate ({name}) "),
    };
    page! {
        header class=(report.verdict.name()) {
            div {
                p.run {
                    "Twintap"
                    @if !report.run.is_empty() { " · run " (report.run) }
                    @if let Some(started) = &report.started { " · " time datetime=(started) { (started) } }
                }
                h1 { (headline(report.verdict)) }
                p.said { (candidate) (sentence) }
                dl {
                    div { dt { "Findings" } dd { (count(report.findings.len() as u64)) } }
                    div { dt { "Baseline as production" } dd { (percent(report.fidelity)) } }
                    div { dt { "Exchanges compared" } dd { (count(report.scope.compared)) } }
                    @if report.scope.warm_up > 0 {
                        div { dt { "Warm-up, not judged" } dd { (count(report.scope.warm_up)) } }
                    }
                    div { dt { "Sessions" } dd { (count(report.scope.sessions)) } }
                }
                nav aria-label="Sections" {
                    @if !report.findings.is_empty() { a href="#findings" { "Findings" } }
                    @if !report.not_reproduced.is_empty() { a href="#not-reproduced" { "Not reproduced" } }
                    @if gate::is_shown(report) { a href="#gate" { "Gate" } }
                    @if business::is_shown(report) { a href="#business" { "Business figures" } }
                    @if apart::is_shown(report) { a href="#apart" { "Apart" } }
                    a href="#errors" { "Errors" }
                    a href="#latency" { "Latency" }
                    @if resources::is_shown(report) { a href="#resources" { "Resources" } }
                    a href="#fidelity" { "Fidelity" }
                    @if report.second_baseline.is_some() { a href="#second-baseline" { "Second baseline" } }
                    a href="#ledgers" { "Ledgers" }
                    a href="#timing" { "Timing" }
                    a href="#scope" { "Scope" }
                    a href="#masked" { "Masked" }
                    a href="#about" { "This run" }
                }
            }
        }
    }
}

fn reasons(report: &Report) -> Markup {
    // Each finding is a reason, and has its own place below.
    page! {
        section aria-labelledby="why" {
            h2 id="why" { "Why" }
            ul {
                @for finding in &report.findings {
                    li {
                        a href={ "#" (finding.id) } { (finding.id) } ": " (finding.summary)
                        (level_note(finding.level))
                    }
                }
                @for reason in further(report) { li { (reason) } }
            }
            @if let Some(confirmation) = &report.confirmation {
                p.small { strong { "Fired again. " } (fired_again(confirmation)) }
            }
        }
    }
}

fn about(report: &Report) -> Markup {
    let options = &report.options;
    page! {
        section id="about" {
            h2 { "This run" }
            div.scroll tabindex="0" role="region" aria-label="Facts of this run" {
                table {
                    caption.unseen { "Facts of this run" }
                    tbody {
                        (fact("Candidate", &target(&report.twins.candidate)))
                        (fact("Baseline", &target(&report.twins.baseline)))
                        @if let Some(second) = &report.twins.second_baseline {
                            (fact("Second baseline", &target(second)))
                        }
                        (fact("Captured by", report.capture_source.name()))
                        (fact("Began", report.started.as_deref().unwrap_or("not stated")))
                        (fact("Ended", report.ended.as_deref().unwrap_or("not stated")))
                        (fact("Scrubbing policy", report.policy.as_deref().unwrap_or("not stated")))
                        (fact("Twins’ state scrubbed", match report.twin_state_scrubbed {
                            Some(true) => "yes, by the same policy",
                            Some(false) => "no",
                            None => "not stated",
                        }))
                        (fact("Values bound, unbound", &format!(
                            "{}, {}",
                            count(report.correlation.bound),
                            count(report.correlation.unbound)
                        )))
                        (fact("Fidelity floor", &percent(options.fidelity_floor)))
                        (fact("Level of significance", &options.level.to_string()))
                        (fact("Headers not compared", &options.ignored_headers.join(", ")))
                        (fact("Headers compared by presence and kind", &options.volatile_headers.join(", ")))
                    }
                }
            }
            @if !report.reproduce.is_empty() {
                h3 { "Do it again" }
                pre tabindex="0" { @for line in &report.reproduce { (line) "\n" } }
            }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    page! { tr { th scope="row" { (name) } td { (value) } } }
}

fn target(target: &crate::facts::Target) -> String {
    match (target.name.as_str(), target.address.as_str()) {
        ("", "") => "not stated".to_owned(),
        (name, "") => name.to_owned(),
        ("", address) => address.to_owned(),
        (name, address) => format!("{name} at {address}"),
    }
}

fn footer(report: &Report) -> Markup {
    page! {
        footer {
            p {
                "Twintap " (report.tool_version) ". Everything shown was scrubbed before it was stored. "
                "Signal is the candidate against the baseline, noise the baseline against production"
                @if report.second_baseline.is_some() { " and against a second baseline" }
                "; "
                "a finding is what noise does not explain."
            }
        }
    }
}
