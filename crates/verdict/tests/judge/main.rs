//! Judgement from outside: observations in, a report out.

mod business;
mod causes;
mod confirm;
mod failing;
mod gate;
mod incidents;
mod outputs;
mod pages;
mod properties;
mod recall;
mod reports;
mod resources;
mod rules;
mod schema;
mod shops;
mod slow;
mod support;
mod times;
mod watching;
