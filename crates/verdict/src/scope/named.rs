//! The endpoints of a run that an incident means, however it names them.

use crate::endpoint::path_of;
use crate::pattern::Pattern;
use crate::report::{EndpointScope, Report};

/// What an incident calls an endpoint, and the endpoints of a run that it means.
pub(super) struct Named<'a> {
    /// As the incident has it.
    pub(super) text: &'a str,
    /// Whether there is a report that says what the run had.
    pub(super) has_report: bool,
    /// The endpoints of the run; none where none is meant.
    pub(super) rows: Vec<&'a EndpointScope>,
}

impl<'a> Named<'a> {
    /// Takes a name as an endpoint's own, else as a request to one, else as a pattern.
    pub(super) fn new(text: &'a str, report: Option<&'a Report>) -> Named<'a> {
        let known = report.map_or(&[][..], |report| &report.scope.endpoints);
        let those = |takes: &dyn Fn(&EndpointScope) -> bool| -> Vec<&EndpointScope> {
            known.iter().filter(|row| takes(row)).collect()
        };
        let mut rows = those(&|row| row.endpoint == text);
        if rows.is_empty() {
            let template = |row: &EndpointScope| row.endpoint.parse::<Pattern>();
            rows = those(&|row| template(row).is_ok_and(|template| takes(&template, text)));
        }
        if rows.is_empty()
            && let Ok(pattern) = text.parse::<Pattern>()
        {
            rows = those(&|row| pattern.takes_endpoint(&row.endpoint));
        }
        Named {
            text,
            has_report: report.is_some(),
            rows,
        }
    }

    /// Whether a pattern takes it, by any of its names.
    pub(super) fn is_of(&self, pattern: &Pattern) -> bool {
        let mut rows = self.rows.iter();
        takes(pattern, self.text) || rows.any(|row| pattern.takes_endpoint(&row.endpoint))
    }

    /// A count of all the endpoints that are meant.
    pub(super) fn sum(&self, of: impl Fn(&EndpointScope) -> u64) -> u64 {
        self.rows.iter().map(|row| of(row)).sum()
    }
}

/// Whether a pattern takes a text, be it an endpoint or a request to one.
fn takes(pattern: &Pattern, text: &str) -> bool {
    let is_request = |(method, target): (&str, &str)| {
        target.starts_with('/') && pattern.takes_request(method, path_of(target))
    };
    pattern.takes_endpoint(text) || text.split_once(' ').is_some_and(is_request)
}

/// The endpoint of a run whose name takes the fewest changes of letters to become `name`
/// (Damerau and Levenshtein), as a share of their length.
pub(super) fn nearest(name: &str, report: &Report) -> Option<String> {
    let rows = report.scope.endpoints.iter();
    let likeness = |row: &EndpointScope| {
        let known = match row.endpoint.split_once(' ') {
            Some((_, path)) if name.starts_with('/') => path,
            _ => &row.endpoint,
        };
        strsim::normalized_damerau_levenshtein(name, known)
    };
    let nearest = rows.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    nearest.map(|row| row.endpoint.clone())
}
