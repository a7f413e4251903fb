//! Commands by which a reader of a report sees one exchange again.

mod curl;

use std::collections::HashMap;

use twintap_archive::Reader;
use twintap_plan::{Plan, PlannedRequest};
use twintap_stream::ExchangeId;
use twintap_verdict::{Evidence, Report, Reproduce};

use super::file::RunFile;
use super::shell::quoted;
use crate::fire::Options;
use curl::curl;

/// Adds such commands to all examples of a report, whose exchanges are in this archive; of
/// a run without end there is no plan that tells what is bound.
pub fn add(
    report: &mut Report,
    file: &RunFile,
    reader: &Reader,
    plan: Option<&Plan>,
    options: &Options,
) {
    let requests = plan.map_or(&[][..], |plan| &plan.requests[..]);
    let commands = Commands {
        file,
        options,
        reader,
        requests,
        // The recorded session comes before its copies, and so takes their place here.
        planned: requests
            .iter()
            .rev()
            .map(|request| (&request.exchange, request))
            .collect(),
    };
    let findings = report.findings.iter_mut().chain(&mut report.not_reproduced);
    let of_findings = findings.flat_map(|finding| &mut finding.evidence);
    let of_others = report.apart.iter_mut();
    let of_others = of_others.flat_map(|apart| &mut apart.evidence);
    for example in of_findings.chain(of_others) {
        example.reproduce = Some(commands.of(example));
    }
}

struct Commands<'a> {
    file: &'a RunFile,
    options: &'a Options,
    reader: &'a Reader,
    requests: &'a [PlannedRequest],
    planned: HashMap<&'a ExchangeId, &'a PlannedRequest>,
}

impl Commands<'_> {
    fn of(&self, example: &Evidence) -> Reproduce {
        let mut commands = Reproduce {
            replay: format!("{} --only {}", self.file.replay, quoted(&example.exchange)),
            curl: None,
            bound: Vec::new(),
            left_out: None,
        };
        let Ok(id) = example.exchange.parse::<ExchangeId>() else {
            return commands;
        };
        let mut service = 0;
        if let Some(planned) = self.planned.get(&id) {
            service = planned.service;
            commands.bound = self.bound(planned);
        }
        if let Ok(Some(stored)) = self.reader.get(&id)
            && let Some(made) = curl(&stored, self.reader, self.file, self.options, service)
        {
            commands.curl = Some(made.line);
            commands.left_out = made.left_out;
        }
        commands
    }

    fn bound(&self, planned: &PlannedRequest) -> Vec<String> {
        let bindings = planned.bindings.iter();
        bindings
            .map(|binding| {
                let producer = &self.requests[binding.producer as usize].exchange;
                format!(
                    "{} from {} of exchange {producer}",
                    binding.path, binding.producer_path
                )
            })
            .collect()
    }
}
