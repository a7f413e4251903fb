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
/// explain it.
pub(crate) fn attribute(leads: &[Lead]) -> Attribution {
    // The earliest possible cause in each session.
    let mut causes: BTreeMap<Session, (u32, usize)> = BTreeMap::new();
    for (index, lead) in leads.iter().enumerate() {
        for (session, hit) in &lead.hits {
            if let Some(position) = hit.cause {
                let candidate = (position, index);
                causes
                    .entry(*session)
                    .and_modify(|known| *known = candidate.min(*known))
                    .or_insert(candidate);
            }
        }
    }
    let explained_by: Vec<BTreeMap<Session, usize>> = leads
        .iter()
        .enumerate()
        .map(|(index, lead)| {
            let explained = lead.hits.iter().filter_map(|(session, hit)| {
                let (position, cause) = causes.get(session)?;
                (*cause != index && *position < hit.first).then_some((*session, *cause))
            });
            explained.collect()
        })
        .collect();
    Attribution {
        is_finding: leads
            .iter()
            .zip(&explained_by)
            .map(|(lead, explained)| explained.len() < lead.hits.len())
            .collect(),
        explained_by,
    }
}
