//! Differences that noise does not explain.

use std::collections::BTreeMap;

use crate::compare::Mask;
use crate::kind::Kind;
use crate::options::Options;
use crate::report::Test;
use crate::stats::{benjamini_hochberg, sign_test};
use crate::tally::{EndpointTally, Hit, Session, Signal, SignalKey, Spot, Uniformity};

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

/// The leads of all endpoints: all differences where there is no noise, and
/// elsewhere those that a test tells from it. Differences of exchanges that raced are
/// leads only where a test tells them from what races do anyway.
pub(crate) fn leads(endpoints: &[EndpointTally], options: &Options) -> Leads {
    let mut certain = Vec::new();
    let mut tested = Vec::new();
    let mut races = Vec::new();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let mut places: Vec<&String> = endpoint.spots.keys().collect();
        places.sort_unstable();
        for place in places {
            let spot = &endpoint.spots[place];
            for (_, race) in leads_of(&spot.races, index, endpoint, place) {
                let (p_value, share, test) = race_test(spot, &race.signal.hits);
                tested.push((p_value, share, true, Lead { test, ..race }));
            }
            for (key, candidate) in leads_of(&spot.signals, index, endpoint, place) {
                match test(endpoint, place, key, &candidate.signal.hits) {
                    Outcome::NoSignal => {}
                    Outcome::Certain(test) => certain.push(Lead { test, ..candidate }),
                    Outcome::Tested {
                        p_value,
                        share,
                        test,
                    } => {
                        tested.push((p_value, share, false, Lead { test, ..candidate }));
                    }
                }
            }
        }
    }
    let p_values: Vec<f64> = tested.iter().map(|(p_value, ..)| *p_value).collect();
    let significant = benjamini_hochberg(&p_values, options.level);
    let tests = tested.len();
    for ((_, share, is_race, mut lead), is_significant) in tested.into_iter().zip(significant) {
        if is_significant && share >= options.min_rate_difference {
            lead.test.level = Some(options.level);
            lead.test.statement.push_str(&format!(
                " Level {} after correction for {tests} tests (Benjamini–Hochberg).",
                options.level
            ));
            certain.push(lead);
        } else if is_race {
            races.push(lead);
        }
    }
    Leads {
        leads: merge_texts(merge_same_exchanges(merge_keys(certain))),
        races: merge_same_exchanges(merge_keys(races)),
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

enum Outcome {
    NoSignal,
    Certain(Test),
    Tested {
        p_value: f64,
        /// By how much more sessions show it than show noise, of those that show either.
        share: f64,
        test: Test,
    },
}

fn test(
    tally: &EndpointTally,
    place: &str,
    key: SignalKey,
    hits: &BTreeMap<Session, Hit>,
) -> Outcome {
    let spot = &tally.spots[place];
    let noise = relevant_noise(tally, place, key.is_hard);
    let noisy: u64 = noise.values().copied().map(u64::from).sum();
    if key.is_unwitnessed {
        // Where production answered with another status, it answered something else.
        let status = tally.spots.get(crate::compare::STATUS);
        let is_noisy = noisy > 0 || status.is_some_and(|spot| spot.noise_exchanges() > 0);
        if is_noisy || spot.masked_noise.contains_key(&Mask::Generated) {
            return Outcome::NoSignal;
        }
    }
    let sample = tally.compared_exchanges();
    let exact = |name: &str, statement: String| {
        Outcome::Certain(Test {
            name: name.to_owned(),
            level: None,
            p_value: None,
            unit: "exchange".to_owned(),
            sample,
            statement,
        })
    };
    if noisy == 0 {
        return exact(
            "exact",
            format!(
                "No noise here: baseline and production agree at this place in all {} exchanges \
                 in which both were seen, so one difference is a finding.",
                tally.witnessed
            ),
        );
    }
    if is_constant(tally, spot) {
        return exact(
            "exact",
            format!(
                "Baseline and production differ here in the same way in all {} exchanges, \
                 which is no noise, so one difference is a finding.",
                tally.witnessed
            ),
        );
    }
    if key.kind == Kind::Status && !tally.known_statuses.contains(&key.status) {
        return exact(
            "novel_status",
            format!(
                "Neither production nor the baseline ever answered {} here.",
                key.status
            ),
        );
    }
    let Signs {
        more,
        less,
        share,
        p_value,
    } = signs(&noise, hits);
    Outcome::Tested {
        p_value,
        share,
        test: Test {
            name: "sign".to_owned(),
            level: None,
            p_value: Some(p_value),
            unit: "session".to_owned(),
            sample: more + less,
            statement: format!(
                "Noisy: baseline and production differ here in {noisy} exchanges. In {more} \
                 sessions the candidate differs from the baseline more often than the baseline \
                 from production, in {less} less often: one-sided sign test, p = {p_value:.2e}."
            ),
        },
    }
}

/// Tests whether the candidate differs from the baseline in exchanges that raced more
/// often than the baseline from production there.
fn race_test(spot: &Spot, hits: &BTreeMap<Session, Hit>) -> (f64, f64, Test) {
    let noise = &spot.race_noise;
    let signs = signs(noise, hits);
    let noisy: u64 = noise.values().copied().map(u64::from).sum();
    let test = Test {
        name: "sign".to_owned(),
        level: None,
        p_value: Some(signs.p_value),
        unit: "session".to_owned(),
        sample: signs.more + signs.less,
        statement: format!(
            "It shows only where requests raced; there baseline and production differ in {noisy} \
             exchanges. In {} sessions the candidate differs from the baseline more often than \
             the baseline from production, in {} less often: one-sided sign test, p = {:.2e}.",
            signs.more, signs.less, signs.p_value
        ),
    };
    (signs.p_value, signs.share, test)
}

/// In how many sessions there is more of a signal than of noise.
struct Signs {
    more: u64,
    less: u64,
    /// By how much more sessions show it than show noise, of those that show either.
    share: f64,
    p_value: f64,
}

fn signs(noise: &BTreeMap<Session, u32>, hits: &BTreeMap<Session, Hit>) -> Signs {
    let all = noise
        .keys()
        .chain(hits.keys().filter(|session| !noise.contains_key(session)));
    let (mut more, mut less, mut either) = (0_u64, 0_u64, 0_u64);
    for session in all {
        let signal = hits.get(session).map_or(0, |hit| hit.exchanges);
        let noise = noise.get(session).copied().unwrap_or(0);
        either += 1;
        more += u64::from(signal > noise);
        less += u64::from(signal < noise);
    }
    Signs {
        more,
        less,
        share: (more as f64 - less as f64) / either.max(1) as f64,
        p_value: sign_test(more, less),
    }
}

/// Exchanges by session in which baseline and production differ so that a
/// difference of the candidate may be more of the same: any difference for a
/// value; one of structure for structure, or around the place.
fn relevant_noise(tally: &EndpointTally, place: &str, is_hard: bool) -> BTreeMap<Session, u32> {
    let mut noise = BTreeMap::new();
    let mut add = |spot: &Spot| {
        for (session, count) in &spot.noise {
            *noise.entry(*session).or_insert(0) += count;
        }
    };
    let own = &tally.spots[place];
    if !is_hard || own.hard_noise > 0 {
        add(own);
    }
    let mut around = place;
    while let Some((parent, _)) = around.rsplit_once('/') {
        around = parent;
        let name = if parent.is_empty() {
            crate::compare::BODY
        } else {
            parent
        };
        if let Some(spot) = tally.spots.get(name) {
            add(spot);
        }
    }
    // The words of a text lie in its body, whose frame may differ.
    let is_word = place.starts_with("html.") || place.starts_with("text");
    if let Some(spot) = tally.spots.get(crate::compare::BODY).filter(|_| is_word) {
        add(spot);
    }
    noise
}

/// Whether what differs between baseline and production is always the same,
/// such as a header field that a proxy adds.
fn is_constant(tally: &EndpointTally, spot: &Spot) -> bool {
    matches!(spot.uniformity, Uniformity::Uniform(_))
        && spot.noise_exchanges() == tally.witnessed - tally.witnessed_racing
        && spot.noise_exchanges() >= 3
}

pub(crate) fn is_constant_at(tally: &EndpointTally, place: &str) -> bool {
    tally
        .spots
        .get(place)
        .is_some_and(|spot| is_constant(tally, spot))
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
    let is_text = |lead: &Lead| lead.place.starts_with("text");
    let mut merged: Vec<Lead> = Vec::new();
    let mut texts: BTreeMap<usize, Vec<Lead>> = BTreeMap::new();
    for lead in leads {
        if is_text(&lead) {
            texts.entry(lead.endpoint).or_default().push(lead);
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
        first.place = "text".to_owned();
        for lead in group {
            absorb(&mut first, lead);
        }
        merged.push(first);
    }
    merged
}
