//! Samples of a run of any length, within a bound.

use std::collections::BTreeMap;

use twintap_verdict::resource::Work;
use twintap_verdict::{Resource, ResourceSample};

/// Samples that are kept at most.
const MOST: usize = 2048;
/// The first stretch of which samples are taken together, in nanoseconds.
const FIRST_STRETCH_NS: u64 = 100_000_000;

/// A sample for each stretch of the run: the mean of the looks in it. When there are too
/// many, stretches become twice as long, so that the whole run stays in view alike.
#[derive(Debug)]
pub struct Series {
    stretch_ns: u64,
    kept: Vec<Mean>,
}

/// The mean of some looks.
#[derive(Clone, Debug)]
struct Mean {
    /// The number of its stretch.
    stretch: u64,
    looks: f64,
    sample: ResourceSample,
}

impl Default for Series {
    fn default() -> Series {
        Series {
            stretch_ns: FIRST_STRETCH_NS,
            kept: Vec::new(),
        }
    }
}

impl Series {
    /// Takes a look that came after all others.
    pub fn push(&mut self, sample: ResourceSample) {
        let mean = Mean {
            stretch: sample.at_ns / self.stretch_ns,
            looks: 1.0,
            sample,
        };
        add(&mut self.kept, mean);
        while self.kept.len() > MOST {
            self.stretch_ns *= 2;
            let before = std::mem::take(&mut self.kept);
            for mean in before {
                let stretch = mean.sample.at_ns / self.stretch_ns;
                add(&mut self.kept, Mean { stretch, ..mean });
            }
        }
    }

    /// By time.
    pub fn samples(&self) -> Vec<ResourceSample> {
        self.kept.iter().map(|mean| mean.sample.clone()).collect()
    }
}

fn add(kept: &mut Vec<Mean>, mean: Mean) {
    match kept.last_mut() {
        Some(last) if last.stretch == mean.stretch => last.merge(mean),
        _ => kept.push(mean),
    }
}

impl Mean {
    fn merge(&mut self, other: Mean) {
        let share = other.looks / (self.looks + other.looks);
        let between = |one: f64, other: f64| one + (other - one) * share;
        let (sample, other_sample) = (&mut self.sample, other.sample);
        sample.at_ns = between(sample.at_ns as f64, other_sample.at_ns as f64) as u64;
        let merge_use = |own: &mut BTreeMap<Resource, f64>, others: BTreeMap<Resource, f64>| {
            for (resource, value) in others {
                let own = own.entry(resource).or_insert(value);
                *own = between(*own, value);
            }
        };
        merge_use(&mut sample.candidate, other_sample.candidate);
        merge_use(&mut sample.baseline, other_sample.baseline);
        let merged = |own: Option<Work>, other: Option<Work>| match own.zip(other) {
            Some((own, other)) => Some(Work {
                cpu_seconds: between(own.cpu_seconds, other.cpu_seconds),
                answered: between(own.answered, other.answered),
            }),
            None => own.or(other),
        };
        sample.candidate_work = merged(sample.candidate_work, other_sample.candidate_work);
        sample.baseline_work = merged(sample.baseline_work, other_sample.baseline_work);
        self.looks += other.looks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_any_length_stays_in_view_within_the_bound() {
        let mut series = Series::default();
        let days = 3 * 86_400_u32;
        for second in 0..days {
            let value = f64::from(second);
            series.push(ResourceSample {
                at_ns: u64::from(second) * 1_000_000_000,
                candidate: BTreeMap::from([(Resource::Memory, 5.0 + value * 2.0)]),
                candidate_work: Some(Work {
                    cpu_seconds: value / 10.0,
                    answered: value * 3.0,
                }),
                ..ResourceSample::default()
            });
        }
        let samples = series.samples();
        assert!(samples.len() <= MOST && samples.len() > MOST / 4);
        for sample in &samples {
            let second = sample.at_ns as f64 / 1e9;
            let memory = sample.candidate[&Resource::Memory];
            assert!((memory - (5.0 + second * 2.0)).abs() < 1e-3, "{sample:?}");
            let work = sample.candidate_work.expect("each has it");
            assert!((work.answered - second * 3.0).abs() < 1e-3, "{sample:?}");
        }
        let gap = |pair: &[ResourceSample]| pair[1].at_ns - pair[0].at_ns;
        let gaps: Vec<u64> = samples.windows(2).map(gap).collect();
        let longest = gaps.iter().max().expect("there are several");
        // The last stretch is not full yet.
        let shortest = gaps[..gaps.len() - 1].iter().min();
        assert!(*longest <= shortest.expect("there are several") * 2);
    }

    #[test]
    fn what_only_one_look_has_stays_as_it_is() {
        let mut series = Series::default();
        series.push(ResourceSample::default());
        series.push(ResourceSample {
            at_ns: 10,
            baseline: BTreeMap::from([(Resource::Threads, 7.0)]),
            ..ResourceSample::default()
        });
        let [sample] = &series.samples()[..] else {
            panic!("they are of one stretch");
        };
        assert_eq!(
            (sample.at_ns, sample.baseline[&Resource::Threads]),
            (5, 7.0)
        );
    }
}
