//! The rules as they hold for one exchange.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

use foldhash::fast::RandomState;

use super::{BodyAction, Keep, On, Policy, Rule, RuleAction, ValueAction};
use crate::class::Class;
use crate::names;

/// What is to be done with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Value(ValueAction),
    DropBody,
}

/// Method and path of a request; unknown when its head was lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
}

/// A policy whose conditions are decided, and what it said of places before.
pub(crate) struct View {
    policy: Arc<Policy>,
    /// Indexes of the rules that hold.
    rules: Vec<usize>,
    /// Indexes of the rules for bodies that hold.
    bodies: Vec<usize>,
    /// What the rules say by place, so that globs are matched once for each.
    known: RwLock<HashMap<Box<str>, Option<RuleAction>, RandomState>>,
}

/// What the rules of a view say of a place, once they were asked.
#[derive(Default)]
pub(crate) struct Ruled(Cell<Option<Option<RuleAction>>>);

/// Places remembered by one view. Clients choose places, so that it needs an end, and their hash
/// is seeded at random.
const MOST_KNOWN: usize = 4096;

impl View {
    /// What to do with the value at `place`, a leaf's path with `*` for array
    /// indices and without `#1`, whose last name is `name`.
    pub(crate) fn decide(
        &self,
        place: &str,
        name: &str,
        class: impl FnOnce() -> Class,
    ) -> Decision {
        self.decision(self.rule(place, name), class)
    }

    /// The same, where `ruled` is kept for the place.
    pub(crate) fn decide_at(
        &self,
        place: &str,
        name: &str,
        ruled: &Ruled,
        class: impl FnOnce() -> Class,
    ) -> Decision {
        let rule = ruled.0.get().unwrap_or_else(|| self.rule(place, name));
        ruled.0.set(Some(rule));
        self.decision(rule, class)
    }

    fn decision(&self, rule: Option<RuleAction>, class: impl FnOnce() -> Class) -> Decision {
        match rule {
            Some(RuleAction::Allow) => Decision::Value(ValueAction::Allow),
            Some(RuleAction::Pseudonym) => Decision::Value(ValueAction::Pseudonym),
            Some(RuleAction::Replace) => Decision::Value(ValueAction::Replace),
            Some(RuleAction::DropBody) => Decision::DropBody,
            None => Decision::Value(self.policy.classes.action(class())),
        }
    }

    /// What the policy says of bodies of a media type; `None` leaves it to what
    /// can be scrubbed.
    pub(crate) fn body(&self, media_type: &str) -> Option<BodyAction> {
        let is_dropped = self
            .rules
            .iter()
            .map(|&index| &self.policy.rules[index])
            .any(is_about_route);
        if is_dropped {
            return Some(BodyAction::Drop);
        }
        self.bodies
            .iter()
            .map(|&index| &self.policy.bodies[index])
            .find(|rule| rule.types.iter().any(|glob| glob.matches(media_type)))
            .map(|rule| rule.action)
    }

    /// Whether what stands where names stand is kept whatever it looks like.
    pub(crate) fn keeps_names(&self) -> bool {
        self.policy.names == Keep::Allow
    }

    fn rule(&self, place: &str, name: &str) -> Option<RuleAction> {
        if let Ok(known) = self.known.read()
            && let Some(action) = known.get(place)
        {
            return *action;
        }
        let words = names::words(name);
        let action = self
            .rules
            .iter()
            .map(|&index| &self.policy.rules[index])
            .find(|rule| !is_about_route(rule) && is_about(rule, place, &words))
            .map(|rule| rule.action);
        if let Ok(mut known) = self.known.write()
            && known.len() < MOST_KNOWN
        {
            known.insert(place.into(), action);
        }
        action
    }
}

/// True for a rule that drops the bodies of its routes, whatever is in them.
fn is_about_route(rule: &Rule) -> bool {
    rule.action == RuleAction::DropBody && rule.at.is_empty() && rule.names.is_empty()
}

fn is_about(rule: &Rule, place: &str, words: &str) -> bool {
    (rule.at.is_empty() || rule.at.iter().any(|glob| glob.matches(place)))
        && (rule.names.is_empty() || rule.names.iter().any(|glob| glob.matches(words)))
}

/// The views of one policy, one for each set of conditions that came out alike.
pub(crate) struct Views {
    policy: Arc<Policy>,
    /// Of a policy without conditions, the only one.
    only: Option<Arc<View>>,
    made: Mutex<HashMap<Vec<bool>, Arc<View>>>,
}

/// Sets of conditions remembered; in practice there are as many as routes in the policy.
const MOST_VIEWS: usize = 256;

impl Views {
    pub(crate) fn new(policy: Arc<Policy>) -> Views {
        let mut views = Views {
            policy,
            only: None,
            made: Mutex::default(),
        };
        let has_conditions = views.policy.rules.iter().any(|rule| rule.on.is_some())
            || views.policy.bodies.iter().any(|rule| rule.on.is_some());
        if !has_conditions {
            views.only = Some(views.of(None));
        }
        views
    }

    /// The view for requests of this route. With an unknown route, rules with
    /// conditions hold unless they allow something.
    pub(crate) fn of(&self, route: Option<Route<'_>>) -> Arc<View> {
        if let Some(only) = &self.only {
            return Arc::clone(only);
        }
        let holds = |on: Option<&On>, is_allowing: bool| match (on, route) {
            (None, _) => true,
            (Some(_), None) => !is_allowing,
            (Some(on), Some(route)) => on.is_about(route),
        };
        let rules = self
            .policy
            .rules
            .iter()
            .map(|rule| holds(rule.on.as_ref(), rule.action == RuleAction::Allow));
        let bodies = self
            .policy
            .bodies
            .iter()
            .map(|rule| holds(rule.on.as_ref(), rule.action == BodyAction::Allow));
        let holding: Vec<bool> = rules.chain(bodies).collect();
        let Ok(mut made) = self.made.lock() else {
            return Arc::new(self.view(&holding));
        };
        if let Some(view) = made.get(&holding) {
            return Arc::clone(view);
        }
        let view = Arc::new(self.view(&holding));
        if made.len() < MOST_VIEWS {
            made.insert(holding, Arc::clone(&view));
        }
        view
    }

    fn view(&self, holding: &[bool]) -> View {
        let (rules, bodies) = holding.split_at(self.policy.rules.len());
        let indexes = |holding: &[bool]| {
            (0..holding.len())
                .filter(|&index| holding[index])
                .collect::<Vec<_>>()
        };
        View {
            policy: Arc::clone(&self.policy),
            rules: indexes(rules),
            bodies: indexes(bodies),
            known: RwLock::default(),
        }
    }
}

impl On {
    fn is_about(&self, route: Route<'_>) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| method == route.method))
            && (self.paths.is_empty() || self.paths.iter().any(|glob| glob.matches(route.path)))
    }
}
