//! Roles of sockets that lived before the kernel programs were attached.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::MetadataExt,
};

use twintap_abi::{FlowKey, Role};

use crate::{cgroup::Cgroup, probes::mapped, sys};

/// Socket states as `/proc/net/tcp` writes them.
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// The roles of all live connections in the network namespaces of the processes in `cgroups`.
///
/// What cannot be read is left out: the kernel programs then ask whether somebody listens.
pub fn of_live_sockets(cgroups: &[Cgroup]) -> Vec<(FlowKey, Role)> {
    let mut namespaces: HashMap<u64, u32> = HashMap::new();
    for process in cgroups.iter().flat_map(Cgroup::processes) {
        if let Ok(namespace) = fs::metadata(format!("/proc/{process}/ns/net")) {
            namespaces.entry(namespace.ino()).or_insert(process);
        }
    }
    namespaces
        .values()
        .flat_map(|&process| of_namespace(process))
        .collect()
}

fn of_namespace(process: u32) -> Vec<(FlowKey, Role)> {
    let cookie = File::open(format!("/proc/{process}/ns/net")).and_then(sys::netns_cookie);
    let Ok(cookie) = cookie else {
        return Vec::new();
    };
    let tables: Vec<String> = ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")).ok())
        .collect();
    let sockets: Vec<Socket> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(Socket::parse)
        .collect();
    roles(cookie, &sockets)
}

fn roles(netns_cookie: u64, sockets: &[Socket]) -> Vec<(FlowKey, Role)> {
    let listeners: HashSet<(IpAddr, u16)> = sockets
        .iter()
        .filter(|socket| socket.state == State::Listen)
        .map(|socket| socket.local)
        .collect();
    let listens = |(address, port): (IpAddr, u16)| {
        listeners.contains(&(address, port))
            || listeners.contains(&(Ipv6Addr::UNSPECIFIED.into(), port))
            || (address.is_ipv4() && listeners.contains(&(Ipv4Addr::UNSPECIFIED.into(), port)))
    };
    sockets
        .iter()
        .filter(|socket| socket.state == State::Established)
        .map(|socket| {
            let key = FlowKey {
                netns_cookie,
                local_address: mapped(socket.local.0),
                remote_address: mapped(socket.remote.0),
                local_port: socket.local.1,
                remote_port: socket.remote.1,
                reserved: 0,
            };
            let role = if listens(socket.local) {
                Role::Server
            } else {
                Role::Client
            };
            (key, role)
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Established,
    Listen,
}

/// A line of `/proc/net/tcp` or `tcp6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: State,
}

impl Socket {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = endpoint(fields.next()?)?;
        let remote = endpoint(fields.next()?)?;
        let state = match fields.next()? {
            ESTABLISHED => State::Established,
            LISTEN => State::Listen,
            _ => return None,
        };
        Some(Self {
            local,
            remote,
            state,
        })
    }
}

/// `0100007F:0050`: words of the address in the machine's order, the port as a number.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut octets = [0; 16];
    for (index, octets) in octets.chunks_exact_mut(4).enumerate() {
        let Some(word) = address.get(index * 8..index * 8 + 8) else {
            break;
        };
        octets.copy_from_slice(&u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
    }
    let address = match address.len() {
        8 => Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into(),
        32 => Ipv6Addr::from(octets).to_canonical(),
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use twintap_abi::Role;

    use super::{Socket, roles};

    const TABLE: &str = "\
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1 1
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 1 1
   3: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000200007F:C351 01 0:0 0:0 0 0 0 1
   4: 0100007F:C352 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 1 1";

    #[test]
    fn who_is_bound_where_somebody_listens_is_a_server() {
        let sockets: Vec<Socket> = TABLE.lines().filter_map(Socket::parse).collect();
        let found = roles(9, &sockets);
        let ports: Vec<_> = found
            .iter()
            .map(|(key, role)| (key.local_port, key.remote_port, *role))
            .collect();
        assert_eq!(
            ports,
            [
                (8080, 50_000, Role::Server),
                (50_000, 8080, Role::Client),
                (8080, 50_001, Role::Server),
            ]
        );
        assert_eq!(sockets[3].remote.0, IpAddr::from([127, 0, 0, 2]));
        assert_eq!(found[0].0.netns_cookie, 9);
    }
}
