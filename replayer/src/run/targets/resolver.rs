//! Names of twins, looked up again while a run fires.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tracing::{info, warn};

use super::{Addresses, Captured, check_addresses, look_up};
use crate::fire::{Moving, Target};
use crate::run::file::RunFile;
use crate::run::values::Authority;

/// How often names are looked up.
const EVERY: Duration = Duration::from_secs(1);

/// Looks up the names that a run file asks it for. Clones are the same.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    file: RunFile,
    captured: Mutex<Captured>,
    /// All addresses of a twin, the candidate's first.
    targets: Vec<Vec<Target>>,
    names: Vec<Name>,
}

struct Name {
    /// Which twin's it is.
    twin: usize,
    /// Where the run file has it.
    place: String,
    authority: Authority,
    moving: Moving,
}

/// Ends the looking up when it is dropped.
pub struct Looking {
    _end: Option<Sender<()>>,
}

impl Resolver {
    /// For those of the addresses that move.
    pub fn new(file: &RunFile, captured: &Captured, addresses: &Addresses) -> Resolver {
        let mut names = Vec::new();
        let mut targets = Vec::new();
        let twins = file.settings.targets.all().zip(addresses.by_twin());
        for (twin, ((word, settings), of_twin)) in twins.enumerate() {
            let services = settings.services.iter().map(|(name, service)| {
                let place = format!("targets.{word}.services.{name}.address");
                (place, &service.address)
            });
            let own = (format!("targets.{word}.address"), &settings.address);
            for ((place, address), target) in std::iter::once(own).chain(services).zip(&of_twin) {
                names.extend(target.moving.clone().map(|moving| Name {
                    twin,
                    place,
                    authority: address.authority.clone(),
                    moving,
                }));
            }
            targets.push(of_twin.into_iter().cloned().collect());
        }
        Resolver(Arc::new(Inner {
            file: file.clone(),
            captured: Mutex::new(captured.clone()),
            targets,
            names,
        }))
    }

    /// Looks up on a thread of its own, until what this gives is dropped. Nobody waits for
    /// that thread: where names are not answered, a look-up takes its time.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub fn start(&self) -> Result<Looking> {
        if self.0.names.is_empty() {
            return Ok(Looking { _end: None });
        }
        let (end, ended) = channel();
        let inner = Arc::clone(&self.0);
        thread::Builder::new()
            .name("look-up".to_owned())
            .spawn(move || inner.run(&ended))
            .context("starting a thread")?;
        Ok(Looking { _end: Some(end) })
    }

    /// From now on this server counts as production.
    pub fn note(&self, server: SocketAddr) {
        self.0.captured().servers.insert(server);
    }
}

impl Inner {
    fn run(&self, ended: &Receiver<()>) {
        let mut before = vec![None; self.names.len()];
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
            for (name, before) in self.names.iter().zip(&mut before) {
                let found = look_up(&name.authority, &self.file.settings.addresses);
                let trouble = self.take(name, found);
                if *before != trouble {
                    match &trouble {
                        Some(trouble) => warn!("{trouble}"),
                        None => info!("{}: {} is fine again", name.place, name.authority),
                    }
                    *before = trouble;
                }
            }
        }
    }

    /// Takes what was found of a name: where it leads from now on. Gives what is wrong
    /// with it.
    fn take(&self, name: &Name, found: Result<Vec<SocketAddr>>) -> Option<String> {
        let addresses = match found {
            Ok(addresses) => addresses,
            // What was checked before is as good as it was.
            Err(error) => return Some(format!("{}: {error:#}", name.place)),
        };
        let checked = check_addresses(
            &name.place,
            &name.authority,
            &addresses,
            &self.file,
            &self.captured(),
        );
        let checked = checked.map_err(|error| format!("{error:#}"));
        match checked.and_then(|address| self.apart(name, address)) {
            Ok(address) => {
                name.moving.set(Some(address));
                None
            }
            Err(refusal) => {
                name.moving.set(None);
                Some(refusal)
            }
        }
    }

    /// The address, unless it is another twin's: each needs a state of its own.
    fn apart(&self, name: &Name, address: SocketAddr) -> Result<SocketAddr, String> {
        let others = self.targets.iter().enumerate();
        let others = others.filter(|(twin, _)| *twin != name.twin);
        let mut others = others.flat_map(|(_, targets)| targets);
        match others.any(|other| other.current() == Some(address)) {
            true => Err(format!("{}: {address} is another twin's", name.place)),
            false => Ok(address),
        }
    }

    fn captured(&self) -> MutexGuard<'_, Captured> {
        // What is guarded is whole after every statement.
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::anyhow;

    use super::*;

    /// A candidate at a name.
    fn resolver() -> (Resolver, Moving) {
        let text = "version: 1\nresolve: each\ntargets:\n  \
            candidate: {address: 'localhost:8001'}\n  baseline: {address: '192.0.2.9:8001'}\n\
            allow: ['localhost:8001', '192.0.2.9:8001']\n";
        let file = RunFile::for_daemon(text, Path::new("archive"), Path::new("out"))
            .expect("a sound run file");
        let captured = Captured::default();
        let addresses = super::super::check(&file, &captured).expect("allowed twins");
        let [candidate, baseline] = &addresses.twins;
        assert!(baseline.moving.is_none(), "an address does not move");
        let moving = candidate.moving.clone().expect("a name does");
        assert_eq!(moving.get(), Some(candidate.address));
        (Resolver::new(&file, &captured, &addresses), moving)
    }

    /// What is wrong with these addresses of the candidate.
    fn take(resolver: &Resolver, found: &[&str]) -> Option<String> {
        let parse = |text: &&str| text.parse().expect("an address");
        let found = Ok(found.iter().map(parse).collect());
        resolver.0.take(&resolver.0.names[0], found)
    }

    #[test]
    fn a_name_leads_where_it_was_found_last() {
        let (resolver, moving) = resolver();
        for address in ["192.0.2.1:8001", "192.0.2.2:8001"] {
            assert_eq!(take(&resolver, &[address, "192.0.2.7:8001"]), None);
            assert_eq!(
                moving.get().map(|at| at.to_string()).as_deref(),
                Some(address)
            );
        }
        let lost = resolver
            .0
            .take(&resolver.0.names[0], Err(anyhow!("no answer")));
        assert_eq!(
            lost.as_deref(),
            Some("targets.candidate.address: no answer")
        );
        assert!(moving.get().is_some(), "what was found before holds");
    }

    #[test]
    fn what_must_not_be_sent_to_is_not_until_the_name_leads_elsewhere() {
        let (resolver, moving) = resolver();
        resolver.note(([192, 0, 2, 5], 8001).into());
        for (found, expected) in [
            (&["192.0.2.1:8001", "192.0.2.5:8001"][..], "is production"),
            (&["0.0.0.0:8001"][..], "is no address of one machine"),
            (&["192.0.2.9:8001"][..], "192.0.2.9:8001 is another twin's"),
        ] {
            assert_eq!(take(&resolver, &["192.0.2.1:8001"]), None);
            let refusal = take(&resolver, found).expect("a refusal");
            assert!(refusal.contains(expected), "{refusal}");
            assert_eq!(moving.get(), None);
        }
        assert_eq!(take(&resolver, &["192.0.2.2:8001"]), None);
        assert!(moving.get().is_some());
    }
}
