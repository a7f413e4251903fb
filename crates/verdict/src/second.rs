//! What a second baseline shows to vary by itself.
//!
//! It is the release of the baseline once more, from the same state, so that the candidate
//! and it are compared with the baseline in the same way: where both baselines differ, that is
//! noise, whatever production happened to answer. Only where it was asked the same in the same
//! state its answers say anything; what it fails at alone is noise of nothing.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::TwinTally;
use crate::observation::{Observation, Outcome};
use crate::passing::{Passing, by_place, learn, spot};
use crate::tally::{EndpointTally, Session};

/// What both baselines showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecondBaselineReport {
    /// Exchanges that both baselines answered in the same state.
    pub compared: u64,
    /// Those of them in which they agree, masked places aside.
    pub equal: u64,
    /// Exchanges that it says nothing of: one of the baselines gave no answer to it, or to an
    /// earlier request that it follows from.
    pub silent: u64,
    /// Endpoints at which both were compared.
    pub endpoints: Vec<SecondBaselineEndpoint>,
}

/// What both baselines showed at one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecondBaselineEndpoint {
    /// Method and path template.
    pub endpoint: String,
    /// Exchanges that both answered in the same state.
    pub compared: u64,
    /// Those in which they agree.
    pub equal: u64,
    /// Places where they differ, most often first.
    pub differs_at: Vec<VaryingPlace>,
}

/// A place where both baselines differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VaryingPlace {
    /// Where.
    pub location: String,
    /// Exchanges.
    pub count: u64,
}

impl SecondBaselineReport {
    pub(crate) fn new(names: &[String], endpoints: &[EndpointTally]) -> SecondBaselineReport {
        let mut report = SecondBaselineReport::default();
        for (name, endpoint) in names.iter().zip(endpoints) {
            let compared = endpoint.second.exchanges();
            report.compared += compared;
            report.equal += endpoint.second.equal;
            report.silent += endpoint.second.silent;
            if compared > 0 {
                report.endpoints.push(SecondBaselineEndpoint {
                    endpoint: name.clone(),
                    compared,
                    equal: endpoint.second.equal,
                    differs_at: places(endpoint),
                });
            }
        }
        report
    }

    /// All of it in a sentence.
    pub(crate) fn statement(&self) -> String {
        let places = self.endpoints.iter().map(|one| one.differs_at.len());
        let places: usize = places.sum();
        let silent = match self.silent {
            0 => String::new(),
            silent => format!("; it says nothing of {silent} exchanges"),
        };
        match self.compared {
            0 => "never answered as the baseline was asked, so that it shows no noise".to_owned(),
            compared => {
                let noise = match places {
                    0 => String::new(),
                    1 => ", and differs at 1 place, which is noise".to_owned(),
                    places => format!(", and differs at {places} places, which are noise"),
                };
                let equal = self.equal;
                format!(
                    "agrees with the baseline in {equal} of {compared} exchanges{noise}{silent}"
                )
            }
        }
    }
}

fn places(endpoint: &EndpointTally) -> Vec<VaryingPlace> {
    let spots = endpoint.spots.iter();
    let mut places: Vec<VaryingPlace> = spots
        .map(|(location, spot)| VaryingPlace {
            location: location.clone(),
            count: spot.second.exchanges(),
        })
        .filter(|place| place.count > 0)
        .collect();
    places.sort_by(|one, other| (other.count, &one.location).cmp(&(one.count, &other.location)));
    places
}

/// What a second baseline shows of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct SecondTally {
    /// Exchanges that both baselines answered in the same state, by session.
    pub(crate) compared: BTreeMap<Session, u32>,
    /// Those in which nothing differs, masked places aside.
    equal: u64,
    silent: u64,
}

impl SecondTally {
    pub(crate) fn exchanges(&self) -> u64 {
        self.compared.values().copied().map(u64::from).sum()
    }

    pub(crate) fn merge(&mut self, other: SecondTally) {
        for (session, count) in other.compared {
            *self.compared.entry(session).or_default() += count;
        }
        self.equal += other.equal;
        self.silent += other.silent;
    }
}

/// The second baseline of a run.
#[derive(Debug, Default)]
pub(crate) struct Second {
    pub(crate) tally: TwinTally,
    /// Sessions in which one of the baselines lacks a request that the other has.
    strayed: HashSet<String>,
    /// Positions of such requests, and of those that follow from them, as far as others
    /// depend on them.
    strays: HashSet<u32>,
}

impl Second {
    /// Takes what came of the next request in the order of the plan; says whether both
    /// baselines answered it in the same state.
    pub(crate) fn take(&mut self, observation: &Observation, second: &Outcome) -> bool {
        self.tally.add(second);
        let baseline = &observation.baseline;
        let follows = self.strayed.contains(&observation.session)
            || observation
                .depends_on
                .iter()
                .any(|cause| self.strays.contains(cause));
        let is_sound = [baseline, second].iter().all(|outcome| {
            matches!(outcome, Outcome::Answered { .. })
                && !outcome.is_unbound()
                && !outcome.is_late()
        });
        let is_at_neither = baseline.is_never_fired() && second.is_never_fired();
        let hands_on = observation.is_unsafe() || !observation.produced.is_empty();
        if !is_sound && !is_at_neither && hands_on {
            self.strayed.insert(observation.session.clone());
            self.strays.insert(observation.position);
        } else if follows && observation.is_awaited {
            self.strays.insert(observation.position);
        }
        is_sound && !follows
    }
}

impl Passing<'_> {
    /// Compares the second baseline with the baseline, as the candidate is.
    pub(crate) fn second_noise(&self, endpoint: &mut EndpointTally, places: &mut usize) {
        let Some(outcome) = &self.observation.second_baseline else {
            return;
        };
        let (Some(baseline), Some(second)) = (&self.baseline, &self.second) else {
            endpoint.second.silent += u64::from(!outcome.is_never_fired());
            return;
        };
        endpoint.known_statuses.insert(second.answer.head.status);
        let compared = endpoint.second.compared.entry(self.session);
        *compared.or_default() += 1;
        let found = self.compare(baseline, second, self.witness());
        let is_equal = found.iter().all(|difference| difference.mask.is_some());
        endpoint.second.equal += u64::from(is_equal);
        for (place, differences) in by_place(&found) {
            let spot = spot(endpoint, places, place, self.options);
            let is_racing = self.is_racing();
            spot.second.add(self.session, &differences, is_racing);
            learn(spot, &differences, [baseline, second]);
        }
    }
}
