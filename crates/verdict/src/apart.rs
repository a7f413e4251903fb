//! What differs and is no finding, with what follows from it.

use std::cmp::Reverse;

use crate::attribute::Source;
use crate::blame::Blame;
use crate::passing::ANSWER;
use crate::report::{Apart, ApartCause};

/// Races, and what the run did to one twin alone, the most frequent first. What the
/// run did and nothing follows from is in the ledgers, and not here.
pub(crate) fn apart(blame: &Blame<'_>) -> Vec<Apart> {
    let races = blame.races().map(|(index, lead)| Apart {
        id: String::new(),
        cause: ApartCause::Race,
        endpoint: blame.names[lead.endpoint].clone(),
        kind: Some(lead.kind),
        location: lead.place.clone(),
        count: lead.exchanges(),
        sessions: lead.signal.hits.len() as u64,
        evidence: blame.examples(index),
        consequences: blame.consequences(Source::Lead(index)),
    });
    let events = blame.events().iter().enumerate().map(|(index, event)| {
        let mut evidence = event.signal.examples.clone();
        evidence.truncate(blame.options.examples);
        Apart {
            id: String::new(),
            cause: event.cause,
            endpoint: blame.names[event.endpoint].clone(),
            kind: None,
            location: ANSWER.to_owned(),
            count: event.signal.exchanges(),
            sessions: event.signal.hits.len() as u64,
            evidence,
            consequences: blame.consequences(Source::Event(index)),
        }
    });
    let events = events.filter(|event| !event.consequences.is_empty());
    let mut all: Vec<Apart> = races.chain(events).collect();
    all.sort_by_key(|apart| {
        (
            apart.cause,
            Reverse(apart.count),
            apart.endpoint.clone(),
            apart.location.clone(),
        )
    });
    for (index, apart) in all.iter_mut().enumerate() {
        apart.id = format!("A{}", index + 1);
    }
    all
}
