//! Judgement from outside: observations in, a report out.

mod failing;
mod pages;
mod properties;
mod reports;
mod resources;
mod rules;
mod shops;
mod slow;
mod support;
mod times;
mod watching;
