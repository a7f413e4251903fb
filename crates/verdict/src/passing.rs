//! One observation on its way through the counts.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use crate::compare::{Difference, Mask, Side, Witness, compare, place_of};
use crate::errors::failed;
use crate::evidence::{self, Evidence};
use crate::fidelity::{Unequal, cause};
use crate::history::History;
use crate::kind::Kind;
use crate::mould::Look;
use crate::observation::{Answer, Observation, Outcome, Timing};
use crate::options::Options;
use crate::report::ApartCause;
use crate::tally::{EndpointTally, Session, Signal, SignalKey, Spot, masks};

/// Where an answer as a whole lies, when there is none.
pub(crate) const ANSWER: &str = "answer";
/// Where differences lie when there are too many places to tell apart.
pub(crate) const ELSEWHERE: &str = "elsewhere";
/// Values of one answer at one place that are looked at closer.
const MOST_LOOKED_AT: usize = 16;

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) compared: u64,
    pub(crate) witnessed: u64,
}

/// One observation on its way through the counts.
pub(crate) struct Passing<'a> {
    pub(crate) observation: &'a Observation,
    pub(crate) session: Session,
    pub(crate) options: &'a Options,
    /// What the request is called so far.
    pub(crate) endpoint: &'a str,
    /// What was before it.
    pub(crate) history: &'a History,
    /// Set once something was counted that can be why later answers differ.
    pub(crate) can_cause: Cell<bool>,
    pub(crate) production: Option<Side<'a>>,
    pub(crate) baseline: Option<Side<'a>>,
    pub(crate) candidate: Option<Side<'a>>,
    /// The second baseline's answer, where it is one to the same request in the same state.
    pub(crate) second: Option<Side<'a>>,
}

impl Passing<'_> {
    pub(crate) fn count(&self, endpoint: &mut EndpointTally, places: &mut usize) -> Counts {
        endpoint.seen += 1;
        let observation = self.observation;
        if let (Outcome::Skipped(cause), Outcome::Skipped(_)) =
            (&observation.baseline, &observation.candidate)
        {
            *endpoint.skipped.entry(cause.clone()).or_default() += 1;
        }
        let noise = self.noise(endpoint, places);
        self.second_noise(endpoint, places);
        let counts = Counts {
            witnessed: u64::from(noise.is_some()),
            compared: u64::from(self.signal(endpoint, places)),
        };
        if observation
            .production_status
            .is_some_and(|status| status >= 400)
        {
            endpoint.errors_seen += 1;
            endpoint.errors_compared += counts.compared;
        }
        if let Some(verdict) = self.fidelity(noise) {
            endpoint.fidelity.add(verdict);
        }
        counts
    }

    /// Compares the baseline with production; whether they are equal, masked
    /// places aside, or why not.
    fn noise(
        &self,
        endpoint: &mut EndpointTally,
        places: &mut usize,
    ) -> Option<Result<(), Unequal>> {
        let production = self.production.as_ref()?;
        endpoint
            .known_statuses
            .insert(production.answer.head.status);
        if self.observation.baseline.is_unbound() {
            return None;
        }
        if let Outcome::Errored { .. } = &self.observation.baseline {
            let spot = spot(endpoint, places, ANSWER, self.options);
            *spot.noise.sessions.entry(self.session).or_default() += 1;
            spot.noise.hard += 1;
        }
        let baseline = self.baseline.as_ref()?;
        if self.observation.baseline.is_late() {
            return None;
        }
        endpoint.known_statuses.insert(baseline.answer.head.status);
        *endpoint.witnessed.entry(self.session).or_default() += 1;
        endpoint.witnessed_racing += u64::from(self.is_racing());
        let found = self.compare(production, baseline, Witness::NotNeeded);
        for (place, differences) in by_place(&found) {
            let spot = spot(endpoint, places, place, self.options);
            spot.add_noise(self.session, &differences, self.is_racing());
            learn(spot, &differences, [production, baseline]);
        }
        Some(
            match found.iter().all(|difference| difference.mask.is_some()) {
                true => Ok(()),
                false if self.is_racing() => Err(Unequal::Race),
                false => Err(cause(production, baseline, &found)),
            },
        )
    }

    pub(crate) fn compare(
        &self,
        left: &Side<'_>,
        right: &Side<'_>,
        witness: Witness<'_>,
    ) -> Vec<Difference> {
        compare(left, right, witness, self.endpoint, self.options)
    }

    /// Compares the candidate with the baseline; whether it could be.
    fn signal(&self, endpoint: &mut EndpointTally, places: &mut usize) -> bool {
        let observation = self.observation;
        if observation.baseline.is_unbound() || observation.candidate.is_unbound() {
            // Whatever comes of it comes of the answer that lacked the value.
            endpoint.unbound += 1;
            let signal = endpoint.events.entry(ApartCause::Unbound).or_default();
            self.event_hit(signal, "fired without the twin's own values");
            return false;
        }
        let twins = [&observation.candidate, &observation.baseline];
        if let [Some(candidate), Some(baseline)] = twins.map(failed)
            && !twins.iter().any(|outcome| outcome.is_late())
        {
            endpoint.errors.add(self.session, candidate, baseline, || {
                evidence::of_outcomes(observation, ANSWER, "fails")
            });
        }
        if let Some(change) = self.lacking() {
            self.no_answer(endpoint, places, &change);
        }
        if let Some((cause, change)) = self.event() {
            let signal = endpoint.events.entry(cause).or_default();
            self.event_hit(signal, &change);
        }
        let (Some(baseline), Some(candidate)) = (&self.baseline, &self.candidate) else {
            return false;
        };
        if observation.baseline.is_late() || observation.candidate.is_late() {
            // What was fired need not be the same request.
            endpoint.late += 1;
            return false;
        }
        *endpoint.compared.entry(self.session).or_default() += 1;
        let found = self.compare(baseline, candidate, self.witness());
        let known_statuses = endpoint.known_statuses.clone();
        for (place, differences) in by_place(&found) {
            let spot = spot(endpoint, places, place, self.options);
            self.differences(spot, &differences, &known_statuses);
        }
        let (one, other) = (&observation.baseline, &observation.candidate);
        if baseline.answer.head.status == candidate.answer.head.status
            && let (Some((_, one)), Some((_, other))) = (answered(one), answered(other))
        {
            endpoint.latency.add(self.session, one, other, || {
                self.in_session(evidence::of_outcomes(observation, "latency", "slower"))
            });
        }
        true
    }

    pub(crate) fn witness(&self) -> Witness<'_> {
        let production = self.production.as_ref();
        production.map_or(Witness::Unseen, Witness::Seen)
    }

    fn differences(
        &self,
        spot: &mut Spot,
        differences: &[&Difference],
        known_statuses: &BTreeSet<u16>,
    ) {
        let mut by_key: BTreeMap<SignalKey, Vec<&Difference>> = BTreeMap::new();
        for difference in differences {
            let is_unwitnessed = difference.mask == Some(Mask::Unwitnessed);
            if difference.mask.is_some() && !is_unwitnessed {
                continue;
            }
            let status = match difference.kind {
                // A status code is all that the pair holds then.
                Kind::Status => u16::try_from(difference.pair.1).unwrap_or_default(),
                _ => 0,
            };
            let key = SignalKey {
                kind: difference.kind,
                is_hard: difference.is_hard,
                status,
                is_unwitnessed,
            };
            by_key.entry(key).or_default().push(difference);
        }
        self.show(spot, differences);
        self.tell_time(spot, differences);
        if by_key.is_empty() {
            for mask in masks(differences) {
                *spot.masked.entry(mask).or_default() += 1;
            }
        }
        for (key, differences) in by_key {
            let can_cause = differences
                .iter()
                .any(|difference| self.can_cause(difference));
            let signals = if self.may_be_race(&key, known_statuses) {
                &mut spot.races
            } else {
                &mut spot.signals
            };
            let signal = signals.entry(key).or_default();
            // Both sides were there to be compared.
            let (Some(baseline), Some(candidate)) = (&self.baseline, &self.candidate) else {
                continue;
            };
            self.hit(signal, can_cause, || {
                self.example(differences[0], baseline, candidate)
            });
        }
    }

    fn example(
        &self,
        difference: &Difference,
        baseline: &Side<'_>,
        candidate: &Side<'_>,
    ) -> Evidence {
        let production = self.production.as_ref();
        evidence::of_difference(
            self.observation,
            difference,
            production,
            baseline,
            candidate,
        )
    }

    /// Shows what values that differ look like.
    fn show(&self, spot: &mut Spot, differences: &[&Difference]) {
        let (Some(baseline), Some(candidate)) = (&self.baseline, &self.candidate) else {
            return;
        };
        for difference in looked_at(differences) {
            let Difference {
                at_left, at_right, ..
            } = difference;
            let production = self.production.as_ref();
            let of_production = production.and_then(|side| look(side, difference, at_left));
            spot.mould.learn(of_production);
            spot.mould.learn(look(baseline, difference, at_left));
            if self.is_racing() {
                continue;
            }
            if difference.mask == Some(Mask::Volatile) {
                self.hit(&mut spot.volatile, false, || {
                    self.example(difference, baseline, candidate)
                });
            }
            let of_candidate = look(candidate, difference, at_right);
            spot.mould.show(self.session, of_candidate, || {
                self.example(difference, baseline, candidate)
            });
        }
    }

    /// Notes how far times that both made up lie from their requests.
    fn tell_time(&self, spot: &mut Spot, differences: &[&Difference]) {
        let (Some(baseline), Some(candidate)) = (&self.baseline, &self.candidate) else {
            return;
        };
        let observation = self.observation;
        let twins = [&observation.baseline, &observation.candidate];
        let [Some(of_baseline), Some(of_candidate)] = twins.map(Outcome::timing) else {
            return;
        };
        if self.is_racing() {
            return;
        }
        let age = |side: &Side<'_>, place: &str, at: &str, timing: &Timing| {
            let seconds = Look::at(side, place, at)?.seconds?;
            Some(seconds - timing.released_ns as f64 / 1e9)
        };
        let made_up = differences.iter();
        let made_up = made_up.filter(|one| is_made_up_time(one));
        for difference in made_up {
            let Difference {
                place,
                at_left,
                at_right,
                ..
            } = difference;
            let ages = age(baseline, place, at_left, of_baseline).zip(age(
                candidate,
                place,
                at_right,
                of_candidate,
            ));
            let Some((left, right)) = ages else {
                continue;
            };
            spot.ages.add(self.session, left, right);
            self.hit(&mut spot.ages.signal, false, || {
                self.example(difference, baseline, candidate)
            });
        }
    }

    /// What the candidate did in place of an answer, where the baseline gave one.
    pub(crate) fn lacking(&self) -> Option<String> {
        let observation = self.observation;
        match (&observation.baseline, &observation.candidate) {
            (_, candidate) if candidate.kept_back().is_some() => None,
            (Outcome::Answered { .. }, Outcome::Errored { kind, detail, .. }) => {
                Some(match kind.as_str() {
                    // The text is the same in every exchange, and says what to mend.
                    "other_protocol" => format!("no answer: {kind} ({detail})"),
                    _ => format!("no answer: {kind}"),
                })
            }
            (Outcome::Answered { .. }, Outcome::Skipped(cause)) => {
                Some(format!("could not be fired: {cause}"))
            }
            _ => None,
        }
    }

    fn no_answer(&self, endpoint: &mut EndpointTally, places: &mut usize, change: &str) {
        let key = SignalKey {
            kind: Kind::Error,
            is_hard: true,
            status: 0,
            is_unwitnessed: false,
        };
        let can_cause = self.is_unsafe() || !self.observation.produced.is_empty();
        let spot = spot(endpoint, places, ANSWER, self.options);
        let signal = spot.signals.entry(key).or_default();
        self.hit(signal, can_cause, || {
            evidence::of_outcomes(self.observation, ANSWER, change)
        });
    }

    fn hit(&self, signal: &mut Signal, can_cause: bool, evidence: impl FnOnce() -> Evidence) {
        let position = self.observation.position;
        signal.add(self.session, position, can_cause);
        if can_cause {
            self.can_cause.set(true);
            if self.observation.is_awaited {
                signal.awaited.push((position, self.session));
            }
        }
        if signal.wants_example(&self.observation.session, self.options.examples * 2) {
            signal.examples.push(self.in_session(evidence()));
        }
    }

    /// An example with what its session did before.
    fn in_session(&self, evidence: Evidence) -> Evidence {
        Evidence {
            before: self.history.of(self.session),
            ..evidence
        }
    }

    /// Counts what may make the twins' states differ without the candidate's doing.
    fn event_hit(&self, signal: &mut Signal, change: &str) {
        let can_cause = self.is_unsafe() || !self.observation.produced.is_empty();
        self.hit(signal, can_cause, || {
            evidence::of_outcomes(self.observation, ANSWER, change)
        });
    }

    /// What the run did to one twin and not to the other, so that their states may
    /// differ without the candidate's doing.
    fn event(&self) -> Option<(ApartCause, String)> {
        let (baseline, candidate) = (&self.observation.baseline, &self.observation.candidate);
        let event = match (baseline, candidate) {
            (Outcome::Refused(_), Outcome::Refused(_))
            | (Outcome::Skipped(_), Outcome::Skipped(_)) => return None,
            _ if let Some(cause) = baseline.kept_back() => {
                (ApartCause::Limit, format!("baseline not fired: {cause}"))
            }
            _ if let Some(cause) = candidate.kept_back() => {
                (ApartCause::Limit, format!("candidate not fired: {cause}"))
            }
            (Outcome::Errored { kind, .. }, _) => (
                ApartCause::Baseline,
                format!("no answer of the baseline: {kind}"),
            ),
            (Outcome::Skipped(cause), _) => (
                ApartCause::Baseline,
                format!("baseline could not be fired: {cause}"),
            ),
            _ if self.is_unsafe() && (baseline.is_late() || candidate.is_late()) => {
                let change = "fired before what it waits for was there";
                (ApartCause::Late, change.to_owned())
            }
            _ => return None,
        };
        Some(event)
    }

    pub(crate) fn is_racing(&self) -> bool {
        !self.observation.races.is_empty()
    }

    /// Whether a race may be why the twins differ so. It changes which of the answers
    /// comes that the service gives anyway: another value, another number of parts, a
    /// status that is known here; not another type or form, and no new status.
    fn may_be_race(&self, key: &SignalKey, known_statuses: &BTreeSet<u16>) -> bool {
        let is_of_order = match key.kind {
            Kind::Status => known_statuses.contains(&key.status),
            Kind::BodyChanged
            | Kind::BodyOrder
            | Kind::BodyMissing
            | Kind::BodyAdded
            | Kind::HeaderChanged => true,
            _ => false,
        };
        self.is_racing() && is_of_order
    }

    /// Whether a difference can be why later answers of the session differ: the
    /// request changes state (is not safe, RFC 9110, section 9.2.1) and its
    /// answer says that it did otherwise, or the value goes into later requests.
    fn can_cause(&self, difference: &Difference) -> bool {
        let says_outcome = difference.kind == Kind::Status || difference.kind.is_of_body();
        if says_outcome && self.is_unsafe() {
            return true;
        }
        if difference.kind.is_of_body() && self.hands_on_another() {
            return true;
        }
        let mut produced = self
            .observation
            .produced
            .iter()
            .map(|(path, _)| path.as_str());
        if difference.kind == Kind::Status {
            return produced.next().is_some();
        }
        // Leaves of trailers are called as those of the head.
        let place = match difference.place.strip_prefix("trailer.") {
            Some(name) => &format!("header.{name}"),
            None => difference.place.as_str(),
        };
        let of_header = place.strip_prefix("header.").unwrap_or(place);
        let at = handed_on(difference);
        let of_body = format!("json.{at}");
        produced.any(|path| {
            if difference
                .leaf
                .as_deref()
                .is_some_and(|leaf| is_at_or_below(path, leaf, '>'))
            {
                return true;
            }
            let in_document = place_of(path);
            let path = in_document.as_deref().unwrap_or(path);
            path == place
                || is_at_or_below(path, of_header, '.')
                || is_at_or_below(path, &of_body, '/')
        })
    }

    /// Whether the candidate gave another value to be used later, where the baseline gave the
    /// recorded one, which no twin makes up. Its role hides it from comparison.
    fn hands_on_another(&self) -> bool {
        let (Some(baseline), Some(candidate)) = (&self.baseline, &self.candidate) else {
            return false;
        };
        let mut produced = self.observation.produced.iter();
        produced.any(|(path, recorded)| {
            let in_document = place_of(path);
            let path = in_document.as_deref().unwrap_or(path);
            let is_recorded = |side: &Side<'_>| side.leaf(path).map(|leaf| leaf.tag == *recorded);
            is_recorded(baseline) == Some(true) && is_recorded(candidate) == Some(false)
        })
    }

    fn is_unsafe(&self) -> bool {
        self.observation.is_unsafe()
    }

    /// How this exchange counts: equal, unequal, or not at all.
    fn fidelity(&self, noise: Option<Result<(), Unequal>>) -> Option<Result<(), Unequal>> {
        let verdict = match &self.observation.baseline {
            outcome if outcome.is_never_fired() => return None,
            Outcome::Skipped(cause) => match cause.as_str() {
                "not_due" => return None,
                "unbound" => Err(Unequal::Unbound),
                _ => Err(Unequal::Skipped),
            },
            Outcome::Refused(_) => Err(Unequal::Refused),
            // Without production's answer the recorded exchange is incomplete.
            _ if self.production.is_none() => return None,
            baseline if baseline.is_unbound() => Err(Unequal::Unbound),
            Outcome::Errored { .. } => Err(Unequal::Errored),
            Outcome::Answered { timing, .. } if timing.wait_expired => Err(Unequal::Late),
            Outcome::Answered { .. } => noise.unwrap_or(Err(Unequal::Difference)),
        };
        Some(verdict)
    }
}

/// The part of a document that a difference hands on to later requests. Where elements of a list
/// come or go, others take their places, and it is all of the list.
fn handed_on(difference: &Difference) -> &str {
    let Difference {
        at_left, at_right, ..
    } = difference;
    if difference.is_hard && difference.place.ends_with("/*") {
        return at_left.rsplit_once('/').map_or("", |(list, _)| list);
    }
    let mut shared = 0;
    for (left, right) in at_left.split('/').zip(at_right.split('/')) {
        if left != right {
            return at_left[..shared].trim_end_matches('/');
        }
        shared += left.len() + 1;
    }
    at_left
}

fn is_at_or_below(path: &str, place: &str, separator: char) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

pub(crate) fn spot<'a>(
    endpoint: &'a mut EndpointTally,
    places: &mut usize,
    place: &str,
    options: &Options,
) -> &'a mut Spot {
    let is_new = !endpoint.spots.contains_key(place);
    let name = if is_new && *places >= options.max_places {
        ELSEWHERE
    } else {
        *places += usize::from(is_new);
        place
    };
    endpoint.spots.entry(name.to_owned()).or_default()
}

/// The first differences that say something, or that would if their values were compared, as
/// many as are looked at closer.
fn looked_at<'a>(differences: &'a [&'a Difference]) -> impl Iterator<Item = &'a Difference> {
    let all = differences.iter().copied();
    all.filter(|one| matches!(one.mask, None | Some(Mask::Volatile)))
        .take(MOST_LOOKED_AT)
}

/// What the value of one side of a difference looks like. Of fields that are never compared
/// by value no more than what kind of value it is: what they count and name is their own.
fn look(side: &Side<'_>, difference: &Difference, at: &str) -> Option<Look> {
    let look = Look::at(side, &difference.place, at)?;
    match difference.mask {
        Some(Mask::Volatile) => Some(look.of_class_alone()),
        _ => Some(look),
    }
}

/// Whether both values are times that were made up as the answers were: of the fields that are
/// never compared by value, those that say what time it is, or count from it (RFC 9110,
/// section 6.6.1; RFC 9111, section 5.3).
fn is_made_up_time(difference: &Difference) -> bool {
    match difference.mask {
        Some(Mask::Generated) => true,
        Some(Mask::Volatile) => matches!(&*difference.place, "header.date" | "header.expires"),
        _ => false,
    }
}

/// Learns what values of the same release look like that differ at one place.
pub(crate) fn learn(spot: &mut Spot, differences: &[&Difference], [left, right]: [&Side<'_>; 2]) {
    for difference in looked_at(differences) {
        spot.mould
            .learn(look(left, difference, &difference.at_left));
        spot.mould
            .learn(look(right, difference, &difference.at_right));
    }
}

pub(crate) fn by_place(found: &[Difference]) -> BTreeMap<&str, Vec<&Difference>> {
    let mut places: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for difference in found {
        places
            .entry(&difference.place)
            .or_default()
            .push(difference);
    }
    places
}

pub(crate) fn answered(outcome: &Outcome) -> Option<(&Answer, &Timing)> {
    match outcome {
        Outcome::Answered { answer, timing } => Some((answer, timing)),
        _ => None,
    }
}
