//! A shop as a process of its own.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader};
use std::net::{AddrParseError, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Why a shop did not come up as a child.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program can't be run.
    #[error("running {0:?}: {1}")]
    Spawn(OsString, #[source] io::Error),
    /// It ended, or printed something else, where it should have said where it listens.
    #[error("expected `listening on ADDR`, got {0:?}")]
    NotReady(String),
    /// It said that it listens on what is no address.
    #[error("{0:?} is no address: {1}")]
    Address(String, #[source] AddrParseError),
    /// Its output can't be read.
    #[error("reading what the shop prints: {0}")]
    Read(#[source] io::Error),
}

/// A running `twintap-shop`; killed when dropped.
#[derive(Debug)]
pub struct ShopProcess {
    child: Child,
    addr: SocketAddr,
    // Held open, so that the shop never writes into a closed pipe.
    _stdout: BufReader<ChildStdout>,
}

impl ShopProcess {
    /// Runs the command, which is `twintap-shop` with its flags
    /// ([`ShopConfig::to_args`](crate::ShopConfig::to_args)) or wraps it, and waits until the shop
    /// takes requests.
    pub fn start(mut command: Command) -> Result<Self, ProcessError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Err(ProcessError::Spawn(command.get_program().to_owned(), error)),
        };
        let started = wait_until_ready(&mut child);
        match started {
            Ok((addr, stdout)) => Ok(Self {
                child,
                addr,
                _stdout: stdout,
            }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// Where the shop listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The process's id; of the wrapper, if the command was wrapped.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ShopProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn wait_until_ready(
    child: &mut Child,
) -> Result<(SocketAddr, BufReader<ChildStdout>), ProcessError> {
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| ProcessError::NotReady(String::new()))?;
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    stdout.read_line(&mut line).map_err(ProcessError::Read)?;
    let Some(addr) = line.trim_end().strip_prefix("listening on ") else {
        return Err(ProcessError::NotReady(line));
    };
    let addr = addr
        .parse()
        .map_err(|error| ProcessError::Address(addr.to_owned(), error))?;
    Ok((addr, stdout))
}

fn end(child: &mut Child) {
    // Both fail only where the process is gone already.
    let _ = child.kill();
    let _ = child.wait();
}
