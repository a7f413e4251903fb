//! What a capture came from.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use twintap_archive::Checkpoint;

/// What the capture came from: no run may send there.
#[derive(Clone, Debug, Default)]
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
    pub(super) fn why(&self, address: SocketAddr) -> Option<String> {
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
