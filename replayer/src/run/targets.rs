//! Whom a run may send to: what is allowed, and never production.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};
use twintap_archive::Checkpoint;

use super::file::{RunFile, TargetSettings};
use super::values::Authority;
use crate::fire::Target;

/// What the capture came from: no run may send there.
#[derive(Debug, Default)]
pub struct Captured {
    /// Addresses of servers whose exchanges are in the archive.
    pub servers: BTreeSet<SocketAddr>,
    /// What capture was named for: `address:port` or `:port`.
    pub named: BTreeSet<String>,
}

impl Captured {
    /// What the archive's checkpoint names; servers are added as they are seen.
    pub fn new(checkpoint: Option<&Checkpoint>) -> Captured {
        let captures = checkpoint
            .iter()
            .flat_map(|checkpoint| &checkpoint.captures);
        Captured {
            servers: BTreeSet::new(),
            named: captures
                .flat_map(|capture| capture.captured_endpoints.iter().cloned())
                .collect(),
        }
    }

    /// Says in words why `address` is production, if it is.
    fn why(&self, address: SocketAddr) -> Option<String> {
        if self.servers.contains(&address) {
            return Some(format!("the archive has exchanges of the server {address}"));
        }
        self.named
            .iter()
            .find(|named| names(named, address))
            .map(|named| format!("capture was named for {named}"))
    }
}

/// Whether what capture was named for takes in `address`.
///
/// `:port` stands for every address of the captured node. Which those are is not
/// known here, but the servers seen are; of the others, this machine's own may
/// well be that node.
fn names(named: &str, address: SocketAddr) -> bool {
    if let Ok(named) = named.parse::<SocketAddr>() {
        let same_port = named.port() == address.port();
        return same_port
            && (named.ip().is_unspecified() || named.ip().to_canonical() == address.ip());
    }
    match named.strip_prefix(':') {
        Some(port) => port.parse() == Ok(address.port()) && address.ip().is_loopback(),
        None => false,
    }
}

/// The candidate's and the baseline's addresses, checked.
///
/// # Errors
/// When a twin, or a hook's request, is not on the allow-list, or is production.
pub fn check(file: &RunFile, captured: &Captured) -> Result<[Target; 2]> {
    let allow = &file.settings.allow;
    let [candidate, baseline] = file.settings.targets.both().map(|(twin, settings)| {
        let place = format!("targets.{twin}");
        for (name, hook) in [("reset", &settings.reset), ("health", &settings.health)] {
            if let Some(request) = hook.as_ref().and_then(|hook| hook.request.as_ref()) {
                let place = format!("{place}.{name}.request");
                check_one(&place, &request.authority, allow, captured)?;
            }
        }
        target(&place, settings, allow, captured)
    });
    let targets = [candidate?, baseline?];
    if targets[0].address == targets[1].address {
        bail!(
            "targets.candidate and targets.baseline are both {}: each twin needs a state of its own",
            targets[0].address
        );
    }
    Ok(targets)
}

fn target(
    place: &str,
    settings: &TargetSettings,
    allow: &[String],
    captured: &Captured,
) -> Result<Target> {
    let place = format!("{place}.address");
    Ok(Target {
        // The address that was checked is the one that is fired at: a name is not
        // looked up again.
        address: check_one(&place, &settings.address, allow, captured)?,
        authority: settings.address.to_string(),
    })
}

fn check_one(
    place: &str,
    authority: &Authority,
    allow: &[String],
    captured: &Captured,
) -> Result<SocketAddr> {
    let text = authority.to_string();
    let addresses = look_up(authority).with_context(|| place.to_owned())?;
    let first = addresses[0];
    for address in addresses {
        if address.ip().is_unspecified() {
            bail!("{place}: {address} is no address of one machine; name the twin's own");
        }
        if let Some(why) = captured.why(address) {
            bail!("{place}: {text} is production, and is never fired at: {why}");
        }
    }
    let is_allowed = allow.iter().any(|allowed| {
        let plain = allowed.strip_prefix("http://").unwrap_or(allowed);
        plain == text || plain.parse() == Ok(first)
    });
    if !is_allowed {
        bail!(
            "{place}: {text} is not on the allow-list; if nothing there is production, add it: \
             allow: [\"{text}\"]"
        );
    }
    Ok(first)
}

/// The first address of a name, as [`check`] takes it.
///
/// # Errors
/// When the name is not known.
pub fn resolve(authority: &Authority) -> Result<SocketAddr> {
    Ok(look_up(authority)?[0])
}

/// At least one address.
fn look_up(authority: &Authority) -> Result<Vec<SocketAddr>> {
    let text = authority.to_string();
    let addresses: Vec<SocketAddr> = text
        .to_socket_addrs()
        .with_context(|| format!("looking up {text}"))?
        .map(|address| {
            let ip: IpAddr = address.ip().to_canonical();
            SocketAddr::new(ip, address.port())
        })
        .collect();
    if addresses.is_empty() {
        bail!("{text} has no address");
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn check_text(candidate: &str, allow: &str, captured: &Captured) -> String {
        let text = format!(
            "version: 1\ntargets:\n  candidate: {{address: \"{candidate}\"}}\n  \
             baseline: {{address: \"127.0.0.1:8002\"}}\nallow: [{allow}]\n"
        );
        let file = RunFile::for_daemon(&text, Path::new("archive"), Path::new("out"))
            .expect("a sound run file");
        match check(&file, captured) {
            Ok(targets) => format!("{} {}", targets[0].address, targets[1].address),
            Err(error) => format!("{error:#}"),
        }
    }

    const BOTH: &str = "\"127.0.0.1:8001\", \"127.0.0.1:8002\"";

    #[test]
    fn allowed_twins_are_taken() {
        let captured = Captured::default();
        let expected = "127.0.0.1:8001 127.0.0.1:8002";
        assert_eq!(check_text("127.0.0.1:8001", BOTH, &captured), expected);
        assert_eq!(
            check_text("http://127.0.0.1:8001", BOTH, &captured),
            expected
        );
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        let refused = check_text("127.0.0.1:8003", BOTH, &Captured::default());
        assert_eq!(
            refused,
            "targets.candidate.address: 127.0.0.1:8003 is not on the allow-list; if nothing there \
             is production, add it: allow: [\"127.0.0.1:8003\"]"
        );
        let same = check_text("127.0.0.1:8002", BOTH, &Captured::default());
        assert!(same.contains("both 127.0.0.1:8002"), "{same}");
    }

    #[test]
    fn production_is_refused_whatever_is_allowed() {
        let mut captured = Captured::default();
        captured.servers.insert(([127, 0, 0, 1], 8001).into());
        assert_eq!(
            check_text("127.0.0.1:8001", BOTH, &captured),
            "targets.candidate.address: 127.0.0.1:8001 is production, and is never fired at: the \
             archive has exchanges of the server 127.0.0.1:8001"
        );
        for named in [
            "127.0.0.1:8001",
            "0.0.0.0:8001",
            ":8001",
            "[::ffff:127.0.0.1]:8001",
        ] {
            let captured = Captured {
                named: [named.to_owned()].into(),
                ..Captured::default()
            };
            let refused = check_text("127.0.0.1:8001", BOTH, &captured);
            assert!(refused.contains(&format!("named for {named}")), "{refused}");
        }
    }

    #[test]
    fn what_was_captured_elsewhere_is_no_obstacle() {
        let captured = Captured {
            named: ["10.0.0.1:8001", ":9000", "/system.slice/shop"]
                .map(str::to_owned)
                .into(),
            servers: [([10, 0, 0, 1], 8001).into()].into(),
        };
        let taken = check_text("127.0.0.1:8001", BOTH, &captured);
        assert_eq!(taken, "127.0.0.1:8001 127.0.0.1:8002");
    }
}
