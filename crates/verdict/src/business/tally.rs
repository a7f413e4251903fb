//! Business figures, counted while observations pass.

use std::collections::{BTreeMap, HashMap};

use super::extract::{Asked, Seen};
use super::inference::{Pair, Values};
use super::parts::{Shape, of_labelled, of_values};
use super::{Aggregate, Filter, Label, Metric, Per};
use crate::compare::Side;
use crate::evidence::{self, Evidence};
use crate::observation::{Observation, Outcome};
use crate::passing::Passing;
use crate::stats::Chance;
use crate::tally::Session;

/// Groups that sessions are put into, so that memory has a bound.
const GROUPS: usize = 256;
/// Values of a quantile kept for one group and witness; of more, some by chance.
const MOST_VALUES: usize = 256;
/// Answers that wait for their labels, and labels that wait, for one figure.
const MOST_WAITING: usize = 1 << 16;
/// Examples kept for one figure.
const MOST_EXAMPLES: usize = 3;

/// Production, baseline, candidate.
pub(super) type Three<T> = [T; 3];

/// The figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Business {
    tallies: Vec<MetricTally>,
}

/// What was counted for one figure.
#[derive(Debug, Default)]
pub(super) struct MetricTally {
    pub(super) witnesses: Three<WitnessTally>,
    /// By session, for figures that are per session.
    sessions: BTreeMap<Session, Three<OfSession>>,
    labels: Labels,
    pub(super) examples: Vec<Evidence>,
}

/// What was counted for one figure of one witness.
#[derive(Debug, Default)]
pub(super) struct WitnessTally {
    /// Exchanges that the figure is of.
    pub(super) exchanges: u64,
    /// Those without a value.
    pub(super) valueless: u64,
    /// Answers whose label never came.
    pub(super) unlabelled: u64,
    /// By group, what adds up.
    sums: BTreeMap<usize, Vec<f64>>,
    /// By group, the values of a quantile, and how many there were.
    values: BTreeMap<usize, (Vec<f64>, u64)>,
}

/// What was counted of one session.
#[derive(Clone, Copy, Debug, Default)]
struct OfSession {
    /// The witness was counted in it at all.
    is_there: bool,
    exchanges: u32,
    hits: u32,
    values: u32,
    sum: f64,
}

/// Labels that come with other exchanges.
#[derive(Debug, Default)]
struct Labels {
    known: HashMap<u64, Seen>,
    waiting: HashMap<u64, Vec<Waiting>>,
    waiting_count: usize,
}

#[derive(Debug)]
struct Waiting {
    session: Session,
    answered: Three<Option<Seen>>,
}

/// One exchange, as figures see it.
struct Exchange<'a> {
    asked: Asked<'a>,
    observation: &'a Observation,
    endpoint: &'a str,
    session: Session,
    witnesses: Three<Witnessed<'a>>,
}

/// One of the three, and an exchange.
#[derive(Clone, Copy)]
struct Witnessed<'a> {
    /// Whether it counts, answered or not.
    counts: bool,
    /// What it answered.
    side: Option<&'a Side<'a>>,
}

impl Business {
    /// Counts an observation that is judged.
    pub(crate) fn add(&mut self, metrics: &[Metric], passing: &Passing<'_>) {
        if metrics.is_empty() {
            return;
        }
        self.tallies
            .resize_with(metrics.len(), MetricTally::default);
        let observation = passing.observation;
        let exchange = Exchange {
            asked: Asked::new(observation),
            observation,
            endpoint: passing.endpoint,
            session: passing.session,
            witnesses: witnesses(passing),
        };
        for (metric, tally) in metrics.iter().zip(&mut self.tallies) {
            tally.add(metric, &exchange);
        }
    }

    /// What was counted for each figure; `metrics` are those of [`Business::add`].
    pub(super) fn into_tallies(mut self, metrics: &[Metric]) -> Vec<MetricTally> {
        self.tallies
            .resize_with(metrics.len(), MetricTally::default);
        self.tallies
    }
}

/// Production counts where it was seen. The twins count together: where the baseline
/// answered, and the candidate was asked the same.
fn witnesses<'a>(passing: &'a Passing<'_>) -> Three<Witnessed<'a>> {
    let observation = passing.observation;
    let is_same = match (&observation.baseline, &observation.candidate) {
        (_, Outcome::Refused(_)) => false,
        (Outcome::Answered { timing, .. }, Outcome::Answered { timing: other, .. }) => {
            !timing.wait_expired && !timing.unbound && !other.wait_expired
        }
        (Outcome::Answered { timing, .. }, _) => !timing.wait_expired && !timing.unbound,
        _ => false,
    };
    let witnessed = |counts, side: &'a Option<Side<'_>>| Witnessed {
        counts,
        side: side.as_ref(),
    };
    [
        witnessed(passing.production.is_some(), &passing.production),
        witnessed(is_same, &passing.baseline),
        witnessed(is_same, &passing.candidate),
    ]
}

impl Exchange<'_> {
    fn status(&self, witness: usize) -> Option<u16> {
        let side = self.witnesses[witness].side;
        side.map(|side| side.answer.head.status)
    }

    fn is_taken(&self, filter: &Filter) -> bool {
        filter.takes_request(self.observation, self.endpoint)
    }

    /// Those that a figure of the request counts, by number.
    fn counted(&self, of: &Filter) -> impl Iterator<Item = (usize, Option<&Side<'_>>)> {
        let witnesses = self.witnesses.iter().enumerate();
        let counted = witnesses.filter(|(witness, witnessed)| {
            witnessed.counts && of.takes_status(self.status(*witness))
        });
        counted.map(|(witness, witnessed)| (witness, witnessed.side))
    }
}

impl MetricTally {
    fn add(&mut self, metric: &Metric, exchange: &Exchange<'_>) {
        if metric.per == Per::Session {
            self.note_session(exchange);
        }
        if let Some(label) = &metric.label {
            self.take_label(metric, label, exchange);
        }
        if !exchange.is_taken(&metric.of) {
            return;
        }
        if metric.label.is_some() {
            return self.add_labelled(metric, exchange);
        }
        let mut seen: Three<Option<Vec<Seen>>> = Default::default();
        for (witness, side) in exchange.counted(&metric.of) {
            let is_hit = metric.hits.as_ref().is_some_and(|hits| {
                exchange.is_taken(hits) && hits.takes_status(exchange.status(witness))
            });
            let values = match &metric.value {
                Some(value) => value.values(&exchange.asked, side),
                None => vec![Seen::one(is_hit || metric.hits.is_none())],
            };
            self.count(metric, witness, exchange.session, &values, is_hit);
            seen[witness] = Some(values);
        }
        let [_, baseline, candidate] = seen;
        if exchange.witnesses[1].counts && baseline != candidate {
            self.keep_example(metric, exchange, &baseline, &candidate);
        }
    }

    fn count(
        &mut self,
        metric: &Metric,
        witness: usize,
        session: Session,
        values: &[Seen],
        is_hit: bool,
    ) {
        let tally = &mut self.witnesses[witness];
        tally.exchanges += 1;
        let is_count = matches!(metric.aggregate, Aggregate::Count);
        let numbers = || values.iter().filter_map(|value| value.number);
        let has_value = match is_count {
            true => !values.is_empty(),
            false => numbers().next().is_some(),
        };
        tally.valueless += u64::from(!has_value);
        if metric.per == Per::Session {
            let of_session = &mut self.sessions.entry(session).or_default()[witness];
            of_session.exchanges += 1;
            of_session.hits += u32::from(is_hit);
            of_session.values += numbers().count() as u32;
            of_session.sum += match is_count {
                true => values.len() as f64,
                false => numbers().sum(),
            };
            return;
        }
        let group = session as usize % GROUPS;
        if let Aggregate::Quantile(_) = metric.aggregate {
            for number in numbers() {
                tally.keep_value(group, number);
            }
        } else {
            tally.add_sums(group, of_values(&metric.aggregate, values));
        }
    }

    /// Sessions count though nothing in them is what a figure is of.
    fn note_session(&mut self, exchange: &Exchange<'_>) {
        let of_session = self.sessions.entry(exchange.session).or_default();
        for (witnessed, of_witness) in exchange.witnesses.iter().zip(of_session) {
            of_witness.is_there |= witnessed.counts;
        }
    }

    fn keep_example(
        &mut self,
        metric: &Metric,
        exchange: &Exchange<'_>,
        baseline: &Option<Vec<Seen>>,
        candidate: &Option<Vec<Seen>>,
    ) {
        let session = &exchange.observation.session;
        let is_wanted = self.examples.len() < MOST_EXAMPLES
            && self.examples.iter().all(|known| known.session != *session);
        if is_wanted {
            let change = format!("{} → {}", spelled(baseline), spelled(candidate));
            let example = evidence::of_outcomes(exchange.observation, &metric.name, &change);
            self.examples.push(example);
        }
    }
}

fn spelled(values: &Option<Vec<Seen>>) -> String {
    let Some(values) = values else {
        return "not counted".to_owned();
    };
    let numbers: Vec<String> = values
        .iter()
        .filter_map(|value| value.number)
        .take(4)
        .map(|number| number.to_string())
        .collect();
    match &numbers[..] {
        [] => "no value".to_owned(),
        numbers => numbers.join(", "),
    }
}

impl WitnessTally {
    fn add_sums(&mut self, group: usize, parts: Vec<f64>) {
        let sums = self.sums.entry(group);
        let sums = sums.or_insert_with(|| vec![0.0; parts.len()]);
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += part;
        }
    }

    /// Keeps a value, or lets one go: each stays with the same chance (Vitter, 1985).
    fn keep_value(&mut self, group: usize, value: f64) {
        let (kept, count) = self.values.entry(group).or_default();
        *count += 1;
        if kept.len() < MOST_VALUES {
            return kept.push(value);
        }
        let seed = *count ^ (group as u64) << 32;
        // A count fits: it is of what was held in memory one by one.
        let place = Chance::new(seed).below(*count as usize);
        if let Some(kept) = kept.get_mut(place) {
            *kept = value;
        }
    }
}

/// Labels, which may come before or after what they are of.
impl MetricTally {
    fn add_labelled(&mut self, metric: &Metric, exchange: &Exchange<'_>) {
        let (Some(value), Some(label)) = (&metric.value, &metric.label) else {
            return;
        };
        let mut answered: Three<Option<Seen>> = [None; 3];
        for (witness, side) in exchange.counted(&metric.of) {
            let tally = &mut self.witnesses[witness];
            tally.exchanges += 1;
            answered[witness] = value.value(&exchange.asked, side);
            tally.valueless += u64::from(answered[witness].is_none());
        }
        let waiting = Waiting {
            session: exchange.session,
            answered,
        };
        let production = exchange.witnesses[0].side;
        let Some(key) = &metric.key else {
            let truth = label.value.value(&exchange.asked, production);
            return self.settle(metric, &waiting, truth);
        };
        let Some(key) = key.value(&exchange.asked, production) else {
            return self.settle(metric, &waiting, None);
        };
        if let Some(truth) = self.labels.known.get(&key.text).copied() {
            return self.settle(metric, &waiting, Some(truth));
        }
        if self.labels.waiting_count >= MOST_WAITING {
            return self.settle(metric, &waiting, None);
        }
        self.labels.waiting_count += 1;
        self.labels
            .waiting
            .entry(key.text)
            .or_default()
            .push(waiting);
    }

    /// Takes the label that an exchange gives to others.
    fn take_label(&mut self, metric: &Metric, label: &Label, exchange: &Exchange<'_>) {
        let (Some(of), Some(key)) = (&label.of, &label.key) else {
            return;
        };
        let production = exchange.witnesses[0].side;
        if !exchange.is_taken(of) || !of.takes_status(exchange.status(0)) {
            return;
        }
        let key = key.value(&exchange.asked, production);
        let truth = label.value.value(&exchange.asked, production);
        let (Some(key), Some(truth)) = (key, truth) else {
            return;
        };
        let waiting = self.labels.waiting.remove(&key.text).unwrap_or_default();
        self.labels.waiting_count -= waiting.len();
        for waiting in &waiting {
            self.settle(metric, waiting, Some(truth));
        }
        if self.labels.known.len() < MOST_WAITING {
            self.labels.known.insert(key.text, truth);
        }
    }

    fn settle(&mut self, metric: &Metric, waiting: &Waiting, truth: Option<Seen>) {
        let group = waiting.session as usize % GROUPS;
        for (tally, answered) in self.witnesses.iter_mut().zip(waiting.answered) {
            let Some(answered) = answered else {
                continue;
            };
            match truth.map(|truth| of_labelled(metric, answered, truth)) {
                Some(Some(parts)) => tally.add_sums(group, parts),
                Some(None) => tally.valueless += 1,
                None => tally.unlabelled += 1,
            }
        }
    }

    /// What still waits for its label has none.
    pub(super) fn end(&mut self, metric: &Metric) {
        let waiting = std::mem::take(&mut self.labels.waiting);
        for waiting in waiting.into_values().flatten() {
            self.settle(metric, &waiting, None);
        }
    }
}

/// From counts to samples.
impl MetricTally {
    /// The groups' sums, production's apart; of a figure that is made of sums.
    pub(super) fn sums(&self, metric: &Metric) -> BTreeMap<usize, Three<Vec<f64>>> {
        let empty = || vec![0.0; Shape::of(metric).width()];
        let mut groups: BTreeMap<usize, Three<Vec<f64>>> = BTreeMap::new();
        let mut add = |group: usize, witness: usize, parts: &[f64]| {
            let three = groups.entry(group);
            let three = three.or_insert_with(|| [empty(), empty(), empty()]);
            for (sum, part) in three[witness].iter_mut().zip(parts) {
                *sum += part;
            }
        };
        for (witness, tally) in self.witnesses.iter().enumerate() {
            for (group, parts) in &tally.sums {
                add(*group, witness, parts);
            }
        }
        for (session, three) in &self.sessions {
            for (witness, of_session) in three.iter().enumerate() {
                if let Some(parts) = of_session.parts(&metric.aggregate) {
                    add(*session as usize % GROUPS, witness, &parts);
                }
            }
        }
        groups
    }

    /// The values of a quantile by witness, and how many groups there are.
    pub(super) fn values(&self) -> (Three<Values>, usize) {
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        let mut number = |group: usize| {
            let next = numbers.len();
            *numbers.entry(group).or_insert(next)
        };
        let mut values: Three<Values> = Default::default();
        for (tally, values) in self.witnesses.iter().zip(&mut values) {
            for (group, (kept, _)) in &tally.values {
                let group = number(*group);
                values.extend(kept.iter().map(|value| (*value, group)));
            }
        }
        for (session, three) in &self.sessions {
            for (of_session, values) in three.iter().zip(&mut values) {
                if of_session.values > 0 {
                    let group = number(*session as usize % GROUPS);
                    values.push((of_session.sum, group));
                }
            }
        }
        (values, numbers.len())
    }
}

impl OfSession {
    /// What a session adds to a figure that is per session.
    fn parts(&self, aggregate: &Aggregate) -> Option<Vec<f64>> {
        let hit = |count: u32| f64::from(u8::from(count > 0));
        match aggregate {
            Aggregate::Rate => (self.exchanges > 0).then(|| vec![hit(self.hits), 1.0]),
            Aggregate::Mean => {
                (self.values > 0).then(|| vec![self.sum / f64::from(self.values), 1.0])
            }
            _ => self.is_there.then(|| vec![self.sum, 1.0]),
        }
    }
}

/// The twins' sums by group, as pairs.
pub(super) fn pairs(groups: &BTreeMap<usize, Three<Vec<f64>>>) -> Vec<Pair> {
    groups
        .values()
        .map(|[_, baseline, candidate]| [baseline.clone(), candidate.clone()])
        .collect()
}
