//! What tells a difference from noise.

use std::collections::BTreeMap;

use crate::compare::{Mask, STATUS, around};
use crate::kind::Kind;
use crate::report::Test;
use crate::roles::text_hash;
use crate::stats::{Chance, Permuted, permutation_test};
use crate::tally::{EndpointTally, Hit, Noise, Session, SignalKey, Spot, Uniformity};

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

/// Whose answers are the baseline's but for noise.
#[derive(Clone, Copy)]
enum Source {
    Production,
    SecondBaseline,
}

impl Source {
    fn noise(self, spot: &Spot) -> &Noise {
        match self {
            Source::Production => &spot.noise,
            Source::SecondBaseline => &spot.second,
        }
    }

    /// Exchanges by session in which it was compared with the baseline.
    fn seen(self, tally: &EndpointTally) -> &BTreeMap<Session, u32> {
        match self {
            Source::Production => &tally.witnessed,
            Source::SecondBaseline => &tally.second.compared,
        }
    }

    /// Who differs here, to be followed by how often.
    fn pair(self) -> &'static str {
        match self {
            Source::Production => "baseline and production differ",
            Source::SecondBaseline => "both baselines differ",
        }
    }

    /// What differs from what.
    fn other(self) -> &'static str {
        match self {
            Source::Production => "the baseline from production",
            Source::SecondBaseline => "the second baseline from the baseline",
        }
    }
}

/// What differences of one kind at one place are, by session.
pub(crate) fn weigh(
    tally: &EndpointTally,
    place: &str,
    key: SignalKey,
    hits: &BTreeMap<Session, Hit>,
) -> Weight {
    let spot = &tally.spots[place];
    let noise_of = |source| relevant_noise(tally, place, key.is_hard, source);
    let of_production = noise_of(Source::Production);
    let of_second = noise_of(Source::SecondBaseline);
    let is_quiet = of_production.is_empty() && of_second.is_empty();
    if key.is_unwitnessed {
        // Where production answered with another status, it answered something else.
        let status = tally.spots.get(STATUS);
        let varies = |spot: &Spot| spot.noise.exchanges() + spot.second.exchanges() > 0;
        let is_noisy = !is_quiet || status.is_some_and(varies);
        let of_second = &spot.second.masked;
        if is_noisy
            || spot.noise.masked.contains_key(&Mask::Generated)
            || of_second.contains_key(&Mask::Generated)
            || of_second.contains_key(&Mask::Unwitnessed)
        {
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
    if is_quiet {
        let second = match tally.second.exchanges() {
            0 => String::new(),
            both => format!(", and both baselines in all {both}"),
        };
        return exact(
            "exact",
            format!(
                "No noise here: baseline and production agree at this place in all {} exchanges \
                 in which both were seen{second}, so one difference is a finding.",
                tally.witnessed_exchanges()
            ),
        );
    }
    let is_constant = is_constant(tally, spot);
    if is_constant && of_second.is_empty() {
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
    let mut noises = vec![
        (Source::Production, of_production),
        (Source::SecondBaseline, of_second),
    ];
    noises.retain(|(source, noise)| match source {
        // What always differs in the same way is no noise.
        Source::Production if is_constant => false,
        _ => !noise.is_empty(),
    });
    let differ: Vec<String> = noises
        .iter()
        .map(|(source, noise)| format!("{} here in {}", source.pair(), exchanges(noise)))
        .collect();
    let before = format!("Noisy: {} exchanges.", differ.join(", "));
    let tests = noises
        .iter()
        .map(|(source, noise)| tested(tally, place, *source, noise, hits, &before));
    tests
        .reduce(stricter)
        .map_or(Weight::Nothing, Weight::Tested)
}

/// Of two tests that must both hold, the one that decides.
fn stricter(one: Tested, other: Tested) -> Tested {
    let share = one.share.min(other.share);
    let decides = match one.p_value >= other.p_value {
        true => one,
        false => other,
    };
    Tested { share, ..decides }
}

fn exchanges(noise: &BTreeMap<Session, u32>) -> u64 {
    noise.values().copied().map(u64::from).sum()
}

/// Tests whether the candidate differs from the baseline in exchanges that raced more
/// often than the baseline from production there.
pub(crate) fn race_test(
    tally: &EndpointTally,
    place: &str,
    hits: &BTreeMap<Session, Hit>,
) -> Tested {
    let spot = &tally.spots[place];
    let test = |source: Source| {
        let noise = &source.noise(spot).racing;
        let before = format!(
            "It shows only where requests raced; there {} in {} exchanges.",
            source.pair(),
            exchanges(noise)
        );
        tested(tally, place, source, noise, hits, &before)
    };
    let by_production = test(Source::Production);
    match spot.second.racing.is_empty() {
        true => by_production,
        false => stricter(by_production, test(Source::SecondBaseline)),
    }
}

/// Tests whether sessions of the candidate differ from the baseline's more often than
/// those of a source of noise: if the candidate is what that is, the two could in each
/// session as well be each other.
fn tested(
    tally: &EndpointTally,
    place: &str,
    source: Source,
    noise: &BTreeMap<Session, u32>,
    hits: &BTreeMap<Session, Hit>,
    before: &str,
) -> Tested {
    let Rates {
        differences,
        more,
        less,
        either,
    } = rates(tally, source, noise, hits);
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
                 the exchanges than {}, in {less} in fewer: one-sided permutation test of both \
                 rates by session ({how}), p = {p_value:.2e}.",
                source.other()
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

/// A session of which the source's answers are not known says nothing of noise, and is
/// left out.
fn rates(
    tally: &EndpointTally,
    source: Source,
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
        let (Some(signal), Some(noise)) =
            (of(&tally.compared, hits), of(source.seen(tally), noise))
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

/// Exchanges by session in which baseline and source differ so that a
/// difference of the candidate may be more of the same: any difference for a
/// value; one of structure for structure, or around the place.
fn relevant_noise(
    tally: &EndpointTally,
    place: &str,
    is_hard: bool,
    source: Source,
) -> BTreeMap<Session, u32> {
    let mut noise = BTreeMap::new();
    let mut add = |spot: &Spot| {
        for (session, count) in &source.noise(spot).sessions {
            *noise.entry(*session).or_insert(0) += count;
        }
    };
    let own = &tally.spots[place];
    if !is_hard || source.noise(own).hard > 0 {
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
        && spot.noise.exchanges() == tally.witnessed_exchanges() - tally.witnessed_racing
        && spot.noise.exchanges() >= 3
}

pub(crate) fn is_constant_at(tally: &EndpointTally, place: &str) -> bool {
    tally
        .spots
        .get(place)
        .is_some_and(|spot| is_constant(tally, spot))
}
