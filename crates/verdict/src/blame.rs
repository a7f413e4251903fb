//! Who is to blame: leads with what they follow from.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::attribute::{Attribution, Explanation, Source, attribute};
use crate::confirm::MANY_SESSIONS;
use crate::evidence::Evidence;
use crate::failing::is_failure;
use crate::judge::Trail;
use crate::lead::{Lead, Leads, leads};
use crate::options::Options;
use crate::report::{ApartCause, Consequence};
use crate::tally::{EndpointTally, Session, Signal};

/// All that differs, and why.
pub(crate) struct Blame<'a> {
    pub(crate) names: &'a [String],
    pub(crate) endpoints: &'a [EndpointTally],
    pub(crate) options: &'a Options,
    /// What counts, then what differs where a race may be why.
    leads: Vec<Lead>,
    races_from: usize,
    /// By lead, the finding that it is one of though it raced.
    part_of: Vec<Option<usize>>,
    events: Vec<Event<'a>>,
    attribution: Attribution,
    trail: &'a Trail,
}

/// Something that the run did to one twin alone.
pub(crate) struct Event<'a> {
    pub(crate) endpoint: usize,
    pub(crate) cause: ApartCause,
    pub(crate) signal: &'a Signal,
}

impl<'a> Blame<'a> {
    pub(crate) fn new(
        names: &'a [String],
        endpoints: &'a [EndpointTally],
        trail: &'a Trail,
        options: &'a Options,
    ) -> Blame<'a> {
        let Leads {
            leads: mut all,
            races,
        } = leads(endpoints, options);
        let races_from = all.len();
        all.extend(races);
        let events: Vec<Event<'_>> = endpoints
            .iter()
            .enumerate()
            .flat_map(|(endpoint, tally)| {
                let events = tally.events.iter();
                events.map(move |(cause, signal)| Event {
                    endpoint,
                    cause: *cause,
                    signal,
                })
            })
            .collect();
        let signals: Vec<&Signal> = events.iter().map(|event| event.signal).collect();
        let attribution = attribute(&all, &signals, &trail.imports);
        let is_finding = |index: &usize| attribution.is_first[*index];
        let part_of = all.iter().enumerate().map(|(index, lead)| {
            let is_race = index >= races_from && attribution.is_first[index];
            let mut findings = (0..races_from).filter(is_finding);
            is_race.then(|| findings.find(|finding| all[*finding].is_of(lead)))?
        });
        Blame {
            part_of: part_of.collect(),
            names,
            endpoints,
            options,
            leads: all,
            races_from,
            events,
            attribution,
            trail,
        }
    }

    /// The leads that are findings.
    pub(crate) fn findings(&self) -> impl Iterator<Item = (usize, &Lead)> {
        self.first().filter(|(index, _)| *index < self.races_from)
    }

    /// The leads that are races and nothing else.
    pub(crate) fn races(&self) -> impl Iterator<Item = (usize, &Lead)> {
        self.first()
            .filter(|(index, _)| *index >= self.races_from && self.part_of[*index].is_none())
    }

    /// Whether requests of an endpoint fail only since something else went wrong before, in
    /// so many sessions that it is no hiccup.
    pub(crate) fn follow_failures(&self, endpoint: usize) -> bool {
        let mut later = self.later().filter(|(index, _)| *index < self.races_from);
        later.any(|(_, lead)| {
            lead.endpoint == endpoint
                && lead.signal.hits.len() as u64 >= MANY_SESSIONS
                && is_failure(lead.kind, &lead.signal.examples)
        })
    }

    pub(crate) fn events(&self) -> &[Event<'a>] {
        &self.events
    }

    fn first(&self) -> impl Iterator<Item = (usize, &Lead)> {
        let leads = self.leads.iter().enumerate();
        leads.filter(|(index, _)| self.attribution.is_first[*index])
    }

    /// Exchanges that show the same as a finding, but raced.
    pub(crate) fn racing(&self, finding: usize) -> u64 {
        let parts = self.leads.iter().zip(&self.part_of);
        parts
            .filter(|(_, part_of)| **part_of == Some(finding))
            .map(|(lead, _)| lead.exchanges())
            .sum()
    }

    /// Examples of a lead, those from sessions in which nothing went before first.
    pub(crate) fn examples(&self, index: usize) -> Vec<Evidence> {
        let lead = &self.leads[index];
        let explained: BTreeSet<u32> = self.attribution.explained_by[index]
            .keys()
            .filter_map(|session| lead.signal.hits.get(session).map(|hit| hit.first))
            .collect();
        let mut examples = lead.signal.examples.clone();
        examples.sort_by_key(|example| (explained.contains(&example.position), example.position));
        examples.truncate(self.options.examples);
        examples
    }

    /// What follows from something and is never first: by place.
    pub(crate) fn consequences(&self, of: Source) -> Vec<Consequence> {
        let mut found: Vec<Consequence> = self
            .later()
            .filter_map(|(index, lead)| {
                let explained = self.attribution.explained_by[index].iter();
                let explained: BTreeMap<Session, Explanation> = explained
                    .filter(|(_, explanation)| self.source(explanation.root) == of)
                    .map(|(session, explanation)| (*session, *explanation))
                    .collect();
                (!explained.is_empty()).then(|| self.consequence(of, lead, &explained))
            })
            .collect();
        found.sort_by_key(|consequence| Reverse(consequence.count));
        found
    }

    fn consequence(
        &self,
        of: Source,
        lead: &Lead,
        explained: &BTreeMap<Session, Explanation>,
    ) -> Consequence {
        let own = match of {
            Source::Lead(index) => &self.leads[index].signal.hits,
            Source::Event(index) => &self.events[index].signal.hits,
        };
        let elsewhere = explained.keys().filter(|one| !own.contains_key(one));
        let hits = || {
            explained.iter().filter_map(|(session, explanation)| {
                Some((lead.signal.hits.get(session)?, explanation))
            })
        };
        let example = lead.signal.examples.iter().find_map(|example| {
            let (_, explanation) = hits().find(|(hit, _)| hit.first == example.position)?;
            Some((example.exchange.clone(), explanation.position))
        });
        let cause_position = match &example {
            Some((_, position)) => Some(*position),
            None => hits().map(|(_, explanation)| explanation.position).next(),
        };
        let cause = cause_position.and_then(|position| self.trail.exchanges.get(&position));
        Consequence {
            endpoint: self.names[lead.endpoint].clone(),
            kind: lead.kind,
            location: lead.place.clone(),
            count: hits().map(|(hit, _)| u64::from(hit.exchanges)).sum(),
            sessions: explained.len() as u64,
            elsewhere: elsewhere.count() as u64,
            example: example.map(|(exchange, _)| exchange),
            cause_position,
            cause: cause.map(ToString::to_string),
        }
    }

    /// Consequences by what they follow from: exchanges by place.
    pub(crate) fn by_cause(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (index, lead) in self.later() {
            for (session, explanation) in &self.attribution.explained_by[index] {
                let word = match self.source(explanation.root) {
                    Source::Lead(root) if root < self.races_from => "finding",
                    Source::Lead(_) => ApartCause::Race.name(),
                    Source::Event(event) => self.events[event].cause.name(),
                };
                let exchanges = lead.signal.hits.get(session).map_or(0, |hit| hit.exchanges);
                *counts.entry(word.to_owned()).or_default() += u64::from(exchanges);
            }
        }
        counts
    }

    /// The leads that are only ever consequences.
    fn later(&self) -> impl Iterator<Item = (usize, &Lead)> {
        let leads = self.leads.iter().enumerate();
        leads.filter(|(index, _)| !self.attribution.is_first[*index])
    }

    /// A race that shows what a finding is stands for that.
    fn source(&self, root: Source) -> Source {
        match root {
            Source::Lead(index) => Source::Lead(self.part_of[index].unwrap_or(index)),
            event => event,
        }
    }
}
