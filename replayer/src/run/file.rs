//! The run file (docs/run-file.md): what is replayed, at whom, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use twintap_plan::{EntryRule, Filter, PlanOptions, UnboundRule};

use crate::fire::rewrite::{Place, Rewrite};
use crate::keys;
use crate::run::values::{Authority, HookRequest, Instant, Span, Speed, Version};

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
    /// Where report and summaries go.
    pub output: PathBuf,
    /// What the file itself says.
    pub settings: Settings,
    /// The command line that does it again.
    pub reproduce: String,
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
    /// `host:port` of everything that the run may send to.
    pub allow: Vec<String>,
    /// What the twins' state is.
    #[serde(default)]
    pub state: State,
    /// What the twins may reach.
    #[serde(default)]
    pub egress: String,
    /// What is changed in each request.
    #[serde(default)]
    pub rewrite: RewriteSettings,
    /// Due times are divided by it.
    #[serde(default)]
    pub speed: Speed,
    /// Which requests are fired.
    #[serde(default)]
    pub filter: FilterSettings,
    /// Which flows are internal, and never fired.
    #[serde(default)]
    pub entry: EntryRule,
    /// What becomes of requests that use a value from before the capture.
    #[serde(default)]
    pub unbound: UnboundRule,
    /// How much the run may take.
    #[serde(default)]
    pub limits: Limits,
    /// How long it waits.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The gate.
    #[serde(default)]
    pub verdict: twintap_verdict::Options,
}

/// Both twins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// The release under test.
    pub candidate: TargetSettings,
    /// The release in production today.
    pub baseline: TargetSettings,
}

/// One twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSettings {
    /// Its name in the report.
    #[serde(default)]
    pub name: Option<String>,
    /// `host:port`, or `http://host:port`.
    pub address: Authority,
    /// Brings its state back to what it is to begin with.
    #[serde(default)]
    pub reset: Option<Hook>,
    /// Succeeds once it can take requests.
    #[serde(default)]
    pub health: Option<Hook>,
}

/// A step before firing: a request or a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// `METHOD http://host:port/path`: a 2xx answer is success.
    #[serde(default)]
    pub request: Option<HookRequest>,
    /// A program and its arguments: exit status 0 is success.
    #[serde(default)]
    pub command: Vec<String>,
    /// The longest that it may take; a health hook is tried again until then.
    #[serde(default = "default_hook_timeout")]
    pub timeout: Span,
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

/// What is changed in each request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewriteSettings {
    /// Host: `keep`, `target`, or another text.
    pub host: PlaceSetting,
    /// Origin and the origin in Referer: `keep`, `target`, or another text.
    pub origin: PlaceSetting,
    /// The attribute `Secure` of cookies.
    pub secure_cookies: SecureCookies,
    /// New values for fields that a recorded request has.
    pub headers: BTreeMap<String, String>,
}

/// What becomes of the attribute `Secure` of cookies before answers are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecureCookies {
    /// It is compared.
    #[default]
    Keep,
    /// It is taken out of all answers: twins reached over plain HTTP may leave it
    /// out where production, behind TLS, sets it.
    Drop,
}

/// `keep`, `target`, or another text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct PlaceSetting(pub Place);

/// Which requests are fired; what is empty or absent excludes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSettings {
    /// Methods, case-sensitive.
    pub methods: Vec<String>,
    /// What the path begins with, as it is after scrubbing.
    pub path_prefixes: Vec<String>,
    /// Sessions by name.
    pub sessions: Vec<String>,
    /// The first instant, RFC 3339.
    pub from: Option<Instant>,
    /// The first instant no longer wanted, RFC 3339.
    pub to: Option<Instant>,
}

/// How much a run may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in flight at one twin.
    pub in_flight: usize,
    /// Connections open to one twin.
    pub connections: usize,
    /// The largest answer body that is compared in full.
    pub body_bytes: usize,
    /// Bytes of answers that wait for their comparison.
    pub held_answer_bytes: usize,
    /// Bytes of requests read ahead.
    pub read_ahead_bytes: usize,
    /// The largest request body that is fired.
    pub request_body_bytes: u64,
}

/// How long a run waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a request's dependencies, from its due time.
    pub wait: Span,
    /// For a whole answer.
    pub response: Span,
    /// For a connection.
    pub connect: Span,
    /// For what is in flight when the run is stopped.
    pub stop: Span,
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
        let reproduce = format!("twintap replay {source}");
        Ok(settings.resolve(base, archive, output, &stem, reproduce))
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
        let reproduce = "twintap ctl create RUNFILE".to_owned();
        let output = directory.to_owned();
        Ok(settings.resolve(Path::new(""), archive, output, &name, reproduce))
    }

    /// Where the report is written, for programs.
    pub fn report_path(&self) -> PathBuf {
        self.output.join("report.json")
    }

    /// What the planner goes by.
    pub(crate) fn plan_options(&self) -> PlanOptions {
        let filter = &self.settings.filter;
        PlanOptions {
            speed: self.settings.speed.0,
            entry: self.settings.entry.clone(),
            filter: Filter {
                methods: filter.methods.clone(),
                path_prefixes: filter.path_prefixes.clone(),
                sessions: filter.sessions.clone(),
                from: filter.from.map(|instant| instant.0),
                to: filter.to.map(|instant| instant.0),
            },
            unbound: self.settings.unbound,
            ..PlanOptions::default()
        }
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
        let settings: Settings = serde_saphyr::from_str(text).map_err(|error| {
            let problem = error.to_string();
            let problem = problem.strip_prefix("error: ").unwrap_or(&problem);
            anyhow::anyhow!(
                "{}",
                problem.replace("--> <input>:", &format!("--> {source}:"))
            )
            .context(format!("{source} is no run file"))
        })?;
        for (twin, target) in settings.targets.both() {
            for (name, hook) in [("reset", &target.reset), ("health", &target.health)] {
                if let Some(hook) = hook
                    && hook.request.is_some() != hook.command.is_empty()
                {
                    bail!(
                        "{source}: targets.{twin}.{name} needs either `request` (\"POST \
                         http://host:port/path\") or `command` (a list: program and arguments)"
                    );
                }
            }
        }
        Ok(settings)
    }

    fn resolve(
        self,
        base: &Path,
        archive: PathBuf,
        output: PathBuf,
        name: &str,
        reproduce: String,
    ) -> RunFile {
        let policy = match self.policy.as_deref() {
            None => "default".to_owned(),
            Some(built_in @ ("default" | "allow-all")) => built_in.to_owned(),
            Some(file) => base.join(file).to_string_lossy().into_owned(),
        };
        RunFile {
            name: self.name.clone().unwrap_or_else(|| name.to_owned()),
            policy,
            key: match &self.key {
                Some(key) => base.join(key),
                None => keys::default_key_file(&archive),
            },
            archive,
            output,
            settings: self,
            reproduce,
        }
    }
}

impl Targets {
    /// Each twin with its word.
    pub(crate) fn both(&self) -> [(&'static str, &TargetSettings); 2] {
        [("candidate", &self.candidate), ("baseline", &self.baseline)]
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            in_flight: 10_000,
            connections: 10_000,
            body_bytes: 4 << 20,
            held_answer_bytes: 256 << 20,
            read_ahead_bytes: 64 << 20,
            request_body_bytes: 256 << 20,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            wait: Span(Duration::from_secs(5)),
            response: Span(Duration::from_secs(30)),
            connect: Span(Duration::from_secs(5)),
            stop: Span(Duration::from_secs(5)),
        }
    }
}

fn default_hook_timeout() -> Span {
    Span(Duration::from_secs(60))
}

impl From<String> for PlaceSetting {
    fn from(text: String) -> PlaceSetting {
        PlaceSetting(match text.as_str() {
            "keep" => Place::Keep,
            "target" => Place::Target,
            _ => Place::Text(text),
        })
    }
}

impl From<PlaceSetting> for String {
    fn from(setting: PlaceSetting) -> String {
        match setting.0 {
            Place::Keep => "keep".to_owned(),
            Place::Target => "target".to_owned(),
            Place::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RunFile> {
        RunFile::for_daemon(text, Path::new("/var/archive"), Path::new("/var/runs/r-1"))
    }

    const TARGETS: &str = "version: 1\nallow: []\ntargets:\n  candidate: {address: 'a:1'}\n  baseline: {address: 'http://b'}\n";

    #[test]
    fn what_is_left_out_has_its_default() {
        let file = parse(TARGETS).expect("a sound run file");
        assert_eq!(file.archive, Path::new("/var/archive"));
        assert_eq!(file.key, Path::new("/var/archive.key"));
        assert_eq!(file.report_path(), Path::new("/var/runs/r-1/report.json"));
        assert_eq!(file.name, "r-1");
        assert_eq!(file.settings.limits, Limits::default());
        assert_eq!(file.plan_options(), PlanOptions::default());
        assert_eq!(file.settings.targets.baseline.address.to_string(), "b:80");
    }

    #[test]
    fn what_is_said_is_taken() {
        let more = "speed: 2.5\nunbound: fire\nfilter: {methods: [GET], from: 2023-11-14T22:13:20Z}\n\
            rewrite: {host: target, origin: 'https://shop', secure_cookies: drop, headers: {X-A: b}}\n\
            timeouts: {wait: 1500ms}\nlimits: {in_flight: 3}\nentry: {exclude_clients: [10.0.0.0/8]}\n\
            state: {scrubbed: true}\nverdict: {fidelity_floor: 0.5}\n";
        let file = parse(&format!("{TARGETS}{more}")).expect("a sound run file");
        let options = file.plan_options();
        assert_eq!((options.speed, options.unbound), (2.5, UnboundRule::Fire));
        let from = twintap_stream::Timestamp(1_700_000_000_000_000_000);
        assert_eq!(options.filter.from, Some(from));
        assert!(matches!(options.entry, EntryRule::ExcludeClients(nets) if nets.len() == 1));
        let rewrite = file.rewrite();
        assert_eq!(rewrite.host, Place::Target);
        assert_eq!(rewrite.origin, Place::Text("https://shop".to_owned()));
        assert_eq!(rewrite.replace, [("X-A".to_owned(), "b".to_owned())]);
        assert!(rewrite.drop_secure);
        assert_eq!(file.settings.timeouts.wait.0, Duration::from_millis(1500));
        assert_eq!(
            file.settings.timeouts.response,
            Timeouts::default().response
        );
        assert_eq!(file.settings.verdict.fidelity_floor, 0.5);
    }

    #[track_caller]
    fn check_error(more: &str, expected: &[&str]) {
        let error = parse(&format!("{TARGETS}{more}")).expect_err("a faulty run file");
        let error = format!("{error:#}");
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    #[test]
    fn errors_name_line_and_key_and_what_would_be_right() {
        check_error("sped: 2\n", &["line 6", "sped"]);
        check_error("speed: 0\n", &["line 6", "speed must be above 0"]);
        check_error(
            "timeouts: {wait: 5}\n",
            &["line 6", "write `500ms`, `30s` or `5m`"],
        );
        check_error(
            "filter: {from: yesterday}\n",
            &["line 6", "2026-01-31T12:00:00Z"],
        );
        check_error(
            "rewrite: {secure_cookies: no}\n",
            &["line 6", "keep", "drop"],
        );
    }

    #[test]
    fn hooks_and_addresses_are_checked() {
        let with = |target: &str| {
            let text = format!(
                "version: 1\nallow: []\ntargets:\n  candidate: {target}\n  baseline: {{address: 'b:1'}}\n"
            );
            format!("{:#}", parse(&text).expect_err("a faulty run file"))
        };
        let both = with("{address: 'a:1', reset: {command: [x], request: 'POST http://a:1/x'}}");
        assert!(
            both.contains("targets.candidate.reset needs either"),
            "{both}"
        );
        let none = with("{address: 'a:1', health: {timeout: 1s}}");
        assert!(
            none.contains("targets.candidate.health needs either"),
            "{none}"
        );
        let hook = with("{address: 'a:1', reset: {request: 'http://a:1/x'}}");
        assert!(
            hook.contains("write `POST http://host:port/path`"),
            "{hook}"
        );
        for address in [
            "a",
            "a:0",
            "a:b",
            "http://a/path",
            "::1:80",
            "user@a:1",
            ":80",
        ] {
            let error = with(&format!("{{address: '{address}'}}"));
            assert!(error.contains("write `host:port`"), "{error}");
        }
        let tls = with("{address: 'https://a:1'}");
        assert!(tls.contains("plain HTTP"), "{tls}");
        let version = parse("version: 2\n").expect_err("another version");
        assert!(format!("{version:#}").contains("must be 1"), "{version:#}");
    }
}
