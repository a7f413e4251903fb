//! Whom a run may send to: what is allowed, and never production.

mod captured;
mod resolver;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};
use zeroize::Zeroizing;

use super::file::{Pins, Resolve, RunFile, TlsSettings, Way};
use super::values::{Authority, DatabaseAddress, database_schemes};
use crate::fire::{Login, Moving, SecondTargets, Target, Tls, TlsFiles};
pub use captured::Captured;
pub use resolver::Resolver;

/// The addresses of the twins, the candidate's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where they are.
    pub twins: [Target; 2],
    /// Their services beside it, in the order of their names.
    pub services: Vec<[Target; 2]>,
    /// Those of the second baseline, if there is one.
    pub second_baseline: Option<SecondTargets>,
}

impl Addresses {
    /// All addresses of each twin, its own before those of its services.
    fn by_twin(&self) -> Vec<Vec<&Target>> {
        let all = || std::iter::once(&self.twins).chain(&self.services);
        let column = |twin: usize| all().map(|both| &both[twin]).collect();
        let second = self.second_baseline.iter();
        let second = second.map(|second| {
            std::iter::once(&second.own)
                .chain(&second.services)
                .collect()
        });
        (0..2).map(column).chain(second).collect()
    }
}

/// The addresses that the run file has, checked; those of twins for confirmation, too.
///
/// # Errors
/// When one, or that of a hook's request, is not on the allow-list, or is production.
pub fn check(file: &RunFile, captured: &Captured) -> Result<Addresses> {
    let addresses = check_own(file, captured)?;
    if let Some(fresh) = file.at_fresh_twins() {
        check_fresh(&fresh, &addresses, captured)?;
    }
    Ok(addresses)
}

/// The addresses of twins for confirmation ([`RunFile::at_fresh_twins`]), checked; `own` are
/// those of the run's.
///
/// # Errors
/// As [`check`]; and when one of them is one of the run's, which has a state already.
pub fn check_fresh(fresh: &RunFile, own: &Addresses, captured: &Captured) -> Result<Addresses> {
    let addresses = check_own(fresh, captured).context("confirm")?;
    let taken: Vec<SocketAddr> = own
        .by_twin()
        .concat()
        .iter()
        .map(|one| one.address)
        .collect();
    let mut fresh = addresses.by_twin().concat().into_iter();
    if let Some(target) = fresh.find(|one| taken.contains(&one.address)) {
        bail!(
            "confirm.targets has {}, at which the run itself fires: sessions are fired again at \
             twins of their own",
            target.address
        );
    }
    Ok(addresses)
}

fn check_own(file: &RunFile, captured: &Captured) -> Result<Addresses> {
    let mut of_all = Vec::new();
    for (twin, settings) in file.settings.targets.all() {
        let mut addresses = Vec::new();
        let place = format!("targets.{twin}");
        for (name, hook) in [("reset", &settings.reset), ("health", &settings.health)] {
            if let Some(request) = hook.as_ref().and_then(|hook| hook.request.as_ref()) {
                let place = format!("{place}.{name}.request");
                check_one(&place, &request.authority, file, captured)?;
            }
        }
        let place_of = |name: &String| format!("{place}.services.{name}");
        let services = settings.services.iter();
        let services = services.map(|(name, service)| (place_of(name), service.way()));
        for (place, way) in std::iter::once((place.clone(), settings.way())).chain(services) {
            addresses.push(target(&place, way, file, captured)?);
        }
        of_all.push((twin, addresses));
    }
    for (number, one) in of_all.iter().enumerate() {
        for other in &of_all[number + 1..] {
            check_apart(file, one, other)?;
        }
    }
    let mut of_all = of_all.into_iter().map(|(_, addresses)| addresses);
    let mut next = || of_all.next().unwrap_or_default().into_iter();
    let mut both = next().zip(next()).map(<[Target; 2]>::from);
    let twins = both.next().context("the twins have no address")?;
    let services = both.collect();
    let mut second = next();
    Ok(Addresses {
        twins,
        services,
        second_baseline: second.next().map(|own| SecondTargets {
            own,
            services: second.collect(),
        }),
    })
}

/// All addresses of a twin, with its word.
type OfTwin = (&'static str, Vec<Target>);

/// Each twin needs a state of its own.
fn check_apart(file: &RunFile, one: &OfTwin, another: &OfTwin) -> Result<()> {
    let ((one, own), (another, others)) = (one, another);
    let place = |twin: &str, number: usize| {
        let name = number
            .checked_sub(1)
            .and_then(|number| file.services().nth(number));
        name.map_or(format!("targets.{twin}"), |name| {
            format!("targets.{twin}.services.{name}")
        })
    };
    for (number, own) in own.iter().enumerate() {
        let same = |other: &Target| other.address == own.address;
        if let Some(other) = others.iter().position(same) {
            bail!(
                "{} and {} are both {}: each twin needs a state of its own",
                place(one, number),
                place(another, other),
                own.address
            );
        }
    }
    Ok(())
}

fn target(place: &str, way: Way<'_>, file: &RunFile, captured: &Captured) -> Result<Target> {
    let Way {
        address,
        tls: tls_settings,
        password_env,
    } = way;
    let login = login(place, address.database.as_ref(), password_env)?;
    let authority = &address.authority;
    let tls = address
        .is_tls
        .then(|| tls(tls_settings, &authority.host).with_context(|| format!("{place}.tls")))
        .transpose()?;
    // The address that was checked is the one that is fired at.
    let address = check_one(&format!("{place}.address"), authority, file, captured)?;
    Ok(Target {
        address,
        moving: may_move(authority, file).then(|| Moving::new(address)),
        authority: authority.to_string(),
        tls,
        login,
    })
}

/// As whom to log in to a database.
fn login(
    place: &str,
    database: Option<&DatabaseAddress>,
    password_env: Option<&str>,
) -> Result<Option<Login>> {
    let Some(database) = database else {
        return Ok(None);
    };
    let password = password_env.map(|name| {
        std::env::var(name).with_context(|| {
            format!("{place}.password_env: there is no environment variable `{name}` with a text")
        })
    });
    Ok(Some(Login {
        spoken: database.spoken,
        user: database.user.clone(),
        database: database.name.clone(),
        password: password.transpose()?.map(Zeroizing::new),
    }))
}

/// How TLS is spoken with `host` by what the run file says of it.
///
/// # Errors
/// When a file that it names can't be used.
pub fn tls(settings: Option<&TlsSettings>, host: &str) -> Result<Tls> {
    let given = settings.cloned().unwrap_or_default();
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
    let addresses =
        look_up(authority, &file.settings.addresses).with_context(|| place.to_owned())?;
    check_addresses(place, authority, &addresses, file, captured)
}

/// Which of a name's addresses to send to; there is one at least.
fn check_addresses(
    place: &str,
    authority: &Authority,
    addresses: &[SocketAddr],
    file: &RunFile,
    captured: &Captured,
) -> Result<SocketAddr> {
    let text = authority.to_string();
    for &address in addresses {
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

/// Whether it is a name that the run file wants to be looked up again.
fn may_move(authority: &Authority, file: &RunFile) -> bool {
    let settings = &file.settings;
    let is_pinned = pinned(authority, &settings.addresses).is_some();
    let is_address = authority.to_string().parse::<SocketAddr>().is_ok();
    settings.resolve == Resolve::Each && !is_pinned && !is_address
}

/// What the run file pins a name to.
fn pinned<'a>(authority: &Authority, pins: &'a BTreeMap<String, Pins>) -> Option<&'a Pins> {
    let mut pins = pins.iter();
    let is_it = |(name, _): &(&String, &Pins)| name.eq_ignore_ascii_case(&authority.host);
    pins.find(is_it).map(|(_, pins)| pins)
}

/// An entry of the allow-list without its scheme.
fn plain(entry: &str) -> &str {
    let mut schemes = ["http://", "https://"]
        .into_iter()
        .chain(database_schemes());
    let rest = schemes.find_map(|scheme| entry.strip_prefix(scheme));
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
    let addresses: Vec<SocketAddr> = match pinned(authority, pins) {
        Some(pins) => pins
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
