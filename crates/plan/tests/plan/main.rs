//! The planner's rules, each by a small capture written as text.

mod bindings;
mod closure;
mod dsl;
mod entry;
mod follow;
mod load;
mod properties;
mod reasons;
mod recorded;
mod resources;
mod rounds;
mod routes;
mod schedule;
mod sessions;
