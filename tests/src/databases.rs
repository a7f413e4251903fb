//! Database servers of the machine, each with a state of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{Process, Start};

/// A server that ends with its owner.
#[derive(Debug)]
pub struct Database {
    /// Where it listens, on this machine alone.
    pub address: SocketAddr,
    _process: Process,
}

/// How long a server may take to begin.
const BEGIN: Duration = Duration::from_secs(30);

/// Where Debian's package has Redis.
const REDIS: &str = "/usr/bin/redis-server";

/// An empty Redis whose files are in `directory`, with more arguments; none where it is not
/// installed.
pub fn redis(directory: &Path, more: &[&str]) -> Result<Option<Database>> {
    let program = PathBuf::from(REDIS);
    if !program.exists() {
        return Ok(None);
    }
    let address = free_address()?;
    let port = address.port().to_string();
    let place = directory.to_string_lossy();
    let args = ["--port", &port, "--bind", "127.0.0.1", "--dir", &place];
    let args = args.iter().chain(&["--save", "", "--appendonly", "no"]);
    let args = args.chain(more).copied();
    let process = Start::new(program, args, directory).spawn()?;
    let database = Database {
        address,
        _process: process,
    };
    // Whether it wants a password or not, it answers.
    let is_ready = || {
        database
            .ask("PING\r\n")
            .is_ok_and(|reply| !reply.is_empty())
    };
    wait_until(is_ready).context("starting Redis")?;
    Ok(Some(database))
}

impl Database {
    /// Says something over a connection of its own; gives the first bytes of the answer.
    pub fn ask(&self, text: &str) -> Result<String> {
        let mut socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(BEGIN))?;
        socket.write_all(text.as_bytes())?;
        let mut answer = [0; 4096];
        let count = socket.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
    }
}

/// An address that nobody listens at: servers that can't say which they were given need one.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("asking for a port")?;
    Ok(listener.local_addr()?)
}

fn wait_until(is_ready: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + BEGIN;
    while !is_ready() {
        if Instant::now() > deadline {
            bail!("not ready within {BEGIN:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
