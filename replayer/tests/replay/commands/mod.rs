//! Commands of databases, fired at servers of this machine.

mod redis;
mod tape;
