//! The twins of a run file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::routes::ServiceSettings;
use crate::run::resources::{ResourceSettings, ResourceSources};
use crate::run::values::{Address, HookRequest, Span};

/// The twins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// The release under test.
    pub candidate: TargetSettings,
    /// The release in production today.
    pub baseline: TargetSettings,
    /// The release in production today once more, to see what varies by itself.
    #[serde(
        default,
        deserialize_with = "second_baseline",
        skip_serializing_if = "Option::is_none"
    )]
    pub second_baseline: Option<TargetSettings>,
}

/// One twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSettings {
    /// Its name in the report.
    #[serde(default)]
    pub name: Option<String>,
    /// `host:port`, `http://host:port`, `https://host:port`, or that of a database.
    pub address: Address,
    /// The environment variable that has the password to log in to a database with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// Whom TLS trusts and as whom it speaks, where the address is `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// What routes lead to beside it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, ServiceSettings>,
    /// Brings its state back to what it is to begin with.
    #[serde(default)]
    pub reset: Option<Hook>,
    /// Succeeds once it can take requests.
    #[serde(default)]
    pub health: Option<Hook>,
    /// Whose use of memory and the like is looked at while the run fires.
    #[serde(default)]
    pub resources: ResourceSources,
}

/// When the twins' names are looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolve {
    /// Once, before anything is fired.
    #[default]
    Once,
    /// Again while the run fires, for new connections.
    Each,
}

/// The addresses that a name has in a run, in place of what it has elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Pins {
    /// One.
    One(IpAddr),
    /// Several, the first of which is used.
    Several(Vec<IpAddr>),
}

impl Pins {
    /// All of them.
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Pins::One(address) => std::slice::from_ref(address),
            Pins::Several(addresses) => addresses,
        }
    }
}

/// TLS to one twin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// Who signs the twin's certificate, PEM; by default whom the system trusts.
    pub roots: Option<PathBuf>,
    /// The name in the twin's certificate, sent as SNI; by default the address's host.
    pub server_name: Option<String>,
    /// The client's certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
}

/// A step before firing: a request or a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// `METHOD http://host:port/path`, or with `https`: a 2xx answer is success.
    #[serde(default)]
    pub request: Option<HookRequest>,
    /// A program and its arguments: exit status 0 is success.
    #[serde(default)]
    pub command: Vec<String>,
    /// The longest that it may take; a health hook is tried again until then.
    #[serde(default = "default_hook_timeout")]
    pub timeout: Span,
}

impl Targets {
    /// Every twin with its word.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &TargetSettings)> {
        let second = self.second_baseline.as_ref();
        let second = second.map(|settings| ("second_baseline", settings));
        self.both().into_iter().chain(second)
    }

    /// Those that every run has, each with its word.
    pub(crate) fn both(&self) -> [(&'static str, &TargetSettings); 2] {
        [("candidate", &self.candidate), ("baseline", &self.baseline)]
    }

    /// Makes their paths count from `base`.
    pub(super) fn resolve(&mut self, base: &Path) {
        let twins = [&mut self.candidate, &mut self.baseline];
        for twin in twins.into_iter().chain(&mut self.second_baseline) {
            twin.resolve(base);
        }
    }
}

impl TargetSettings {
    /// How it is reached.
    pub(crate) fn way(&self) -> Way<'_> {
        Way {
            address: &self.address,
            tls: self.tls.as_ref(),
            password_env: self.password_env.as_deref(),
        }
    }

    /// Makes its paths count from `base`.
    fn resolve(&mut self, base: &Path) {
        if let Some(tls) = &mut self.tls {
            tls.resolve(base);
        }
        for service in self.services.values_mut() {
            service.resolve(base);
        }
        self.resources.resolve(base);
    }
}

impl TlsSettings {
    /// Makes its paths count from `base`.
    pub(super) fn resolve(&mut self, base: &Path) {
        let files = [&mut self.roots, &mut self.certificate, &mut self.key];
        for file in files.into_iter().flatten() {
            *file = base.join(&*file);
        }
    }
}

/// What a run file may say of a second baseline: nobody looks at what it uses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecondBaseline {
    #[serde(default)]
    name: Option<String>,
    address: Address,
    #[serde(default)]
    password_env: Option<String>,
    #[serde(default)]
    tls: Option<TlsSettings>,
    #[serde(default)]
    services: BTreeMap<String, ServiceSettings>,
    #[serde(default)]
    reset: Option<Hook>,
    #[serde(default)]
    health: Option<Hook>,
}

fn second_baseline<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<TargetSettings>, D::Error> {
    let said = SecondBaseline::deserialize(deserializer)?;
    Ok(Some(TargetSettings {
        name: said.name,
        address: said.address,
        password_env: said.password_env,
        tls: said.tls,
        services: said.services,
        reset: said.reset,
        health: said.health,
        resources: ResourceSources(vec![ResourceSettings::None]),
    }))
}

/// How a twin, or a service of one, is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    /// Where.
    pub(crate) address: &'a Address,
    /// Whom TLS trusts, and as whom it speaks.
    pub(crate) tls: Option<&'a TlsSettings>,
    /// The environment variable with the password.
    pub(crate) password_env: Option<&'a str>,
}

impl Way<'_> {
    /// What can be said against it without looking at files: the key, and what is wrong.
    pub(super) fn check(self) -> Result<(), (&'static str, &'static str)> {
        match self.tls {
            Some(_) if !self.address.is_tls => {
                Err(("tls", "needs an address that begins with `https://`"))
            }
            Some(tls) if tls.certificate.is_some() != tls.key.is_some() => {
                Err(("tls", "needs both `certificate` and `key`, or neither"))
            }
            _ if self.password_env.is_some() && self.address.database.is_none() => {
                Err(("password_env", "needs the address of a database"))
            }
            _ => Ok(()),
        }
    }
}

fn default_hook_timeout() -> Span {
    Span(Duration::from_secs(60))
}
