//! Steps before firing: a twin's state is reset, and it is waited for.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::ask::{Question, ask_unless};
use super::file::{Hook, RunFile, TargetSettings};
use super::targets::{Captured, check_one};
use super::values::HookRequest;
use crate::fire::response::RawAnswer;
use crate::fire::{RunControl, Steering};

/// How soon a hook is looked at, or tried, again.
const LOOK: Duration = Duration::from_millis(50);

/// Resets these twins, then waits until all of them can take requests. Ends early, as if
/// all were well, when the run is stopped.
///
/// # Errors
/// When a reset fails, or a twin is not healthy in time.
pub fn prepare<'a>(
    twins: impl IntoIterator<Item = (&'static str, &'a TargetSettings)> + Clone,
    file: &RunFile,
    captured: &Captured,
    control: &RunControl,
) -> Result<()> {
    for (twin, settings) in twins.clone() {
        if let Some(hook) = &settings.reset {
            let steps = Steps::new(file, captured, twin, settings, hook, control);
            steps
                .once()
                .with_context(|| format!("targets.{twin}.reset failed"))?;
        }
    }
    for (twin, settings) in twins {
        if let Some(hook) = &settings.health {
            let steps = Steps::new(file, captured, twin, settings, hook, control);
            steps
                .until_well()
                .with_context(|| format!("targets.{twin}.health: the {twin} is not healthy"))?;
        }
    }
    Ok(())
}

struct Steps<'a> {
    file: &'a RunFile,
    captured: &'a Captured,
    twin: &'a str,
    settings: &'a TargetSettings,
    hook: &'a Hook,
    control: &'a RunControl,
    deadline: Instant,
}

impl<'a> Steps<'a> {
    fn new(
        file: &'a RunFile,
        captured: &'a Captured,
        twin: &'a str,
        settings: &'a TargetSettings,
        hook: &'a Hook,
        control: &'a RunControl,
    ) -> Steps<'a> {
        Steps {
            file,
            captured,
            twin,
            settings,
            hook,
            control,
            deadline: Instant::now() + hook.timeout.0,
        }
    }

    fn is_stopped(&self) -> bool {
        self.control.steering() == Steering::Stop
    }

    fn until_well(&self) -> Result<()> {
        let mut before = None;
        loop {
            let Err(error) = self.once() else {
                return Ok(());
            };
            if self.is_stopped() {
                return Ok(());
            }
            if Instant::now() + LOOK > self.deadline {
                // A try that the deadline cut short tells less than the one before it.
                let error = before.unwrap_or(error);
                return Err(error.context(format!("not within {:?}", self.hook.timeout.0)));
            }
            before = Some(error);
            thread::sleep(LOOK);
        }
    }

    fn once(&self) -> Result<()> {
        if self.is_stopped() {
            return Ok(());
        }
        match &self.hook.request {
            Some(request) => self.request(request),
            None => self.command(),
        }
    }

    /// Sends the request and takes any 2xx answer.
    fn request(&self, request: &HookRequest) -> Result<()> {
        let answer = match self.exchange(request) {
            Err(_) if self.is_stopped() => return Ok(()),
            answer => answer.with_context(|| request.to_string())?,
        };
        match answer.head.status {
            200..300 => Ok(()),
            status => bail!("{request} was answered with status {status}; it must be 2xx"),
        }
    }

    fn exchange(&self, request: &HookRequest) -> Result<Box<RawAnswer>> {
        // The name may have moved since the run was checked.
        let place = format!("the hook of targets.{}", self.twin);
        let address = check_one(&place, &request.authority, self.file, self.captured)?;
        let tls = request
            .is_tls
            .then(|| super::targets::tls(self.settings.tls.as_ref(), &request.authority.host))
            .transpose()?;
        let question = Question {
            request,
            address,
            tls: tls.as_ref(),
            fields: "",
            // Only the status counts.
            most_bytes: 0,
        };
        ask_unless(&question, self.deadline, &|| self.is_stopped())
    }

    /// Runs the command; what it prints goes to `hooks.log` beside the report.
    fn command(&self) -> Result<()> {
        let Some((program, arguments)) = self.hook.command.split_first() else {
            bail!("the command is empty");
        };
        let log = log_file(&self.file.output)?;
        let mut child = Command::new(program)
            .args(arguments)
            .env("TWINTAP_TWIN", self.twin)
            .env("TWINTAP_TARGET", self.settings.address.to_string())
            .env("TWINTAP_EGRESS", &self.file.settings.egress)
            .env("TWINTAP_SNAPSHOT", &self.file.settings.state.snapshot)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {program:?}"))?;
        loop {
            if let Some(status) = child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!(
                    "{program:?} ended with {status}; what it printed is in {}",
                    self.file.output.join(LOG).display()
                );
            }
            if Instant::now() >= self.deadline || self.is_stopped() {
                child.kill()?;
                child.wait()?;
                if self.is_stopped() {
                    return Ok(());
                }
                bail!("{program:?} did not end within {:?}", self.hook.timeout.0);
            }
            thread::sleep(LOOK.min(Duration::from_millis(10)));
        }
    }
}

const LOG: &str = "hooks.log";

fn log_file(directory: &Path) -> Result<std::fs::File> {
    let path = directory.join(LOG);
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))
}
