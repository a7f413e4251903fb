//! What a run file says of a twin's resources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::exposition::Selector;
use crate::run::values::HookRequest;

/// Where a twin's use of resources is read: of several places, what each tells first counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSources(pub Vec<ResourceSettings>);

/// Whose use of resources is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceSettings {
    /// That of the processes of this machine which listen at the twin's address.
    #[default]
    Listener,
    /// That of nobody.
    None,
    /// That of this process and those it starts.
    Process(i32),
    /// Likewise, by the number in a file.
    PidFile(PathBuf),
    /// That of a control group (version 2), by its directory.
    Cgroup(PathBuf),
    /// What the twin tells of itself as metrics.
    Prometheus(Scrape),
}

/// Where a twin tells metrics, and which of them say what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scrape {
    /// Where they are.
    pub url: ScrapeUrl,
    /// What they are called; by default as clients of Prometheus call those of a process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<Figure, MetricName>,
}

/// What a metric says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Memory, in bytes.
    Memory,
    /// Memory in use, as the allocator or the collector counts it, in bytes.
    Heap,
    /// Open file descriptors.
    FileDescriptors,
    /// Threads.
    Threads,
    /// Open sockets, or connections.
    Sockets,
    /// Seconds of processor time so far.
    CpuSeconds,
    /// What memory must stay below, in bytes.
    MemoryLimit,
    /// What open file descriptors must stay below.
    FileDescriptorsLimit,
}

/// `http://host:port/path`, or with `https`: what is asked for by GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeUrl(pub HookRequest);

/// The name of a metric, and labels that its series must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricName {
    /// As it was written.
    text: String,
    /// What it means.
    pub selector: Selector,
}

impl Default for ResourceSources {
    fn default() -> ResourceSources {
        ResourceSources(vec![ResourceSettings::default()])
    }
}

impl ResourceSources {
    /// Makes their paths count from `base`.
    pub fn resolve(&mut self, base: &Path) {
        for source in &mut self.0 {
            if let ResourceSettings::PidFile(path) | ResourceSettings::Cgroup(path) = source {
                *path = base.join(&path);
            }
        }
    }
}

impl Serialize for ResourceSources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ResourceSources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ResourceSources, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// One source as it is, or a list of them.
struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = ResourceSources;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("whose resources are looked at, or a list of these")
    }

    fn visit_str<E: serde::de::Error>(self, one: &str) -> Result<ResourceSources, E> {
        let one = ResourceSettings::deserialize(StrDeserializer::new(one))?;
        Ok(ResourceSources(vec![one]))
    }

    fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<ResourceSources, A::Error> {
        let one = ResourceSettings::deserialize(MapAccessDeserializer::new(one))?;
        Ok(ResourceSources(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, several: A) -> Result<ResourceSources, A::Error> {
        let several: Vec<ResourceSettings> = Vec::deserialize(SeqAccessDeserializer::new(several))?;
        if several.is_empty() || several.len() > 1 && several.contains(&ResourceSettings::None) {
            return Err(A::Error::custom(
                "a list of whose resources are looked at has at least one, and no `none`; to look at nobody's write `resources: none`",
            ));
        }
        Ok(ResourceSources(several))
    }
}

impl<'de> Deserialize<'de> for ScrapeUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ScrapeUrl, D::Error> {
        let url = String::deserialize(deserializer)?;
        let request = HookRequest::parse("GET", &url);
        request.map(ScrapeUrl).ok_or_else(|| {
            D::Error::custom(format!(
                "{url:?} is no address of metrics; write `http://host:port/metrics`"
            ))
        })
    }
}

impl Serialize for ScrapeUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.url())
    }
}

impl<'de> Deserialize<'de> for MetricName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MetricName, D::Error> {
        let text = String::deserialize(deserializer)?;
        let selector = text.parse().map_err(D::Error::custom)?;
        Ok(MetricName { text, selector })
    }
}

impl Serialize for MetricName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.text)
    }
}
