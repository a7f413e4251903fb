//! Child processes that end with their owner.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A child process; killed and reaped on drop.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    lines: mpsc::Receiver<String>,
    reader: Option<std::thread::JoinHandle<()>>,
}

/// What to start, and where.
#[derive(Debug)]
pub struct Start<'a> {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// A cgroup that it joins before it runs.
    pub cgroup: Option<&'a crate::Cgroup>,
    /// Where its standard error goes.
    pub log: PathBuf,
}

impl<'a> Start<'a> {
    /// A program with arguments, its standard error in `directory/NAME.log`.
    pub fn new<I, S>(program: PathBuf, args: I, directory: &Path) -> Start<'a>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let name = program
            .file_name()
            .and_then(OsStr::to_str)
            .unwrap_or("process");
        let mut log = directory.join(format!("{name}.log"));
        let mut number = 2;
        while log.exists() {
            log = directory.join(format!("{name}-{number}.log"));
            number += 1;
        }
        Start {
            args: args.into_iter().map(Into::into).collect(),
            cgroup: None,
            log,
            program,
        }
    }

    /// The process joins this cgroup before it runs.
    #[must_use]
    pub fn in_cgroup(mut self, cgroup: &'a crate::Cgroup) -> Start<'a> {
        self.cgroup = Some(cgroup);
        self
    }

    /// Starts it.
    pub fn spawn(self) -> Result<Process> {
        let name = self.program.display().to_string();
        let log = File::create(&self.log)
            .with_context(|| format!("making the log {}", self.log.display()))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let procs = self
            .cgroup
            .map(|cgroup| {
                std::ffi::CString::new(cgroup.procs().into_os_string().into_encoded_bytes())
            })
            .transpose()?;
        // SAFETY: the closure calls only async-signal-safe functions (prctl, open,
        // write, close) and does not allocate.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                let Some(procs) = &procs else { return Ok(()) };
                let file = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                if file < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                // "0" stands for the writing process itself.
                let written = libc::write(file, c"0".as_ptr().cast(), 1);
                libc::close(file);
                if written != 1 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let (sender, lines) = mpsc::channel();
        let reader = child.stdout.take().map(|out| {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    // The owner may have stopped listening; the pipe must drain all the same.
                    let _ = sender.send(line);
                }
            })
        });
        Ok(Process {
            name,
            child,
            log: self.log,
            lines,
            reader,
        })
    }
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its standard error goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits for a line of its standard output that begins with `prefix`, and
    /// returns what follows.
    pub fn wait_for_line(&mut self, prefix: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return Ok(rest.trim().to_owned());
                    }
                }
                Err(_) => bail!(
                    "{} did not print {prefix:?} within {limit:?}; its standard error:\n{}",
                    self.name,
                    self.log_tail()
                ),
            }
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process id fits")?;
        // SAFETY: kill has no memory preconditions; the child is not reaped yet,
        // so the id is still its own.
        if unsafe { libc::kill(pid, signal) } != 0 {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("signalling {}", self.name));
        }
        Ok(())
    }

    /// Asks it to end and waits; an error when it does not within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(libc::SIGTERM)?;
        self.wait(limit)
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} did not end within {limit:?}; its standard error:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it at once (SIGKILL) and reaps it.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Lines of standard output that nobody has read yet, to its end. Call it when the
    /// process has ended.
    pub fn rest_of_output(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            // A panic in the reader would have printed itself.
            let _ = reader.join();
        }
        self.lines.try_iter().collect()
    }

    /// The last lines of its standard error.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
