//! Differences that noise does not explain.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use crate::ages::Elsewhere;
use crate::compare::{BODY, around, is_in_head, is_in_text};
use crate::kind::Kind;
use crate::mould::Leaving;
use crate::noise::{Tested, Weight, race_test, weigh};
use crate::options::Options;
use crate::report::Test;
use crate::stats::benjamini_hochberg;
use crate::tally::{EndpointTally, Session, Signal, SignalKey, Spot};

/// One kind of difference at one place of one endpoint, that counts.
#[derive(Clone, Debug)]
pub(crate) struct Lead {
    pub(crate) endpoint: usize,
    pub(crate) kind: Kind,
    pub(crate) place: String,
    pub(crate) also: Vec<(Kind, String)>,
    pub(crate) signal: Signal,
    pub(crate) test: Test,
}

impl Lead {
    pub(crate) fn exchanges(&self) -> u64 {
        self.signal.exchanges()
    }

    /// Whether it is, or has with it, what `other` is.
    pub(crate) fn is_of(&self, other: &Lead) -> bool {
        let has = |kind: Kind, place: &str| (kind, place) == (other.kind, other.place.as_str());
        self.endpoint == other.endpoint
            && (has(self.kind, &self.place)
                || self.also.iter().any(|(kind, place)| has(*kind, place)))
    }
}

/// What differs and counts, and what differs where a race may be why.
pub(crate) struct Leads {
    pub(crate) leads: Vec<Lead>,
    pub(crate) races: Vec<Lead>,
}

/// One lead that counts if its test does.
struct Open {
    lead: Lead,
    p_value: f64,
    share: f64,
    of: Of,
}

/// What an open lead is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Differences against noise.
    Noise,
    /// Differences where requests raced.
    Races,
    /// What values look like: part of a lead that is of noise, if that counts.
    Looks,
}

impl Open {
    fn new(tested: Tested, lead: Lead, of: Of) -> Open {
        Open {
            p_value: tested.p_value,
            share: tested.share,
            lead: Lead {
                test: tested.test,
                ..lead
            },
            of,
        }
    }
}

/// The leads of all endpoints: all differences where there is no noise, and
/// elsewhere those that a test tells from it. Differences of exchanges that raced are
/// leads only where a test tells them from what races do anyway.
pub(crate) fn leads(endpoints: &[EndpointTally], options: &Options) -> Leads {
    let mut certain = Vec::new();
    let mut open = Vec::new();
    let mut races = Vec::new();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let mut places: Vec<&String> = endpoint.spots.keys().collect();
        places.sort_unstable();
        for place in places {
            let spot = &endpoint.spots[place];
            for (_, race) in leads_of(&spot.races, index, endpoint, place) {
                let tested = race_test(endpoint, place, &race.signal.hits);
                open.push(Open::new(tested, race, Of::Races));
            }
            let mut is_noisy = !spot.volatile.hits.is_empty();
            for (key, lead) in leads_of(&spot.signals, index, endpoint, place) {
                match weigh(endpoint, place, key, &lead.signal.hits) {
                    Weight::Nothing => {}
                    Weight::Certain(test) => certain.push(Lead { test, ..lead }),
                    Weight::Tested(tested) => {
                        is_noisy = true;
                        open.push(Open::new(tested, lead, Of::Noise));
                    }
                }
            }
            if let Some(elsewhere) = spot.ages.elsewhere() {
                open.push(elsewhere_lead(index, place, spot, &elsewhere));
            }
            if is_noisy && let Some(leaving) = spot.mould.left() {
                open.push(leaving_lead(index, place, spot, &leaving));
            }
        }
    }
    let p_values: Vec<f64> = open.iter().map(|open| open.p_value).collect();
    let significant = benjamini_hochberg(&p_values, options.level);
    let tests = open.len();
    for (open, is_significant) in open.into_iter().zip(significant) {
        let mut lead = open.lead;
        let has_its_place =
            |known: &Lead| (known.endpoint, &known.place) == (lead.endpoint, &lead.place);
        if open.of == Of::Looks && certain.iter().any(has_its_place) {
            continue;
        }
        if is_significant && open.share >= options.min_rate_difference {
            lead.test.level = Some(options.level);
            lead.test.statement.push_str(&format!(
                " Level {} after correction for {tests} tests (Benjamini–Hochberg).",
                options.level
            ));
            certain.push(lead);
        } else if open.of == Of::Races {
            races.push(lead);
        }
    }
    Leads {
        leads: merge_texts(merge_same_exchanges(merge_keys(certain))),
        races: merge_same_exchanges(merge_keys(races)),
    }
}

/// The candidate's values that look like no other at a noisy place.
fn leaving_lead(endpoint: usize, place: &str, spot: &Spot, leaving: &Leaving<'_>) -> Open {
    let mut signal = spot.volatile.clone();
    for one in spot.signals.values() {
        signal.merge(one.clone());
    }
    let is_outside = |session: &Session| leaving.sessions.contains(session);
    signal.awaited.retain(|(_, session)| is_outside(session));
    signal.examples = leaving.examples.iter().map(|one| (*one).clone()).collect();
    let kind = match leaving.is_class {
        true => Kind::BodyType,
        false => Kind::BodyChanged,
    };
    let stands_out = StandsOut {
        kind,
        signal,
        sessions: &leaving.sessions,
        p_value: leaving.p_value,
        where_: "Noisy",
        what: &leaving.statement,
    };
    stands_out.lead(endpoint, place)
}

/// The candidate's times that lie elsewhere than the baseline's.
fn elsewhere_lead(endpoint: usize, place: &str, spot: &Spot, elsewhere: &Elsewhere) -> Open {
    let stands_out = StandsOut {
        kind: Kind::BodyChanged,
        signal: spot.ages.signal.clone(),
        sessions: &elsewhere.sessions,
        p_value: elsewhere.p_value,
        where_: "Each twin makes up times of its own here",
        what: &elsewhere.statement,
    };
    stands_out.lead(endpoint, place)
}

/// Values that stand out in some sessions, where values always differ.
struct StandsOut<'a> {
    /// In a body; in a head it is another.
    kind: Kind,
    signal: Signal,
    sessions: &'a BTreeSet<Session>,
    p_value: f64,
    where_: &'a str,
    what: &'a str,
}

impl StandsOut<'_> {
    fn lead(self, endpoint: usize, place: &str) -> Open {
        let mut signal = self.signal;
        signal
            .hits
            .retain(|session, _| self.sessions.contains(session));
        let kind = match is_in_head(place) {
            true => Kind::HeaderChanged,
            false => self.kind,
        };
        let (sessions, p_value) = (self.sessions.len() as u64, self.p_value);
        Open {
            p_value,
            share: 1.0,
            of: Of::Looks,
            lead: Lead {
                endpoint,
                kind,
                place: place.to_owned(),
                also: Vec::new(),
                signal,
                test: Test {
                    name: "exceedance".to_owned(),
                    level: None,
                    p_value: Some(p_value),
                    unit: "session".to_owned(),
                    sample: sessions,
                    statement: format!(
                        "{}, but in {sessions} sessions the candidate has {}: exceedance test by \
                         session, p = {p_value:.2e}.",
                        self.where_, self.what
                    ),
                },
            },
        }
    }
}

/// The differences at a place as leads whose test is not yet made.
fn leads_of<'a>(
    signals: &'a BTreeMap<SignalKey, Signal>,
    endpoint: usize,
    tally: &'a EndpointTally,
    place: &'a str,
) -> impl Iterator<Item = (SignalKey, Lead)> + 'a {
    signals.iter().map(move |(key, signal)| {
        let lead = Lead {
            endpoint,
            kind: key.kind,
            place: place.to_owned(),
            also: Vec::new(),
            signal: signal.clone(),
            test: Test {
                name: String::new(),
                level: None,
                p_value: None,
                unit: "exchange".to_owned(),
                sample: tally.compared_exchanges(),
                statement: String::new(),
            },
        };
        (*key, lead)
    })
}

/// Leads of one kind at one place, of whatever grade, are one.
fn merge_keys(leads: Vec<Lead>) -> Vec<Lead> {
    let mut merged: Vec<Lead> = Vec::new();
    for lead in leads {
        let known = merged.iter_mut().find(|known| {
            (known.endpoint, known.kind, &known.place) == (lead.endpoint, lead.kind, &lead.place)
        });
        match known {
            Some(known) => absorb(known, lead),
            None => merged.push(lead),
        }
    }
    merged
}

fn absorb(known: &mut Lead, lead: Lead) {
    known.also.extend(lead.also);
    known.signal.merge(lead.signal);
}

/// What one fault does to one answer is one finding: parts of a body (or of a
/// head) that differ in the very same exchanges, when they differ in the same
/// way, or when elements come or go.
fn merge_same_exchanges(mut leads: Vec<Lead>) -> Vec<Lead> {
    leads.sort_by(|one, other| {
        (one.endpoint, one.kind, &one.place).cmp(&(other.endpoint, other.kind, &other.place))
    });
    let mut merged: Vec<Lead> = Vec::new();
    for lead in leads {
        match merged.iter_mut().find(|known| is_one_fault(known, &lead)) {
            Some(known) => {
                known.also.push((lead.kind, lead.place));
                for (session, hit) in lead.signal.hits {
                    if let Some(own) = known.signal.hits.get_mut(&session) {
                        own.cause = own.cause.or(hit.cause);
                    }
                }
                known.signal.awaited.extend(lead.signal.awaited);
            }
            None => merged.push(lead),
        }
    }
    merged
}

fn is_one_fault(known: &Lead, lead: &Lead) -> bool {
    let shows = |lead: &Lead| -> Vec<(Session, u32, u32)> {
        let hits = lead.signal.hits.iter();
        hits.map(|(session, hit)| (*session, hit.first, hit.exchanges))
            .collect()
    };
    let comes_or_goes = |lead: &Lead| {
        matches!(
            lead.kind,
            Kind::BodyMissing | Kind::BodyAdded | Kind::HeaderMissing | Kind::HeaderAdded
        )
    };
    let is_renamed = comes_or_goes(known) && comes_or_goes(lead);
    let has_elements_gone = known.place.ends_with("/*") && comes_or_goes(known);
    known.endpoint == lead.endpoint
        && known.kind.is_of_body() == lead.kind.is_of_body()
        && known.kind != Kind::Status
        && known.kind != Kind::Error
        && (known.kind == lead.kind || is_renamed || has_elements_gone)
        && shows(known) == shows(lead)
}

/// A page whose words differ in many places is one finding.
fn merge_texts(leads: Vec<Lead>) -> Vec<Lead> {
    const MOST: usize = 3;
    let is_text = |lead: &Lead| is_in_text(&lead.place);
    let mut merged: Vec<Lead> = Vec::new();
    let mut texts: BTreeMap<(usize, Kind), Vec<Lead>> = BTreeMap::new();
    for lead in leads {
        if is_text(&lead) {
            let key = (lead.endpoint, lead.kind);
            texts.entry(key).or_default().push(lead);
        } else {
            merged.push(lead);
        }
    }
    for (_, group) in texts {
        if group.len() <= MOST {
            merged.extend(group);
            continue;
        }
        let mut group = group.into_iter();
        // A group is made with its first.
        let Some(mut first) = group.next() else {
            continue;
        };
        for lead in group {
            first.place = common(&first.place, &lead.place);
            absorb(&mut first, lead);
        }
        merged.push(first);
    }
    merged
}

/// The innermost place that two places lie in.
fn common(one: &str, other: &str) -> String {
    let outers: Vec<&str> = successors(Some(other), |place| around(place)).collect();
    let found = successors(Some(one), |place| around(place)).find(|place| outers.contains(place));
    found.unwrap_or(BODY).to_owned()
}
