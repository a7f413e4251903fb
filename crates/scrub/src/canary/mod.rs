//! Canaries: made-up personal values that go through a policy, in memory alone.
//!
//! Each is put where values stand in messages, and at the places that the policy's own
//! rules allow. One that would be stored as it is says what the policy lets through.

mod message;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use self::message::{Place, Route};
use self::values::{CANARIES, Canary};
use crate::key::Key;
use crate::policy::Policy;
use crate::scrubber::Scrubber;

/// A place where made-up personal values would be stored as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CanaryLeak {
    /// Method and path of the request.
    pub route: String,
    /// The leaf's path.
    pub place: String,
    /// The words of the kinds that came through.
    pub kinds: Vec<&'static str>,
}

/// Tries the policy with a made-up value of each kind that has a pattern or a checksum; what
/// comes through, by route and place. The second look is tried as well, its budget apart.
#[must_use]
pub fn try_canaries(policy: &Policy, key: &Key) -> Vec<CanaryLeak> {
    let scrubber = Scrubber::new(policy.clone().with_whole_look(), key);
    let mut leaks: BTreeMap<(String, String), BTreeSet<&'static str>> = BTreeMap::new();
    for (route, places) in policy_routes(policy) {
        for canary in CANARIES {
            for place in leaking(&scrubber, &route, &places, canary) {
                let at = (route.to_string(), place.path());
                leaks.entry(at).or_default().insert(canary.kind.name());
            }
        }
    }
    let leaks = leaks.into_iter();
    leaks
        .map(|((route, place), kinds)| CanaryLeak {
            route,
            place,
            kinds: kinds.into_iter().collect(),
        })
        .collect()
}

/// The routes to try, with the places on each: one that no rule names, and those that rules
/// allow something on.
fn policy_routes(policy: &Policy) -> Vec<(Route, Vec<Place>)> {
    let mut routes: BTreeMap<Route, BTreeSet<Place>> = BTreeMap::new();
    routes.insert(Route::default(), Place::usual().collect());
    for (on, at) in policy.allowances() {
        let places = at.iter().filter_map(|glob| Place::matching(glob.as_str()));
        let places: BTreeSet<Place> = match at.is_empty() {
            true => Place::usual().collect(),
            false => places.collect(),
        };
        for route in Route::of(on) {
            routes.entry(route).or_default().extend(places.clone());
        }
    }
    let routes = routes.into_iter();
    routes
        .map(|(route, places)| (route, places.into_iter().collect()))
        .collect()
}

/// The places at which the canary comes through.
fn leaking<'a>(
    scrubber: &Scrubber,
    route: &Route,
    places: &'a [Place],
    canary: &Canary,
) -> Vec<&'a Place> {
    // Mostly nothing comes through anywhere, and no second look hides that.
    let everywhere = message::scrub(scrubber, route, places, canary.value);
    if everywhere.hits == 0 && !everywhere.shows(canary.value) {
        return Vec::new();
    }
    let is_leaking = |place: &&Place| {
        let alone = std::slice::from_ref(*place);
        message::scrub(scrubber, route, alone, canary.value).shows(canary.value)
    };
    places.iter().filter(is_leaking).collect()
}
