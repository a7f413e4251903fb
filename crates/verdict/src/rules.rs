//! What a run is judged by.

use std::sync::Arc;

use twintap_stream::grpc::Descriptors;

use crate::business::Metric;
use crate::gate::Gate;
use crate::options::Options;
use crate::scope::Component;

/// Everything that a run is judged by; [`Options`] alone do, too.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How differences are told from noise.
    pub options: Options,
    /// What a team lets through.
    pub gate: Gate,
    /// Its business figures.
    pub metrics: Vec<Metric>,
    /// What is known of messages of gRPC; of others the fields have no names.
    pub descriptors: Arc<Descriptors>,
    /// What the twins are made of, where somebody said.
    pub components: Vec<Component>,
}

impl From<Options> for Rules {
    fn from(options: Options) -> Rules {
        Rules {
            options,
            ..Rules::default()
        }
    }
}

impl Rules {
    /// With one word on each thing: a gate's fidelity floor stands in place of the options'.
    pub(crate) fn settled(mut self) -> Rules {
        if let Some(floor) = self.gate.fidelity.floor {
            self.options.fidelity_floor = floor.0;
        }
        self
    }
}
