//! From counts to a report.

use std::collections::{BTreeMap, BTreeSet};

use crate::apart::apart;
use crate::blame::Blame;
use crate::business;
use crate::compare::Mask;
use crate::confirm::Draft;
use crate::endpoint::{Shape, templates};
use crate::errors::errors;
use crate::evidence::rfc_3339;
use crate::facts::{Quantiles, RunFacts};
use crate::fidelity::FidelityTally;
use crate::findings::findings;
use crate::judge::{Tally, TwinTally};
use crate::latency::{Compared, Spread, compared};
use crate::noise::is_constant_at;
use crate::report::{
    Coverage, EndpointFidelity, EndpointLatency, EndpointScope, FidelityReport, KernelReport,
    Lateness, Ledgers, MaskedPlace, NoisyPlace, Report, RunLedger, RunLedgers, SCHEMA_VERSION,
    Scope, StoreReport, Timings, Twins,
};
use crate::resource::{Slope, resources};
use crate::rules::Rules;
use crate::scope::Component;
use crate::second::SecondBaselineReport;
use crate::tally::{EndpointTally, Session};
use crate::trend::Trend;

pub(crate) fn draft(mut tally: Tally, facts: RunFacts, rules: Rules) -> Draft {
    let Rules {
        options,
        gate,
        metrics,
        components,
        descriptors: _,
    } = rules;
    let (names, endpoints) = merge_shapes(std::mem::take(&mut tally.shapes));
    let blame = Blame::new(&names, &endpoints, &tally.trail, &options);
    let resources = resources(&facts.resources, &options);
    let answered = endpoints
        .iter()
        .filter(|endpoint| endpoint.latency.sessions() > 0);
    let answered = answered.count();
    let latency: Vec<Compared> = endpoints
        .iter()
        .map(|endpoint| compared(&endpoint.latency, answered, &options))
        .collect();
    let errors = errors(&names, &endpoints, &options);
    let figures = business::figures(&metrics, std::mem::take(&mut tally.business), &options);
    let of_business = business::findings(&metrics, &figures, &options);
    let findings = findings(&blame, &latency, &errors, &resources, of_business);
    let (apart, consequences) = (apart(&blame), blame.by_cause());
    let fidelity_detail = fidelity(&names, &endpoints);
    let of_plan = facts.plan.as_ref().map(|plan| plan.requests);
    let planned = of_plan.or(facts.planned);
    let ledgers = ledgers(&tally, &facts, planned);
    let (fidelity, scope) = (
        ratio(&endpoints),
        scope(&names, &endpoints, &tally, components),
    );
    let release_error_us = facts.release_error_us.unwrap_or_else(|| {
        let mut all = Spread::default();
        all.merge(&tally.candidate.release_after_ready_us);
        all.merge(&tally.baseline.release_after_ready_us);
        all.quantiles()
    });
    let report = Report {
        schema_version: SCHEMA_VERSION,
        run: facts.run,
        tool_version: facts.tool_version,
        capture_source: facts.capture_source,
        verdict: crate::report::Verdict::Inconclusive,
        reasons: Vec::new(),
        findings,
        not_reproduced: Vec::new(),
        confirmation: None,
        apart,
        consequences,
        fidelity,
        fidelity_detail,
        second_baseline: tally
            .second
            .is_some()
            .then(|| SecondBaselineReport::new(&names, &endpoints)),
        latency: latency_table(&names, &endpoints, &latency),
        errors: errors.into_iter().flatten().collect(),
        error_drift: tally.error_trail.drift(options.level).map(hourly),
        sequential: facts.sequential.unwrap_or_default(),
        business: figures.into_iter().map(|made| made.figure).collect(),
        gate: Vec::new(),
        resources,
        resources_unseen: facts.resources.unseen,
        ledgers,
        loss: facts.loss,
        release_error_us,
        timing: Timings {
            candidate: lateness(&tally.candidate),
            baseline: lateness(&tally.baseline),
        },
        correlation: facts.correlation,
        scope,
        masked: masked(&names, &endpoints),
        twins: Twins {
            candidate: facts.candidate,
            baseline: facts.baseline,
            second_baseline: facts.second_baseline,
        },
        plan: facts.plan,
        started: facts.started.map(rfc_3339),
        ended: facts.ended.map(rfc_3339),
        policy: facts.policy,
        twin_state_scrubbed: facts.twin_state_scrubbed,
        reproduce: facts.reproduce,
        options,
    };
    Draft::new(report, gate, facts.inconclusive, tally.repeated)
}

/// Shapes of one template are one endpoint.
fn merge_shapes(shapes: BTreeMap<Shape, EndpointTally>) -> (Vec<String>, Vec<EndpointTally>) {
    let template_of: BTreeMap<Shape, String> =
        templates(shapes.iter().map(|(shape, tally)| (shape, tally.seen)))
            .into_iter()
            .map(|(shape, template)| (shape.clone(), template))
            .collect();
    let mut merged: BTreeMap<String, EndpointTally> = BTreeMap::new();
    for (shape, tally) in shapes {
        let template = template_of.get(&shape).unwrap_or(&shape.name);
        match merged.get_mut(template) {
            Some(known) => known.merge(tally),
            None => {
                merged.insert(template.clone(), tally);
            }
        }
    }
    merged.into_iter().unzip()
}

fn ratio(endpoints: &[EndpointTally]) -> f64 {
    let mut all = FidelityTally::default();
    for endpoint in endpoints {
        all.merge(&endpoint.fidelity);
    }
    all.ratio()
}

fn fidelity(names: &[String], endpoints: &[EndpointTally]) -> FidelityReport {
    let mut all = FidelityTally::default();
    let by_endpoint = names
        .iter()
        .zip(endpoints)
        .filter(|(_, endpoint)| endpoint.fidelity.exchanges() > 0)
        .map(|(name, endpoint)| {
            all.merge(&endpoint.fidelity);
            let mut differs_at: Vec<NoisyPlace> = endpoint
                .spots
                .iter()
                .filter(|(_, spot)| spot.noise.exchanges() > 0)
                .map(|(place, spot)| NoisyPlace {
                    location: place.clone(),
                    count: spot.noise.exchanges(),
                    constant: is_constant_at(endpoint, place),
                })
                .collect();
            differs_at.sort_by(|one, other| {
                (other.count, &one.location).cmp(&(one.count, &other.location))
            });
            EndpointFidelity {
                endpoint: name.clone(),
                exchanges: endpoint.fidelity.exchanges(),
                equal: endpoint.fidelity.equal,
                fidelity: endpoint.fidelity.ratio(),
                unequal: by_name(&endpoint.fidelity),
                differs_at,
            }
        })
        .collect();
    FidelityReport {
        exchanges: all.exchanges(),
        equal: all.equal,
        unequal: by_name(&all),
        endpoints: by_endpoint,
    }
}

fn by_name(tally: &FidelityTally) -> BTreeMap<String, u64> {
    let causes = tally.unequal.iter();
    causes
        .map(|(cause, count)| (cause.name().to_owned(), *count))
        .collect()
}

fn scope(
    names: &[String],
    endpoints: &[EndpointTally],
    tally: &Tally,
    components: Vec<Component>,
) -> Scope {
    let total = |of: fn(&EndpointTally) -> u64| endpoints.iter().map(of).sum::<u64>();
    let compared: BTreeSet<Session> = endpoints
        .iter()
        .flat_map(|endpoint| endpoint.compared.keys().copied())
        .collect();
    Scope {
        traffic: Coverage::of(total(|endpoint| endpoint.seen), tally.compared),
        session_coverage: Coverage::of(tally.sessions.len() as u64, compared.len() as u64),
        error_paths: Coverage::of(
            total(|endpoint| endpoint.errors_seen),
            total(|endpoint| endpoint.errors_compared),
        ),
        components,
        sessions: tally.sessions.len() as u64,
        compared: tally.compared,
        witnessed: tally.witnessed,
        warm_up: tally.warm_up,
        endpoints: names
            .iter()
            .zip(endpoints)
            .map(|(name, endpoint)| EndpointScope {
                endpoint: name.clone(),
                seen: endpoint.seen,
                compared: endpoint.compared_exchanges(),
                late: endpoint.late,
                unbound: endpoint.unbound,
                skipped: endpoint.skipped.clone(),
                errors_seen: endpoint.errors_seen,
                errors_compared: endpoint.errors_compared,
            })
            .collect(),
    }
}

fn masked(names: &[String], endpoints: &[EndpointTally]) -> Vec<MaskedPlace> {
    let mut places = Vec::new();
    for (name, endpoint) in names.iter().zip(endpoints) {
        for (place, spot) in &endpoint.spots {
            for (mask, reason) in [
                (Mask::Generated, "generated"),
                (Mask::Volatile, "volatile"),
                (Mask::Unwitnessed, "unwitnessed"),
            ] {
                let of_noise = spot.noise.masked.get(&mask).copied().unwrap_or(0);
                let of_signal = spot.masked.get(&mask).copied().unwrap_or(0);
                if of_noise + of_signal > 0 {
                    places.push(MaskedPlace {
                        endpoint: name.clone(),
                        location: place.clone(),
                        reason: reason.to_owned(),
                        baseline_vs_production: of_noise,
                        candidate_vs_baseline: of_signal,
                    });
                }
            }
        }
    }
    places.sort_by(|one, other| {
        (&one.endpoint, &one.location, &one.reason).cmp(&(
            &other.endpoint,
            &other.location,
            &other.reason,
        ))
    });
    places
}

fn latency_table(
    names: &[String],
    endpoints: &[EndpointTally],
    compared: &[Compared],
) -> Vec<EndpointLatency> {
    let rows = names.iter().zip(endpoints).zip(compared);
    rows.filter(|((_, endpoint), _)| endpoint.latency.baseline_us.quantiles().count > 0)
        .map(|((name, endpoint), compared)| EndpointLatency {
            endpoint: name.clone(),
            baseline_ms: in_ms(endpoint.latency.baseline_us.quantiles()),
            candidate_ms: in_ms(endpoint.latency.candidate_us.quantiles()),
            baseline_curve_ms: curve(&endpoint.latency.baseline_us),
            candidate_curve_ms: curve(&endpoint.latency.candidate_us),
            median_shift_ms: compared.shift.as_ref().map(|shift| shift.median_ms),
            p_value: compared.shift.as_ref().map(|shift| shift.p_value),
            quantile_shifts: compared.quantiles,
            effect: compared.effect,
            tail: compared.tail,
            by_load: compared.busy.as_ref().map(|busy| busy.by_load),
            drift_ms_per_hour: compared.drift.map(|drift| hourly(drift.trend)),
        })
        .collect()
}

/// A slope by seconds as one by hours.
fn hourly(trend: Trend) -> Slope {
    const SECONDS: f64 = 3600.0;
    Slope {
        slope: trend.slope * SECONDS,
        low: trend.low * SECONDS,
        high: trend.high * SECONDS,
    }
}

fn curve(spread: &Spread) -> Vec<f64> {
    spread.curve(20).into_iter().map(|us| us / 1000.0).collect()
}

pub(crate) fn in_ms(us: Quantiles) -> Quantiles {
    Quantiles {
        count: us.count,
        p50: us.p50 / 1000.0,
        p90: us.p90 / 1000.0,
        p99: us.p99 / 1000.0,
        max: us.max / 1000.0,
    }
}

fn lateness(twin: &TwinTally) -> Lateness {
    Lateness {
        ready_after_due_us: twin.ready_after_due_us.quantiles(),
        release_after_ready_us: twin.release_after_ready_us.quantiles(),
        wait_expired: twin.wait_expired,
    }
}

fn ledgers(tally: &Tally, facts: &RunFacts, planned: Option<u64>) -> Ledgers {
    let (kernel, store) = (&facts.kernel, &facts.store);
    Ledgers {
        kernel: KernelReport {
            seen_bytes: kernel.seen_bytes,
            delivered_bytes: kernel.delivered_bytes,
            dropped_bytes: total(&kernel.dropped_bytes),
            dropped_by_cause: kernel.dropped_bytes.clone(),
            pending_bytes: kernel.pending_bytes,
            unexplained_bytes: narrow(kernel.bytes_unexplained()),
        },
        store: StoreReport {
            delivered_bytes: store.delivered_bytes,
            message_bytes: store.message_bytes,
            framing_bytes: store.framing_bytes,
            duplicate_bytes: store.duplicate_bytes,
            opaque_bytes: store.opaque_bytes,
            discarded_bytes: total(&store.discarded_bytes),
            discarded_bytes_by_cause: store.discarded_bytes.clone(),
            pending_bytes: store.pending_bytes,
            rebuilt: store.rebuilt,
            stored: store.stored,
            discarded: total(&store.discarded),
            discarded_by_cause: store.discarded.clone(),
            pending: store.pending,
            unexplained_bytes: narrow(store.bytes_unexplained()),
            unexplained_exchanges: narrow(store.exchanges_unexplained()),
        },
        runs: run_ledgers(tally, planned),
    }
}

/// The ledgers of the twins; what is planned is what was observed where nobody says.
pub(crate) fn run_ledgers(tally: &Tally, planned: Option<u64>) -> RunLedgers {
    RunLedgers {
        candidate: run_ledger(&tally.candidate, planned),
        baseline: run_ledger(&tally.baseline, planned),
        second_baseline: tally
            .second
            .as_ref()
            .map(|second| run_ledger(&second.tally, planned)),
    }
}

fn run_ledger(twin: &TwinTally, planned: Option<u64>) -> RunLedger {
    let planned = planned.unwrap_or_else(|| twin.planned());
    RunLedger {
        planned,
        answered: twin.answered,
        errored: total(&twin.errored),
        errored_by_cause: twin.errored.clone(),
        refused: total(&twin.refused),
        refused_by_cause: twin.refused.clone(),
        skipped: total(&twin.skipped),
        skipped_by_cause: twin.skipped.clone(),
        unexplained: narrow(i128::from(planned) - i128::from(twin.planned())),
    }
}

fn total(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

fn narrow(difference: i128) -> i64 {
    let within = difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    // It was clamped to what an i64 holds.
    within as i64
}
