//! What tells a difference from noise.

use std::collections::BTreeMap;

use crate::compare::{Mask, STATUS, around};
use crate::kind::Kind;
use crate::report::Test;
use crate::roles::text_hash;
use crate::stats::{Chance, Permuted, permutation_test};
use crate::tally::{EndpointTally, Hit, Session, SignalKey, Spot, Uniformity};

/// What a difference is, as far as it can be told without those elsewhere.
pub(crate) enum Weight {
    /// It says nothing here.
    Nothing,
    /// It counts, whatever else there is.
    Certain(Test),
    /// It counts if its test does, among all tests.
    Tested(Tested),
}

/// The test of a difference against noise.
pub(crate) struct Tested {
    pub(crate) p_value: f64,
    /// By how much more sessions show it than show noise, of those that show either.
    pub(crate) share: f64,
    pub(crate) test: Test,
}

/// What differences of one kind at one place are, by session.
pub(crate) fn weigh(
    tally: &EndpointTally,
    place: &str,
    key: SignalKey,
    hits: &BTreeMap<Session, Hit>,
) -> Weight {
    let spot = &tally.spots[place];
    let noise = relevant_noise(tally, place, key.is_hard);
    let noisy: u64 = noise.values().copied().map(u64::from).sum();
    if key.is_unwitnessed {
        // Where production answered with another status, it answered something else.
        let status = tally.spots.get(STATUS);
        let is_noisy = noisy > 0 || status.is_some_and(|spot| spot.noise_exchanges() > 0);
        if is_noisy || spot.masked_noise.contains_key(&Mask::Generated) {
            return Weight::Nothing;
        }
    }
    let sample = tally.compared_exchanges();
    let exact = |name: &str, statement: String| {
        Weight::Certain(Test {
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
                tally.witnessed_exchanges()
            ),
        );
    }
    if is_constant(tally, spot) {
        return exact(
            "exact",
            format!(
                "Baseline and production differ here in the same way in all {} exchanges, \
                 which is no noise, so one difference is a finding.",
                tally.witnessed_exchanges()
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
    let before = format!("Noisy: baseline and production differ here in {noisy} exchanges.");
    Weight::Tested(tested(tally, place, &noise, hits, &before))
}

/// Tests whether the candidate differs from the baseline in exchanges that raced more
/// often than the baseline from production there.
pub(crate) fn race_test(
    tally: &EndpointTally,
    place: &str,
    hits: &BTreeMap<Session, Hit>,
) -> Tested {
    let noise = &tally.spots[place].race_noise;
    let noisy: u64 = noise.values().copied().map(u64::from).sum();
    let before = format!(
        "It shows only where requests raced; there baseline and production differ in {noisy} \
         exchanges."
    );
    tested(tally, place, noise, hits, &before)
}

/// Tests whether sessions of the candidate differ from the baseline's more often than
/// these from production's: if the candidate is what production is, the two could in each
/// session as well be each other.
fn tested(
    tally: &EndpointTally,
    place: &str,
    noise: &BTreeMap<Session, u32>,
    hits: &BTreeMap<Session, Hit>,
    before: &str,
) -> Tested {
    let Rates {
        differences,
        more,
        less,
        either,
    } = rates(tally, noise, hits);
    // The same run gives the same report.
    let mut chance = Chance::new(text_hash(place));
    let Permuted { p_value, draws } = permutation_test(&differences, &mut chance);
    let how = match draws {
        None => "exact".to_owned(),
        Some(draws) => format!("{draws} permutations drawn"),
    };
    Tested {
        p_value,
        share: (more as f64 - less as f64) / either.max(1) as f64,
        test: Test {
            name: "permutation".to_owned(),
            level: None,
            p_value: Some(p_value),
            unit: "session".to_owned(),
            sample: more + less,
            statement: format!(
                "{before} In {more} sessions the candidate differs from the baseline in more of \
                 the exchanges than the baseline from production, in {less} in fewer: one-sided \
                 permutation test of both rates by session ({how}), p = {p_value:.2e}."
            ),
        },
    }
}

/// By how much more of a session's exchanges show a signal than show noise.
struct Rates {
    /// By session, -1 to 1.
    differences: Vec<f64>,
    more: u64,
    less: u64,
    /// Sessions that show either.
    either: u64,
}

/// A session that production's answers are not known of says nothing of noise, and is
/// left out.
fn rates(
    tally: &EndpointTally,
    noise: &BTreeMap<Session, u32>,
    hits: &BTreeMap<Session, Hit>,
) -> Rates {
    let mut rates = Rates {
        differences: Vec::new(),
        more: 0,
        less: 0,
        either: 0,
    };
    let of_hits = hits.keys().filter(|session| !noise.contains_key(session));
    for session in noise.keys().chain(of_hits) {
        let hits = hits.get(session).map_or(0, |hit| hit.exchanges);
        let noise = noise.get(session).copied().unwrap_or(0);
        // An exchange without an answer is not among those that were compared.
        let of = |all: &BTreeMap<Session, u32>, some: u32| {
            let all = all.get(session).copied().unwrap_or(0).max(some);
            (all > 0).then(|| f64::from(some) / f64::from(all))
        };
        let (Some(signal), Some(noise)) = (of(&tally.compared, hits), of(&tally.witnessed, noise))
        else {
            continue;
        };
        rates.either += 1;
        rates.more += u64::from(signal > noise);
        rates.less += u64::from(signal < noise);
        rates.differences.push(signal - noise);
    }
    rates
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
    let mut inner = place;
    while let Some(outer) = around(inner) {
        inner = outer;
        if let Some(spot) = tally.spots.get(outer) {
            add(spot);
        }
    }
    noise
}

/// Whether what differs between baseline and production is always the same,
/// such as a header field that a proxy adds.
fn is_constant(tally: &EndpointTally, spot: &Spot) -> bool {
    matches!(spot.uniformity, Uniformity::Uniform(_))
        && spot.noise_exchanges() == tally.witnessed_exchanges() - tally.witnessed_racing
        && spot.noise_exchanges() >= 3
}

pub(crate) fn is_constant_at(tally: &EndpointTally, place: &str) -> bool {
    tally
        .spots
        .get(place)
        .is_some_and(|spot| is_constant(tally, spot))
}
