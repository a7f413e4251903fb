//! MySQL: commands and their replies.

mod build;
mod corpus;
mod documents;
mod framed;
mod hostile;
mod laws;
mod prepared;
mod text;
