//! Which exchanges are internal.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::collect::{Collected, Item};
use crate::options::EntryRule;

/// For each item, true when it is internal by `rule`.
pub(crate) fn internal(
    collected: &Collected,
    rule: &EntryRule,
    clock_uncertainty_ns: u64,
) -> Vec<bool> {
    match rule {
        EntryRule::All => vec![false; collected.items.len()],
        EntryRule::ExcludeClients(networks) => collected
            .items
            .iter()
            .map(|item| {
                let client = item.client.ip().to_canonical();
                networks.iter().any(|network| network.contains(&client))
            })
            .collect(),
        EntryRule::Auto => nested(collected, clock_uncertainty_ns),
    }
}

fn nested(collected: &Collected, clock_uncertainty_ns: u64) -> Vec<bool> {
    let server_of = |item: &Item| collected.servers.get(item.server).ip().to_canonical();
    let clients: HashSet<IpAddr> = collected
        .items
        .iter()
        .map(|item| item.client.ip().to_canonical())
        .collect();
    let mut served: HashMap<IpAddr, Vec<Reach>> = HashMap::new();
    for item in &collected.items {
        let address = server_of(item);
        if clients.contains(&address) {
            served.entry(address).or_default().push(Reach {
                start_ns: item.start_ns.saturating_sub(clock_uncertainty_ns),
                end_ns: item.end_ns.saturating_add(clock_uncertainty_ns),
            });
        }
    }
    for reaches in served.values_mut() {
        reaches.sort_by_key(|reach| reach.start_ns);
        let mut end_ns = 0;
        for reach in reaches {
            end_ns = reach.end_ns.max(end_ns);
            reach.end_ns = end_ns;
        }
    }
    collected
        .items
        .iter()
        .map(|item| {
            let client = item.client.ip().to_canonical();
            // An endpoint at another address than the server's is another endpoint.
            if client.is_loopback() || client == server_of(item) {
                return false;
            }
            let Some(reaches) = served.get(&client) else {
                return false;
            };
            let begun = reaches.partition_point(|reach| reach.start_ns <= item.start_ns);
            begun
                .checked_sub(1)
                .is_some_and(|last| reaches[last].end_ns >= item.end_ns)
        })
        .collect()
}

/// How far the exchanges reach that began at `start_ns` or earlier at one address.
struct Reach {
    start_ns: u64,
    end_ns: u64,
}
