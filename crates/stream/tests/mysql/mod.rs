//! MySQL: commands and their replies.

mod build;
mod corpus;
mod text;
