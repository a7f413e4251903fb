//! What follows from what, session by session.

use std::collections::BTreeMap;

use crate::lead::Lead;
use crate::tally::Session;

/// What each lead is: a finding of its own, or only ever a consequence.
pub(crate) struct Attribution {
    /// By lead, whether it is a finding.
    pub(crate) is_finding: Vec<bool>,
    /// By lead, the sessions in which it comes after another that explains it.
    pub(crate) explained_by: Vec<BTreeMap<Session, usize>>,
}

/// A lead is a finding when some session shows it before anything that could
/// explain it. Elsewhere it follows from the first finding before it that names
/// the same member, or else from the first.
pub(crate) fn attribute(leads: &[Lead]) -> Attribution {
    // Possible causes by session, in order.
    let mut causes: BTreeMap<Session, Vec<(u32, usize)>> = BTreeMap::new();
    for (index, lead) in leads.iter().enumerate() {
        for (session, hit) in &lead.hits {
            if let Some(position) = hit.cause {
                causes.entry(*session).or_default().push((position, index));
            }
        }
    }
    for causes in causes.values_mut() {
        causes.sort_unstable();
    }
    let before = |session: &Session, first: u32, index: usize| {
        let causes = causes.get(session).map_or(&[][..], Vec::as_slice);
        let earlier = causes.partition_point(|(position, _)| *position < first);
        causes[..earlier]
            .iter()
            .map(|(_, cause)| *cause)
            .filter(move |cause| *cause != index)
    };
    let is_finding: Vec<bool> = leads
        .iter()
        .enumerate()
        .map(|(index, lead)| {
            let mut hits = lead.hits.iter();
            hits.any(|(session, hit)| before(session, hit.first, index).next().is_none())
        })
        .collect();
    let explained_by = leads.iter().enumerate().map(|(index, lead)| {
        let explained = lead.hits.iter().filter_map(|(session, hit)| {
            // The first of them has none before itself, so it is a finding.
            let findings = || before(session, hit.first, index).filter(|cause| is_finding[*cause]);
            let kin = findings().find(|cause| member(&leads[*cause]) == member(lead));
            Some((*session, kin.or_else(|| findings().next())?))
        });
        explained.collect()
    });
    Attribution {
        explained_by: explained_by.collect(),
        is_finding,
    }
}

/// The last name of a place.
fn member(lead: &Lead) -> &str {
    lead.place.rsplit('/').next().unwrap_or_default()
}
