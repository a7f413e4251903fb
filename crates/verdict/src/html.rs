//! The report as one page.

use maud::{DOCTYPE, html as page};

use crate::report::Report;

/// One self-contained page.
#[must_use]
pub fn html(report: &Report) -> String {
    let markup = page! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "Twintap: " (report.verdict.name()) }
            }
            body { pre { (crate::text::text(report)) } }
        }
    };
    markup.into_string()
}
