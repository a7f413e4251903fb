//! Commands of databases, fired at servers of this machine.

mod postgres;
mod redis;
mod tape;
