//! Who did it.

use std::fs;
use std::net::SocketAddr;

use procfs::process::Process;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::keys::hex;

/// The login uid of processes that nobody logged in for.
const NO_LOGIN: u32 = u32::MAX;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A user of this machine.
    Local {
        /// The user's number; unknown where a client had gone before it was looked up.
        #[serde(skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// The name that /etc/passwd has for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// Who logged in, where the kernel knows: `sudo` does not change it.
        #[serde(skip_serializing_if = "Option::is_none")]
        login_uid: Option<u32>,
        /// The machine's name.
        host: String,
    },
    /// Whoever holds the key of a certificate that the client CA signed.
    Certificate {
        /// Its subject; absent where it can't be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// Its alternative names: DNS, URI, e-mail, IP address.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        names: Vec<String>,
        /// SHA-256 of the certificate, in hexadecimal digits.
        fingerprint: String,
    },
}

impl Actor {
    /// The user that this process runs as.
    pub fn own() -> Actor {
        let login = Process::myself().and_then(|process| process.loginuid());
        let login = login.ok().filter(|&uid| uid != NO_LOGIN);
        Actor::local(Some(rustix::process::geteuid().as_raw()), login)
    }

    /// The user whose socket at `client` is connected to `server`, both on this machine.
    pub fn of_loopback(client: SocketAddr, server: SocketAddr) -> Actor {
        let entries = [procfs::net::tcp(), procfs::net::tcp6()];
        let mut entries = entries.into_iter().flatten().flatten();
        let socket =
            entries.find(|entry| (entry.local_address, entry.remote_address) == (client, server));
        Actor::local(socket.map(|socket| socket.uid), None)
    }

    /// Somebody of this machine, nobody knows who.
    pub fn unknown() -> Actor {
        Actor::local(None, None)
    }

    /// Whom a certificate names, which TLS took for one.
    pub fn of_certificate(der: &[u8]) -> Actor {
        let certificate = X509Certificate::from_der(der).ok().map(|(_, read)| read);
        let extensions = certificate.iter().flat_map(|read| read.extensions());
        let names = extensions.flat_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => names.general_names.as_slice(),
            _ => &[],
        });
        Actor::Certificate {
            subject: certificate.as_ref().map(|read| read.subject().to_string()),
            names: names.filter_map(name).collect(),
            fingerprint: hex(digest(&SHA256, der).as_ref()),
        }
    }

    fn local(uid: Option<u32>, login_uid: Option<u32>) -> Actor {
        let uname = rustix::system::uname();
        Actor::Local {
            uid,
            user: uid.and_then(user_name),
            login_uid,
            host: uname.nodename().to_string_lossy().into_owned(),
        }
    }

    /// In a few words, for people.
    pub fn text(&self) -> String {
        match self {
            Actor::Local {
                user: Some(user),
                host,
                ..
            } => format!("{user}@{host}"),
            Actor::Local {
                uid: Some(uid),
                host,
                ..
            } => format!("uid {uid}@{host}"),
            Actor::Local { host, .. } => format!("somebody@{host}"),
            Actor::Certificate {
                subject: Some(subject),
                ..
            } => subject.clone(),
            Actor::Certificate { fingerprint, .. } => fingerprint.clone(),
        }
    }
}

fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            Err(_) => {
                let v6 = <[u8; 16]>::try_from(*bytes).ok()?;
                Some(std::net::Ipv6Addr::from(v6).to_string())
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_names_its_holder() {
        let names = ["ops.example".to_owned(), "10.0.0.7".to_owned()];
        let mut params = CertificateParams::new(names.clone()).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "dana");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let actor = Actor::of_certificate(certificate.der());
        let Actor::Certificate {
            subject,
            names: found,
            fingerprint,
        } = actor
        else {
            panic!("{actor:?}");
        };
        assert_eq!(
            (subject.as_deref(), &found[..]),
            (Some("CN=dana"), &names[..])
        );
        assert_eq!(fingerprint.len(), 64);
    }

    #[test]
    fn who_connects_on_this_machine_is_found_by_the_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = listener.local_addr().expect("an address");
        let client = TcpStream::connect(server).expect("a connection");
        let actor = Actor::of_loopback(client.local_addr().expect("an address"), server);
        let Actor::Local { uid, .. } = actor else {
            panic!("{actor:?}");
        };
        assert_eq!(uid, Some(rustix::process::geteuid().as_raw()));
        let nobody = Actor::of_loopback(server, server);
        assert_eq!(nobody, Actor::unknown());
    }
}
