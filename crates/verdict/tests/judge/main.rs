//! Judgement from outside: observations in, a report out.

mod failing;
mod pages;
mod properties;
mod reports;
mod resources;
mod rules;
mod shops;
mod support;
mod times;
