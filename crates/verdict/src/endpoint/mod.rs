//! Endpoints: the templates behind the requests that were seen.
//!
//! A request is called by the first of these that names it: a pattern of the run file, the
//! method of gRPC, the form of a database's command, the operation of GraphQL, and else its method and path, in which what is a
//! value by its looks, or by how many there are, is `{id}`.

mod command;
mod graphql;
mod looks;
mod pattern;
mod tree;

use crate::observation::Observation;

pub use pattern::{EndpointPattern, PatternError};
pub(crate) use tree::templates;

/// The name that stands for a segment that varies.
const VARIABLE: &str = "{id}";

/// What a request is called before all of them are known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) name: String,
    /// True where the name says all, so that no part of it is taken for a value.
    pub(crate) is_fixed: bool,
}

impl Shape {
    /// The shape of an observation's request; the first of `patterns` that takes it names it.
    pub(crate) fn of(observation: &Observation, patterns: &[EndpointPattern]) -> Shape {
        let method = String::from_utf8_lossy(&observation.request.method);
        let target = String::from_utf8_lossy(&observation.request.target);
        let path = path_of(&target);
        let fixed = |name| Shape {
            name,
            is_fixed: true,
        };
        let of_pattern = patterns
            .iter()
            .find_map(|pattern| pattern.name(&method, path));
        if let Some(name) = of_pattern {
            return fixed(name);
        }
        if let Some(name) = command::name(observation, &method) {
            return fixed(name);
        }
        if is_grpc(observation) {
            return fixed(format!("{method} {path}"));
        }
        if let Some(operation) = graphql::operation(observation, &target) {
            return fixed(format!("{method} {path} {operation}"));
        }
        Shape {
            name: looks::shape(&method, path),
            is_fixed: false,
        }
    }

    /// What stands for all shapes beyond those that are told apart.
    pub(crate) fn other(method: &[u8]) -> Shape {
        let method = String::from_utf8_lossy(method);
        Shape {
            name: format!("{method} /{{other}}"),
            is_fixed: true,
        }
    }
}

/// The path of a target: the absolute form loses its authority (RFC 9112, section 3.2).
pub(crate) fn path_of(target: &str) -> &str {
    let from_path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            &rest[rest.find(['/', '?', '#']).unwrap_or(rest.len())..]
        }
        _ => target,
    };
    let path = from_path.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() { "/" } else { path }
}

/// True for a call of gRPC, whose path is a service and its method.
fn is_grpc(observation: &Observation) -> bool {
    let fields = &observation.request.fields;
    fields
        .iter()
        .find(|field| field.is("content-type"))
        .is_some_and(|field| {
            field
                .value
                .to_ascii_lowercase()
                .starts_with(b"application/grpc")
        })
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn paths_of_targets_in_each_form() {
        for (target, path) in [
            ("/login", "/login"),
            ("/login?next=/a#b", "/login"),
            ("http://shop.example/login?x=1", "/login"),
            ("http://shop.example", "/"),
            ("http://shop.example?next=/login", "/"),
            ("/go?to=http://elsewhere/login", "/go"),
            ("*", "*"),
        ] {
            assert_eq!(path_of(target), path, "{target}");
        }
    }
}
