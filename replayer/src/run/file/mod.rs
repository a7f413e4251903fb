//! The run file (docs/run-file.md): what is replayed, at whom, and how.

mod confirm;
mod follow;
mod limits;
mod load;
mod requests;
mod routes;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use twintap_plan::{BindingRule, EntryRule, Filter, OrderRule, Pace, PlanOptions, UnboundRule};

pub use confirm::{Confirm, ConfirmSettings};
pub use follow::FollowSettings;
pub use limits::{Limits, Threads, Timeouts};
pub use load::{Rate, Repeats, Times};
pub use requests::{FilterSettings, PlaceSetting, RewriteSettings, SecureCookies};
pub use routes::{RouteSettings, ServiceSettings};
pub(crate) use targets::Way;
pub use targets::{Hook, Pins, Resolve, TargetSettings, Targets, TlsSettings};

use crate::fire::rewrite::Rewrite;
use crate::fire::{BodyPace, WireForm};
use crate::keys;
use crate::run::renew::{RequestTimes, Signer, TokenSettings};
use crate::run::shell::quoted;
use crate::run::values::{Span, Speed, Version};
use crate::run::yaml;

/// A run file, its paths resolved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunFile {
    /// The run's name.
    pub name: String,
    /// The archive.
    pub archive: PathBuf,
    /// `default`, `allow-all` or a policy file.
    pub policy: String,
    /// The file with the pseudonym key.
    pub key: PathBuf,
    /// The bindings file.
    pub bindings: Option<PathBuf>,
    /// The gate file.
    pub gate: Option<PathBuf>,
    /// The file of business figures.
    pub metrics: Option<PathBuf>,
    /// The scope file.
    pub scope: Option<PathBuf>,
    /// What other paths in it count from.
    pub base: PathBuf,
    /// Where report and summaries go.
    pub output: PathBuf,
    /// What the file itself says.
    pub settings: Settings,
    /// The command line that does it again.
    pub reproduce: String,
    /// That of `twintap replay`, without flags of load, to which more flags can be added.
    pub replay: String,
}

/// A run file as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    version: Version,
    /// The run's name; by default that of the file.
    #[serde(default)]
    pub name: Option<String>,
    /// The archive's directory; the daemon has its own.
    #[serde(default)]
    pub archive: Option<PathBuf>,
    /// The policy that the archive was scrubbed with.
    #[serde(default)]
    pub policy: Option<String>,
    /// The key that it was scrubbed with; by default beside the archive.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Where the results go; the daemon has its own place.
    #[serde(default)]
    pub output: Option<PathBuf>,
    /// The twins.
    pub targets: Targets,
    /// Which requests go to which services of the twins; the first that takes one decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSettings>,
    /// `host:port` of everything that the run may send to.
    pub allow: Vec<String>,
    /// Addresses of names, in place of looking them up.
    #[serde(default)]
    pub addresses: BTreeMap<String, Pins>,
    /// When the twins' names are looked up.
    #[serde(default)]
    pub resolve: Resolve,
    /// What the twins' state is.
    #[serde(default)]
    pub state: State,
    /// What the twins may reach.
    #[serde(default)]
    pub egress: String,
    /// What is changed in each request.
    #[serde(default)]
    pub rewrite: RewriteSettings,
    /// In which form requests of HTTP/1 go out.
    #[serde(default)]
    pub wire: WireForm,
    /// Which bodies are sent with their recorded pauses.
    #[serde(default)]
    pub bodies: BodyPace,
    /// Due times are divided by it.
    #[serde(default)]
    pub speed: Option<Speed>,
    /// Requests a second, in place of a speed.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// When requests are due.
    #[serde(default)]
    pub pace: Pace,
    /// How often each session is there.
    #[serde(default)]
    pub scale: Times,
    /// How often the whole is gone through.
    #[serde(default, rename = "loop")]
    pub rounds: Repeats,
    /// Without end: how long a period is, which is judged as a run of its own.
    #[serde(default)]
    pub report_every: Option<Span>,
    /// The first span of the run, which is fired and not judged.
    #[serde(default)]
    pub warm_up: Span,
    /// The span in which the rate rises.
    #[serde(default)]
    pub ramp: Span,
    /// Which requests are fired.
    #[serde(default)]
    pub filter: FilterSettings,
    /// Which flows are internal, and never fired.
    #[serde(default)]
    pub entry: EntryRule,
    /// What becomes of requests that use a value from before the capture.
    #[serde(default)]
    pub unbound: UnboundRule,
    /// False sends every value as it was recorded.
    #[serde(default = "yes")]
    pub correlate: bool,
    /// Rules about bindings: a file of its own.
    #[serde(default)]
    pub bindings: Option<PathBuf>,
    /// Which recorded order is kept beyond that of values and connections.
    #[serde(default)]
    pub order: OrderRule,
    /// What becomes of times in requests.
    #[serde(default)]
    pub times: RequestTimes,
    /// Header fields whose tokens are signed anew.
    #[serde(default)]
    pub jwt: Vec<TokenSettings>,
    /// How much the run may take.
    #[serde(default)]
    pub limits: Limits,
    /// How long it waits.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Goes on with what is stored while the run runs.
    #[serde(default)]
    pub follow: Option<FollowSettings>,
    /// Whether sessions with findings are fired again.
    #[serde(default)]
    pub confirm: Confirm,
    /// Files with the descriptors of messages of gRPC, as `protoc --descriptor_set_out` writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub descriptors: Vec<PathBuf>,
    /// How differences are told from noise.
    #[serde(default)]
    pub verdict: twintap_verdict::Options,
    /// What is let through: a file of its own.
    #[serde(default)]
    pub gate: Option<PathBuf>,
    /// Business figures: a file of its own.
    #[serde(default)]
    pub metrics: Option<PathBuf>,
    /// What the twins are made of: a file of its own.
    #[serde(default)]
    pub scope: Option<PathBuf>,
}

/// Whether the twins' state went through the same policy, and which it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// True when it was scrubbed with the archive's policy and key.
    pub scrubbed: Option<bool>,
    /// A name for the snapshot, for people.
    pub snapshot: String,
}

impl RunFile {
    /// Reads a run file. Paths in it count from its directory.
    ///
    /// # Errors
    /// When it can't be read, or says what no run file may: the text names line and
    /// key, and what would be right.
    pub fn read(path: &Path) -> Result<RunFile> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading the run file {}", path.display()))?;
        let source = path.display().to_string();
        let settings = Settings::parse(&text, &source)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let Some(archive) = &settings.archive else {
            bail!("{source}: `archive` is missing: the directory of the archive to replay");
        };
        let archive = base.join(archive);
        let output = match &settings.output {
            Some(output) => base.join(output),
            None => base.join(format!("{stem}.results")),
        };
        let replay = format!("twintap replay {}", quoted(&source));
        Ok(settings.resolve(base, archive, output, &stem, [replay.clone(), replay]))
    }

    /// Reads the text of a run file for a daemon, which has its own archive and
    /// writes to `directory` whatever the file says.
    ///
    /// # Errors
    /// As [`RunFile::read`].
    pub fn for_daemon(text: &str, archive: &Path, directory: &Path) -> Result<RunFile> {
        let settings = Settings::parse(text, "the run file")?;
        let archive = settings
            .archive
            .clone()
            .unwrap_or_else(|| archive.to_owned());
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let commands = ["twintap ctl create RUNFILE", "twintap replay RUNFILE"];
        let output = directory.to_owned();
        let commands = commands.map(str::to_owned);
        Ok(settings.resolve(Path::new(""), archive, output, &name, commands))
    }

    /// Changes the settings as the command line says; `load` is what it says of load, and
    /// `more` what else, for whoever wants to do the run again. Who fires one exchange
    /// alone fires it without load.
    ///
    /// # Errors
    /// When the settings contradict each other then.
    pub fn change(
        &mut self,
        load: &str,
        more: &str,
        change: impl FnOnce(&mut Settings),
    ) -> Result<()> {
        change(&mut self.settings);
        self.settings.check_load()?;
        let with = |line: &str, flags: &str| format!("{line} {flags}").trim_end().to_owned();
        self.reproduce = with(&with(&self.reproduce, load), more);
        self.replay = with(&self.replay, more);
        Ok(())
    }

    /// Makes the load that of one look: once, everything due at once, and all of it judged.
    pub fn load_once(&mut self) {
        self.settings.load_once();
    }

    /// Where the report is written, for programs.
    pub fn report_path(&self) -> PathBuf {
        self.output.join("report.json")
    }

    /// What the planner goes by.
    pub(crate) fn plan_options(&self) -> PlanOptions {
        let filter = &self.settings.filter;
        PlanOptions {
            entry: self.settings.entry.clone(),
            filter: Filter {
                methods: filter.methods.clone(),
                path_prefixes: filter.path_prefixes.clone(),
                sessions: filter.sessions.clone(),
                protocols: filter.protocols.clone(),
                from: filter.from.map(|instant| instant.0),
                to: filter.to.map(|instant| instant.0),
            },
            routes: routes::routes(&self.settings.routes, &self.settings.targets),
            spoken: routes::spoken(&self.settings.targets),
            unbound: self.settings.unbound,
            correlate: self.settings.correlate,
            order: self.settings.order,
            signed: self
                .settings
                .jwt
                .iter()
                .map(|token| token.header.to_ascii_lowercase())
                .collect(),
            ..PlanOptions::default()
        }
    }

    /// The names of the twins' services beside the default ones, in the order of their
    /// numbers, which begin with 1.
    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        routes::names(&self.settings.targets)
    }

    /// The keys that tokens are signed with.
    ///
    /// # Errors
    /// When one can't be read.
    pub fn signers(&self) -> Result<Vec<Signer>> {
        let settings = self.settings.jwt.iter();
        settings
            .map(|token| Signer::new(token, &self.base))
            .collect()
    }

    /// What the bindings file says; nothing without one.
    ///
    /// # Errors
    /// When it can't be read, or says what no bindings file may.
    pub fn binding_rules(&self) -> Result<Vec<BindingRule>> {
        let file = self.bindings.as_deref();
        file.map_or_else(|| Ok(Vec::new()), super::bindings::read)
    }

    /// What is changed in each request.
    pub(crate) fn rewrite(&self) -> Rewrite {
        let rewrite = &self.settings.rewrite;
        Rewrite {
            host: rewrite.host.0.clone(),
            origin: rewrite.origin.0.clone(),
            replace: rewrite.headers.clone().into_iter().collect(),
            drop_secure: rewrite.secure_cookies == SecureCookies::Drop,
        }
    }
}

impl Settings {
    fn parse(text: &str, source: &str) -> Result<Settings> {
        let settings: Settings = yaml::parse(text, source, "run file")?;
        if let Some(follow) = &settings.follow {
            follow
                .check()
                .map_err(|error| anyhow::anyhow!("{source}: {error}"))?;
        }
        check_targets(&settings.targets, &settings.routes).with_context(|| source.to_owned())?;
        if let Some(targets) = settings.confirm.targets() {
            check_targets(targets, &settings.routes)
                .with_context(|| format!("{source}: confirm"))?;
        }
        let confirm = settings.confirm.check();
        confirm.map_err(|error| anyhow::anyhow!("{source}: {error}"))?;
        settings.check_load().with_context(|| source.to_owned())?;
        settings
            .verdict
            .check()
            .with_context(|| source.to_owned())?;
        Ok(settings)
    }

    fn resolve(
        mut self,
        base: &Path,
        archive: PathBuf,
        output: PathBuf,
        name: &str,
        [reproduce, replay]: [String; 2],
    ) -> RunFile {
        self.targets.resolve(base);
        if let Some(targets) = self.confirm.targets_mut() {
            targets.resolve(base);
        }
        let policy = match self.policy.as_deref() {
            None => "default".to_owned(),
            Some(built_in @ ("default" | "allow-all")) => built_in.to_owned(),
            Some(file) => base.join(file).to_string_lossy().into_owned(),
        };
        let beside = |file: &Option<PathBuf>| file.as_ref().map(|file| base.join(file));
        RunFile {
            name: self.name.clone().unwrap_or_else(|| name.to_owned()),
            policy,
            key: match &self.key {
                Some(key) => base.join(key),
                None => keys::default_key_file(&archive),
            },
            bindings: beside(&self.bindings),
            gate: beside(&self.gate),
            metrics: beside(&self.metrics),
            scope: beside(&self.scope),
            base: base.to_owned(),
            archive,
            output,
            settings: self,
            reproduce,
            replay,
        }
    }
}

/// Says what can be said against twins without looking at files.
fn check_targets(targets: &Targets, routes: &[RouteSettings]) -> Result<()> {
    for (twin, target) in targets.all() {
        let way = target.way().check();
        way.map_err(|(key, problem)| anyhow::anyhow!("targets.{twin}.{key} {problem}"))?;
        for (name, hook) in [("reset", &target.reset), ("health", &target.health)] {
            if let Some(hook) = hook
                && hook.request.is_some() != hook.command.is_empty()
            {
                bail!(
                    "targets.{twin}.{name} needs either `request` (\"POST \
                     http://host:port/path\") or `command` (a list: program and arguments)"
                );
            }
        }
    }
    routes::check(routes, targets).map_err(anyhow::Error::msg)
}

fn yes() -> bool {
    true
}
