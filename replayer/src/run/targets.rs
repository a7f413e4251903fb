//! Whom a run may send to: what is allowed, and never production.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};

use anyhow::{Context, Result, bail};
use twintap_archive::Checkpoint;

use super::file::{Pins, RunFile, TargetSettings};
use super::values::Authority;
use crate::fire::{Target, Tls, TlsFiles};

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
        let is_server = |server: &SocketAddr| {
            server.port() == address.port() && server.ip().to_canonical() == address.ip()
        };
        if self.servers.iter().any(is_server) {
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
/// known here, but the servers seen are; of the others, this machine may well be that
/// node.
fn names(named: &str, address: SocketAddr) -> bool {
    if let Ok(named) = named.parse::<SocketAddr>() {
        let same_port = named.port() == address.port();
        return same_port
            && (named.ip().is_unspecified() || named.ip().to_canonical() == address.ip());
    }
    match named.strip_prefix(':') {
        Some(port) => port.parse() == Ok(address.port()) && is_of_this_machine(address.ip()),
        None => false,
    }
}

/// Whether a socket can be bound to it, which is so for a machine's own addresses.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// The candidate's and the baseline's addresses, checked.
///
/// # Errors
/// When a twin, or a hook's request, is not on the allow-list, or is production.
pub fn check(file: &RunFile, captured: &Captured) -> Result<[Target; 2]> {
    let [candidate, baseline] = file.settings.targets.both().map(|(twin, settings)| {
        let place = format!("targets.{twin}");
        for (name, hook) in [("reset", &settings.reset), ("health", &settings.health)] {
            if let Some(request) = hook.as_ref().and_then(|hook| hook.request.as_ref()) {
                let place = format!("{place}.{name}.request");
                check_one(&place, &request.authority, file, captured)?;
            }
        }
        target(&place, settings, file, captured)
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
    file: &RunFile,
    captured: &Captured,
) -> Result<Target> {
    let authority = &settings.address.authority;
    let tls = settings
        .address
        .is_tls
        .then(|| tls(settings, &authority.host).with_context(|| format!("{place}.tls")))
        .transpose()?;
    Ok(Target {
        // The address that was checked is the one that is fired at: a name is not
        // looked up again.
        address: check_one(&format!("{place}.address"), authority, file, captured)?,
        authority: authority.to_string(),
        tls,
    })
}

/// How TLS is spoken with `host` by what the run file says of its twin.
///
/// # Errors
/// When a file that it names can't be used.
pub fn tls(settings: &TargetSettings, host: &str) -> Result<Tls> {
    let given = settings.tls.clone().unwrap_or_default();
    let files = TlsFiles {
        roots: given.roots,
        client: given.certificate.zip(given.key),
    };
    let server_name = given.server_name.as_deref().unwrap_or(host);
    Ok(Tls::new(&files, server_name)?)
}

/// The address to send to, of what the run file has at `place`. Every address that the
/// name has is looked at, whichever is used.
///
/// # Errors
/// When the name is not known, or one of its addresses is production or not allowed.
pub fn check_one(
    place: &str,
    authority: &Authority,
    file: &RunFile,
    captured: &Captured,
) -> Result<SocketAddr> {
    let text = authority.to_string();
    let addresses =
        look_up(authority, &file.settings.addresses).with_context(|| place.to_owned())?;
    for &address in &addresses {
        if address.ip().is_unspecified() {
            bail!("{place}: {address} is no address of one machine; name the twin's own");
        }
        if let Some(why) = captured.why(address) {
            bail!("{place}: {text} is production, and is never fired at: {why}");
        }
    }
    let allow = &file.settings.allow;
    let allowed = || allow.iter().map(|entry| plain(entry));
    let is_named = allowed().any(|entry| entry.eq_ignore_ascii_case(&text));
    let unlisted = addresses
        .iter()
        .find(|address| !allowed().any(|entry| is_entry_for(entry, **address)));
    match unlisted {
        Some(_) if is_named => {}
        None => {}
        Some(address) if address.to_string() == text || addresses.len() == 1 => bail!(
            "{place}: {text} is not on the allow-list; if nothing there is production, add it: \
             allow: [\"{text}\"]"
        ),
        Some(address) => bail!(
            "{place}: {text} stands for {address} too, which is not on the allow-list; if nothing \
             there is production, add the name: allow: [\"{text}\"]"
        ),
    }
    Ok(addresses[0])
}

/// An entry of the allow-list without its scheme.
fn plain(entry: &str) -> &str {
    let schemes = ["http://", "https://"];
    let rest = schemes.iter().find_map(|scheme| entry.strip_prefix(scheme));
    rest.unwrap_or(entry)
}

fn is_entry_for(entry: &str, address: SocketAddr) -> bool {
    entry.parse().is_ok_and(|entry: SocketAddr| {
        entry.port() == address.port() && entry.ip().to_canonical() == address.ip()
    })
}

/// At least one address: those that the run file pins, else those that the name has.
fn look_up(authority: &Authority, pins: &BTreeMap<String, Pins>) -> Result<Vec<SocketAddr>> {
    let text = authority.to_string();
    let pinned = pins
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&authority.host));
    let addresses: Vec<SocketAddr> = match pinned {
        Some((_, pins)) => pins
            .addresses()
            .iter()
            .map(|ip| SocketAddr::new(*ip, authority.port))
            .collect(),
        None => text
            .to_socket_addrs()
            .with_context(|| format!("looking up {text}"))?
            .collect(),
    };
    let addresses: Vec<SocketAddr> = addresses
        .into_iter()
        .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()))
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
    fn other_spellings_of_production_are_production() {
        let captured = |server: &str| Captured {
            servers: [server.parse().expect("an address")].into(),
            ..Captured::default()
        };
        for (candidate, server) in [
            ("[::ffff:127.0.0.1]:8001", "127.0.0.1:8001"),
            ("127.0.0.1:8001", "[::ffff:127.0.0.1]:8001"),
            ("localhost:8001", "127.0.0.1:8001"),
            ("[::1]:8001", "[::1]:8001"),
        ] {
            let allow = format!("\"{candidate}\", \"127.0.0.1:8002\"");
            let refused = check_text(candidate, &allow, &captured(server));
            assert!(refused.contains("is production"), "{candidate}: {refused}");
        }
    }

    #[test]
    fn no_address_stands_for_all() {
        for candidate in ["0.0.0.0:8001", "[::]:8001", "[::ffff:0.0.0.0]:8001"] {
            let allow = format!("\"{candidate}\", \"127.0.0.1:8002\"");
            let refused = check_text(candidate, &allow, &Captured::default());
            assert!(refused.contains("no address of one machine"), "{refused}");
        }
    }

    #[test]
    fn a_captured_port_is_ruled_out_on_every_address_of_this_machine() {
        let captured = Captured {
            named: [":8001".to_owned()].into(),
            ..Captured::default()
        };
        for candidate in ["127.0.0.1:8001", "127.1.2.3:8001", "[::1]:8001"] {
            let allow = format!("\"{candidate}\", \"127.0.0.1:8002\"");
            let refused = check_text(candidate, &allow, &captured);
            assert!(refused.contains("named for :8001"), "{refused}");
        }
        // An address for documentation (RFC 5737) is nobody's.
        assert!(captured.why(([192, 0, 2, 1], 8001).into()).is_none());
    }

    #[track_caller]
    fn check_pinned(pins: &str, allow: &str, expected: &str) {
        let text = format!(
            "version: 1\naddresses: {{{pins}}}\ntargets:\n  candidate: {{address: \"twin:8001\"}}\n  \
             baseline: {{address: \"127.0.0.1:8002\"}}\nallow: [\"127.0.0.1:8002\", {allow}]\n"
        );
        let file = RunFile::for_daemon(&text, Path::new("archive"), Path::new("out"))
            .expect("a sound run file");
        let captured = Captured {
            servers: [([192, 0, 2, 9], 8001).into()].into(),
            ..Captured::default()
        };
        let found = match check(&file, &captured) {
            Ok(targets) => targets[0].address.to_string(),
            Err(error) => format!("{error:#}"),
        };
        assert!(found.contains(expected), "{found}");
    }

    #[test]
    fn a_pinned_name_goes_where_it_is_pinned() {
        check_pinned("twin: 192.0.2.1", "\"twin:8001\"", "192.0.2.1:8001");
        check_pinned("TWIN: [192.0.2.1]", "\"TWIN:8001\"", "192.0.2.1:8001");
        check_pinned(
            "twin: '::ffff:192.0.2.1'",
            "\"192.0.2.1:8001\"",
            "192.0.2.1:8001",
        );
    }

    #[test]
    fn every_address_of_a_name_is_looked_at() {
        let both = "twin: [192.0.2.1, 192.0.2.2]";
        check_pinned(both, "\"twin:8001\"", "192.0.2.1:8001");
        check_pinned(
            both,
            "\"192.0.2.1:8001\", \"192.0.2.2:8001\"",
            "192.0.2.1:8001",
        );
        check_pinned(
            both,
            "\"192.0.2.1:8001\"",
            "twin:8001 stands for 192.0.2.2:8001 too, which is not on the allow-list",
        );
        check_pinned(
            "twin: [192.0.2.1, 192.0.2.9]",
            "\"twin:8001\"",
            "is production, and is never fired at: the archive has exchanges of the server \
             192.0.2.9:8001",
        );
        check_pinned(
            "twin: [192.0.2.1, 0.0.0.0]",
            "\"twin:8001\"",
            "no address of one machine",
        );
        check_pinned("twin: []", "\"twin:8001\"", "has no address");
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
