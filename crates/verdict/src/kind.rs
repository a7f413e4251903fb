//! The kinds of findings.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What differs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The candidate gave no answer, or none that could be read.
    Error,
    /// Requests fail more often.
    ErrorRate,
    /// The status code.
    Status,
    /// A part of the body is gone.
    BodyMissing,
    /// A part of the body has another type or form.
    BodyType,
    /// A value in the body is another one.
    BodyChanged,
    /// The parts of a body are the same in another order.
    BodyOrder,
    /// A header or trailer field is gone.
    HeaderMissing,
    /// A header or trailer field has another value.
    HeaderChanged,
    /// The candidate answers later.
    Latency,
    /// The candidate's processes use more and more of something.
    Growth,
    /// The candidate's processes take more processor time a request.
    Cost,
    /// The body has a part more.
    BodyAdded,
    /// There is a header or trailer field more.
    HeaderAdded,
    /// A trailer field stands in the head, before the body.
    TrailerMoved,
    /// A business figure is another one.
    Business,
}

impl Kind {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Error => "error",
            Kind::ErrorRate => "error_rate",
            Kind::Status => "status",
            Kind::BodyMissing => "body_missing",
            Kind::BodyType => "body_type",
            Kind::BodyChanged => "body_changed",
            Kind::BodyOrder => "body_order",
            Kind::HeaderMissing => "header_missing",
            Kind::HeaderChanged => "header_changed",
            Kind::Latency => "latency",
            Kind::Growth => "growth",
            Kind::Cost => "cost",
            Kind::BodyAdded => "body_added",
            Kind::HeaderAdded => "header_added",
            Kind::TrailerMoved => "trailer_moved",
            Kind::Business => "business",
        }
    }

    /// Whether it lies in the body's values.
    pub(crate) fn is_of_body(self) -> bool {
        matches!(
            self,
            Kind::BodyMissing
                | Kind::BodyType
                | Kind::BodyChanged
                | Kind::BodyOrder
                | Kind::BodyAdded
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
