//! How much figures may change.

use super::hold::title;
use super::{
    Amount, Budgets, ErrorBudget, GateRule, GrowthBudget, LatencyBudget, MetricBudget, Rise,
    RuleOutcome, Share,
};
use crate::business::{Figure, amount, number};
use crate::errors::EndpointErrors;
use crate::latency::{QuantileShifts, ShiftInterval};
use crate::pattern::Pattern;
use crate::report::{EndpointLatency, Report};
use crate::resource::{Resource, ResourceReport};

impl Budgets {
    /// Whether each budget says what is allowed.
    ///
    /// # Errors
    /// With what one lacks: one that allows nothing in particular would always hold.
    pub fn check(&self) -> Result<(), String> {
        let latency = self.latency.iter().map(|rule| {
            let is_empty = rule.p50.or(rule.p90).or(rule.p99).is_none();
            let name = title(rule.name.as_deref(), "latency", rule.endpoint.as_ref());
            (is_empty, name, "`p50`, `p90` or `p99`")
        });
        let errors = self.error_rate.iter().map(|rule| {
            let is_empty = rule.max.or(rule.max_rise).is_none();
            let name = title(rule.name.as_deref(), "error rate", rule.endpoint.as_ref());
            (is_empty, name, "`max` or `max_rise`")
        });
        let growth = self.growth.iter().map(|(resource, rule)| {
            let is_empty = rule.max_per_hour.or(rule.min_hours_to_limit).is_none();
            let about = format!("growth of {}", resource.words());
            (is_empty, about, "`max_per_hour` or `min_hours_to_limit`")
        });
        let metrics = self.metrics.iter().map(|(name, rule)| {
            let is_empty = rule.max_drop.or(rule.max_rise).is_none();
            (
                is_empty,
                format!("metric {name}"),
                "`max_drop` or `max_rise`",
            )
        });
        let mut all = latency.chain(errors).chain(growth).chain(metrics);
        match all.find(|(is_empty, ..)| *is_empty) {
            None => Ok(()),
            Some((_, name, keys)) => Err(format!("the budget `{name}` needs {keys}")),
        }
    }
}

/// What came of each budget.
pub(super) fn hold(budgets: &Budgets, report: &Report) -> Vec<GateRule> {
    let latency = budgets.latency.iter().map(|rule| latency(rule, report));
    let errors = budgets.error_rate.iter().map(|rule| errors(rule, report));
    let growth = budgets.growth.iter();
    let growth = growth.map(|(resource, rule)| growth_of(*resource, rule, report));
    let metrics = budgets.metrics.iter();
    let metrics = metrics.map(|(name, rule)| metric(name, rule, report));
    latency.chain(errors).chain(growth).chain(metrics).collect()
}

/// What one rule says: `broken` where it fails, `unsaid` where nothing could be told,
/// else that it holds.
fn ruled(name: String, broken: &[String], unsaid: Option<String>, held: String) -> GateRule {
    let (outcome, statement) = match (broken, unsaid) {
        ([], None) => (RuleOutcome::Held, held),
        ([], Some(unsaid)) => (RuleOutcome::Doubted, unsaid),
        (broken, _) => (RuleOutcome::Failed, broken.join(" ")),
    };
    GateRule {
        name,
        outcome,
        statement,
    }
}

fn is_of(pattern: Option<&Pattern>, endpoint: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.takes_endpoint(endpoint))
}

/// A quantile: its name, where its shift is found, and what is allowed.
struct Quantile {
    name: &'static str,
    baseline_ms: fn(&EndpointLatency) -> f64,
    shift: fn(&QuantileShifts) -> Option<ShiftInterval>,
    allowed: Option<Rise>,
}

fn latency(rule: &LatencyBudget, report: &Report) -> GateRule {
    let name = title(rule.name.as_deref(), "latency", rule.endpoint.as_ref());
    let quantiles = [
        Quantile {
            name: "p50",
            baseline_ms: |row| row.baseline_ms.p50,
            shift: |shifts| Some(shifts.p50),
            allowed: rule.p50,
        },
        Quantile {
            name: "p90",
            baseline_ms: |row| row.baseline_ms.p90,
            shift: |shifts| Some(shifts.p90),
            allowed: rule.p90,
        },
        Quantile {
            name: "p99",
            baseline_ms: |row| row.baseline_ms.p99,
            shift: |shifts| shifts.p99,
            allowed: rule.p99,
        },
    ];
    let rows = report.latency.iter();
    let rows: Vec<&EndpointLatency> = rows
        .filter(|row| is_of(rule.endpoint.as_ref(), &row.endpoint))
        .collect();
    let (mut broken, mut unsaid, mut held) = (Vec::new(), None, 0);
    for quantile in &quantiles {
        let Some(allowed) = quantile.allowed else {
            continue;
        };
        let shifts: Vec<(&EndpointLatency, ShiftInterval)> = rows
            .iter()
            .filter_map(|row| Some((*row, (quantile.shift)(row.quantile_shifts.as_ref()?)?)))
            .collect();
        if shifts.is_empty() {
            let quantile = quantile.name;
            unsaid = Some(format!(
                "No endpoint of it has enough requests for an interval of its {quantile}."
            ));
        }
        held += shifts.len();
        let risen = shifts.into_iter();
        broken.extend(risen.filter_map(|(row, shift)| quantile.risen(row, shift, allowed)));
    }
    let statement = format!("{held} latencies stay within it.");
    ruled(name, &broken, unsaid, statement)
}

impl Quantile {
    /// What is wrong with an endpoint, where it has surely risen too far: by the whole of the
    /// shift's interval.
    fn risen(&self, row: &EndpointLatency, shift: ShiftInterval, allowed: Rise) -> Option<String> {
        let baseline_ms = (self.baseline_ms)(row);
        (shift.low_ms > allowed.in_ms(baseline_ms)).then(|| {
            format!(
                "{} takes longer at its {} by {:.1} ms ({:.1} to {:.1} ms; the baseline takes \
                 {baseline_ms:.1} ms); {allowed} is allowed.",
                row.endpoint, self.name, shift.shift_ms, shift.low_ms, shift.high_ms,
            )
        })
    }
}

fn errors(rule: &ErrorBudget, report: &Report) -> GateRule {
    let name = title(rule.name.as_deref(), "error rate", rule.endpoint.as_ref());
    let rows = report.errors.iter();
    let rows = rows.filter(|row| is_of(rule.endpoint.as_ref(), &row.endpoint));
    let broken: Vec<String> = rows.filter_map(|row| rule.broken(row)).collect();
    let compared = report.scope.endpoints.iter();
    let compared =
        compared.filter(|row| row.compared > 0 && is_of(rule.endpoint.as_ref(), &row.endpoint));
    let compared = compared.count();
    let unsaid = (compared == 0).then(|| "No endpoint of it was compared.".to_owned());
    let held = format!("{compared} endpoints stay within it.");
    ruled(name, &broken, unsaid, held)
}

impl ErrorBudget {
    fn broken(&self, row: &EndpointErrors) -> Option<String> {
        let of = |count: u64| count as f64 / row.requests.max(1) as f64;
        let (baseline, candidate) = (of(row.baseline), of(row.candidate));
        let above = |limit: &Option<Share>, rate: f64| limit.filter(|limit| rate > limit.0);
        let most = above(&self.max, candidate).map(|most| format!("{most} is allowed"));
        let broken = most.or_else(|| {
            let rise = above(&self.max_rise, candidate - baseline)?;
            Some(format!("{rise} above that is allowed"))
        })?;
        Some(format!(
            "{} fails in {} of {} requests ({}), at the baseline in {} ({}); {broken}.",
            row.endpoint,
            row.candidate,
            row.requests,
            Share(candidate).short(),
            row.baseline,
            Share(baseline).short(),
        ))
    }
}

fn growth_of(resource: Resource, rule: &GrowthBudget, report: &Report) -> GateRule {
    let about = format!("growth of {}", resource.words());
    let name = title(rule.name.as_deref(), &about, None);
    let found = report.resources.iter();
    let found = found
        .filter(|row| row.resource == resource)
        .find_map(|row| {
            let per_hour = row.per_hour?;
            Some((row, per_hour))
        });
    let Some((row, per_hour)) = found else {
        let unsaid = "It was not looked at, or not for long enough to tell.".to_owned();
        return ruled(name, &[], Some(unsaid), String::new());
    };
    let broken = rule.broken(row, per_hour.low);
    let held = format!(
        "{} an hour against the baseline's.",
        resource.amount(per_hour.slope)
    );
    ruled(name, &broken, None, held)
}

impl GrowthBudget {
    /// What is surely above what is allowed: `least_per_hour` is the lower end of the slope.
    fn broken(&self, row: &ResourceReport, least_per_hour: f64) -> Vec<String> {
        let amount = |value: f64| row.resource.amount(value);
        let grown = self.max_per_hour.filter(|most| least_per_hour > *most);
        let grown = grown.map(|most| {
            format!(
                "It grows by at least {} an hour; {} is allowed.",
                amount(least_per_hour),
                amount(most)
            )
        });
        let hours = row.hours_to_limit.zip(self.min_hours_to_limit);
        let near = hours.filter(|(hours, least)| hours < least);
        let near = near.map(|(hours, least)| {
            format!("It meets its limit in {hours:.1} hours; {least} are required.")
        });
        grown.into_iter().chain(near).collect()
    }
}

fn metric(figure_name: &str, rule: &MetricBudget, report: &Report) -> GateRule {
    let about = format!("metric {figure_name}");
    let name = title(rule.name.as_deref(), &about, None);
    let figure = report.business.iter().find(|row| row.name == figure_name);
    let (Some(figure), Some([low, high])) = (figure, figure.and_then(|row| row.interval)) else {
        let unsaid = match figure {
            None => "No figure has this name.",
            Some(_) => "Too few sessions have it.",
        };
        return ruled(name, &[], Some(unsaid.to_owned()), String::new());
    };
    // A budget is broken where the difference lies beyond it as a whole interval.
    let dropped = rule.broken(figure, rule.max_drop, -high, "falls");
    let risen = rule.broken(figure, rule.max_rise, low, "rises");
    let broken: Vec<String> = dropped.into_iter().chain(risen).collect();
    let held = format!(
        "Candidate minus baseline lies between {} and {}.",
        number(low),
        amount(high, &figure.unit)
    );
    ruled(name, &broken, None, held)
}

impl MetricBudget {
    fn broken(
        &self,
        figure: &Figure,
        allowed: Option<Amount>,
        least: f64,
        moves: &str,
    ) -> Option<String> {
        let allowed = allowed?;
        let baseline = figure.baseline.value.unwrap_or(0.0);
        (least > 0.0 && least > allowed.in_units(baseline)).then(|| {
            format!(
                "{} {moves} by at least {} (baseline {}, candidate {}); {allowed} is allowed.",
                figure.name,
                amount(least, &figure.unit),
                number(baseline),
                figure.candidate.value.map_or("none".to_owned(), number),
            )
        })
    }
}
