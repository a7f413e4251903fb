//! Firing a plan at the twins.
