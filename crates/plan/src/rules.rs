//! Rules about bindings, as a bindings file has them (docs/bindings.md).

use serde::{Deserialize, Serialize};
use twintap_scrub::Glob;
use twintap_stream::RequestHead;

/// A rule about what the leaves of some requests are bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RuleAsWritten")]
pub struct BindingRule {
    /// What is done.
    pub action: RuleAction,
    /// The leaves of requests that it is about.
    pub consumer: Place,
    /// The leaves of their producers' responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer: Option<Place>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// The leaf takes its value from the newest such response that had the same
    /// value, whatever its shape; without one the request is unbound.
    Pin,
    /// The leaf is sent as recorded, or only not bound to such responses.
    Forbid,
    /// The leaf takes its value from the newest such response, whatever value that had.
    Add,
}

/// Leaves of some exchanges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The request's method; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A pattern of the request's path, without its query; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Glob>,
    /// A pattern of the leaf's path.
    pub leaf: Glob,
}

/// Most rules that [`PlanOptions::bindings`](crate::PlanOptions::bindings) may have:
/// a leaf notes its rule in a byte. Further ones hold nowhere.
pub const MOST_RULES: usize = 255;

impl Place {
    /// True when the exchange of `request` is one of those.
    pub(crate) fn is_of(&self, request: Option<&RequestHead>) -> bool {
        let Some(request) = request else {
            return self.method.is_none() && self.path.is_none();
        };
        let is_path = |glob: &Glob| {
            std::str::from_utf8(path_of(&request.target)).is_ok_and(|path| glob.matches(path))
        };
        self.method
            .as_ref()
            .is_none_or(|method| method.as_bytes() == &request.method[..])
            && self.path.as_ref().is_none_or(is_path)
    }
}

/// The path of a target, its query left out.
fn path_of(target: &[u8]) -> &[u8] {
    let path = crate::options::path_of(target);
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    &path[..end.unwrap_or(path.len())]
}

/// A rule before it is known to be sound.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleAsWritten {
    action: RuleAction,
    consumer: Place,
    #[serde(default)]
    producer: Option<Place>,
}

impl TryFrom<RuleAsWritten> for BindingRule {
    type Error = String;

    fn try_from(written: RuleAsWritten) -> Result<BindingRule, String> {
        let RuleAsWritten {
            action,
            consumer,
            producer,
        } = written;
        if producer.is_none() && action != RuleAction::Forbid {
            return Err(
                "a rule that pins or adds needs `producer`: {path: /login, leaf: json./token}"
                    .to_owned(),
            );
        }
        Ok(BindingRule {
            action,
            consumer,
            producer,
        })
    }
}
