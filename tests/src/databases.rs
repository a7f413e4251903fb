//! Database servers of the machine, each with a state of its own.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::privileges::Privileges;
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

/// Where Debian's package has the programs of PostgreSQL.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

/// A PostgreSQL with these statements carried out in the database `postgres`, whose user is `app`;
/// with a password it is asked for. None where it is not installed, or this process may not be
/// another user, which the server must be.
pub fn postgres(
    directory: &Path,
    name: &str,
    password: Option<&str>,
    statements: &str,
) -> Result<Option<Database>> {
    let is_root = Privileges::of_this_process().root;
    if !is_root || !Path::new(POSTGRES).exists() {
        return Ok(None);
    }
    let home = directory.join(name);
    std::fs::create_dir(&home)?;
    // The server's user looks through it.
    std::fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    run("chown", &["postgres", &home.to_string_lossy()], &[])?;
    let secret = home.join("password");
    std::fs::write(&secret, password.unwrap_or("none"))?;
    let (data, secret) = (home.join("data"), secret.to_string_lossy().into_owned());
    let data = data.to_string_lossy();
    let asked = password.map_or("trust", |_| "scram-sha-256");
    let program = |name: &str| format!("{POSTGRES}/{name}");
    let initdb = program("initdb");
    let made = [
        "--no-sync",
        "-U",
        "app",
        "-A",
        asked,
        "--pwfile",
        &secret,
        &data,
    ];
    run(
        "setpriv",
        &[&AS_POSTGRES[..], &[&initdb], &made].concat(),
        &[],
    )?;
    let address = free_address()?;
    let port = address.port().to_string();
    let server = program("postgres");
    let settings = ["-D", &data, "-p", &port, "-c", "listen_addresses=127.0.0.1"];
    let quick = ["-c", "fsync=off", "-c", "unix_socket_directories="];
    let args = [&AS_POSTGRES[..], &[&server], &settings, &quick].concat();
    let process = Start::new("/usr/bin/setpriv".into(), args, directory).spawn()?;
    let database = Database {
        address,
        _process: process,
    };
    let psql = program("psql");
    let args = [
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "app",
        "-d",
        "postgres",
        "-c",
        statements,
    ];
    let password = [("PGPASSWORD", password.unwrap_or("none"))];
    wait_until(|| TcpStream::connect(address).is_ok()).context("starting PostgreSQL")?;
    // A server that begins takes connections and lets nobody in for a moment.
    wait_until(|| run(&psql, &args, &password).is_ok()).context("making its tables")?;
    Ok(Some(database))
}

const AS_POSTGRES: [&str; 3] = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];

fn run(program: &str, args: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args).envs(environment.iter().copied());
    let output = command.current_dir("/").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {said}");
    Ok(())
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
