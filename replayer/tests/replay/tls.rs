//! Firing over TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tonic::transport::Identity;
use twintap_replayer::fire::{RunControl, Target, Tls, TlsFiles};
use twintap_replayer::run::RunFile;
use twintap_verdict::Verdict;

use crate::run::{run, shop_in_archive, shopkeeper};
use crate::script::{Run, Script, recorded, request};
use crate::twins::{Reply, TwinServer};

/// Someone who signs certificates, and one for a server and one for a client.
pub struct Authority {
    directory: TempDir,
}

impl Authority {
    /// Signs a server's certificate for these names.
    pub fn new(names: &[&str]) -> Authority {
        let directory = TempDir::new().expect("a temporary directory");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "who signs");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("sound parameters");
        let issuer = Issuer::new(params, key);
        let authority = Authority { directory };
        authority.write("ca.pem", &certificate.pem());
        for (place, names) in [("server", names), ("client", &["client"][..])] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(names).expect("names");
            let certificate = params.signed_by(&key, &issuer).expect("an issuer");
            authority.write(&format!("{place}.pem"), &certificate.pem());
            authority.write(&format!("{place}.key"), &key.serialize_pem());
        }
        authority
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a directory to write to");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn certificates(&self, name: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(self.path(name))
            .and_then(Iterator::collect)
            .expect("certificates")
    }

    fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.path(name)).expect("a key")
    }

    /// A server that knows its clients by their certificates, if it should, and
    /// speaks one of these protocols.
    pub fn server(&self, knows_clients: bool, protocols: &[&str]) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS");
        let builder = if knows_clients {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(self.certificates("ca.pem"));
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("roots"))
        } else {
            builder.with_no_client_auth()
        };
        let chain = self.certificates("server.pem");
        let mut config = builder
            .with_single_cert(chain, self.key("server.key"))
            .expect("a certificate with its key");
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        config
    }

    /// The server's certificate and key.
    pub fn identity(&self) -> Identity {
        let read = |name| fs::read(self.path(name)).expect("a file");
        Identity::from_pem(read("server.pem"), read("server.key"))
    }

    /// How a run speaks TLS that trusts this authority.
    pub fn client(&self, server_name: &str, with_certificate: bool) -> Tls {
        let certificate = (self.path("client.pem"), self.path("client.key"));
        let files = TlsFiles {
            roots: Some(self.path("ca.pem")),
            client: with_certificate.then_some(certificate),
        };
        Tls::new(&files, server_name).expect("sound files")
    }
}

/// Fires at a candidate with TLS and a baseline without.
fn fire(script: &Script, candidate: ServerConfig, tls: &Tls) -> (Run, [TwinServer; 2]) {
    let twins = [Some(Arc::new(candidate)), None]
        .map(|config| TwinServer::start_with(config, |_| Reply::ok()));
    let control = RunControl::new().expect("an eventfd");
    let run = script.fire_with(&twins, &control, |options| {
        options.targets[0].tls = Some(tls.clone());
    });
    (run, twins)
}

#[track_caller]
fn check_failure(run: &Run) {
    assert_eq!(run.candidate(), ["tls_failed"]);
    assert_eq!(run.baseline(), ["200"]);
}

/// One request, with a body that takes many records of TLS.
fn large_request() -> Script {
    let mut script = Script::default();
    let body = "x".repeat(300_000);
    let fields = [("hOST", "shop"), ("Content-Length", "300000")];
    script.add(request(0, 0), recorded("POST", "/a", &fields, &body));
    script
}

/// The name that a client asks for, and the protocols that it offers.
type Hello = (Option<String>, Vec<String>);

/// Notes what clients ask for.
#[derive(Debug)]
struct Names {
    asked: Arc<Mutex<Vec<Hello>>>,
    key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let protocols = hello.alpn().into_iter().flatten();
        let protocols = protocols.map(|name| String::from_utf8_lossy(name).into_owned());
        let name = hello.server_name().map(str::to_owned);
        let mut asked = self.asked.lock().expect("no thread failed");
        asked.push((name, protocols.collect()));
        Some(Arc::clone(&self.key))
    }
}

#[test]
fn requests_arrive_as_recorded_under_the_asked_name() {
    let authority = Authority::new(&["shop.example"]);
    let asked = Arc::default();
    let provider = ring::default_provider();
    let chain = authority.certificates("server.pem");
    let key = CertifiedKey::from_der(chain, authority.key("server.key"), &provider);
    let mut server = authority.server(false, &["http/1.1"]);
    server.cert_resolver = Arc::new(Names {
        asked: Arc::clone(&asked),
        key: Arc::new(key.expect("a certificate with its key")),
    });
    let mut script = large_request();
    script.get(1, 0, "/b");
    let (run, twins) = fire(&script, server, &authority.client("shop.example", false));
    assert_eq!(run.candidate(), ["200", "200"]);
    assert_eq!(run.summary.candidate.connections, 1);
    assert_eq!(twins[0].received(), twins[1].received());
    let sent = twins[0].received()[0].len() as u64;
    assert_eq!(run.summary.candidate.sent_bytes, sent);
    let asked = asked.lock().expect("no thread failed").clone();
    let expected = (Some("shop.example".to_owned()), vec!["http/1.1".to_owned()]);
    assert_eq!(asked, [expected]);
}

#[test]
fn large_answers_come_whole() {
    let authority = Authority::new(&["shop"]);
    let body = "y".repeat(1_000_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{body}");
    let config = Arc::new(authority.server(false, &[]));
    let twins = [Some(config), None].map(|config| {
        let answer = answer.clone();
        TwinServer::start_with(config, move |_| Reply::Text(answer.clone()))
    });
    let mut script = Script::default();
    script.get(0, 0, "/");
    let control = RunControl::new().expect("an eventfd");
    let run = script.fire_with(&twins, &control, |options| {
        options.targets[0].tls = Some(authority.client("shop", false));
    });
    let [candidate, baseline] = run.summaries();
    assert_eq!(candidate.ledger.answered, 1);
    assert_eq!(candidate.received_bytes, baseline.received_bytes);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_an_outcome() {
    let (trusted, other) = (Authority::new(&["shop"]), Authority::new(&["shop"]));
    let server = other.server(false, &[]);
    let (run, _twins) = fire(&large_request(), server, &trusted.client("shop", false));
    check_failure(&run);
    assert_eq!(run.summary.candidate.ledger.errored["tls_failed"], 1);
}

#[test]
fn a_certificate_for_another_name_is_an_outcome() {
    let authority = Authority::new(&["shop"]);
    let server = authority.server(false, &[]);
    let (run, _twins) = fire(&large_request(), server, &authority.client("bank", false));
    check_failure(&run);
}

#[test]
fn a_twin_asks_for_the_clients_certificate() {
    let authority = Authority::new(&["shop"]);
    let server = authority.server(true, &[]);
    let (run, _twins) = fire(&large_request(), server, &authority.client("shop", true));
    assert_eq!(run.candidate(), ["200"]);
    let server = authority.server(true, &[]);
    let (run, _twins) = fire(&large_request(), server, &authority.client("shop", false));
    check_failure(&run);
}

#[test]
fn a_twin_without_tls_is_an_outcome() {
    let authority = Authority::new(&["shop"]);
    let twins = [(); 2].map(|()| TwinServer::start(|_| Reply::ok()));
    let mut script = Script::default();
    script.get(0, 0, "/");
    let control = RunControl::new().expect("an eventfd");
    let run = script.fire_with(&twins, &control, |options| {
        options.targets[0] = Target {
            tls: Some(authority.client("shop", false)),
            ..options.targets[0].clone()
        };
        options.connect_timeout = std::time::Duration::from_millis(500);
    });
    // The twin waits for the end of what it takes for a head.
    assert_eq!(run.candidate(), ["timeout"]);
    assert_eq!(run.baseline(), ["200"]);
}

fn run_file(directory: &Path, twins: &[TwinServer; 2], authority: &Authority) -> RunFile {
    let [candidate, baseline] = twins.each_ref().map(|twin| twin.address);
    let certificates = authority.path("");
    let text = format!(
        "version: 1\narchive: archive\noutput: results\ntargets:\n  candidate:\n    \
         address: https://{candidate}\n    tls: {{roots: {roots}, server_name: shop}}\n    \
         health: {{request: \"GET https://{candidate}/orders\", timeout: 5s}}\n  \
         baseline:\n    address: {baseline}\nallow: [\"{candidate}\", \"{baseline}\"]\n",
        roots = certificates.join("ca.pem").display(),
    );
    let path = directory.join("shop.yaml");
    fs::write(&path, text).expect("a directory to write to");
    RunFile::read(&path).expect("a sound run file")
}

#[test]
fn a_run_file_reaches_a_twin_over_tls() {
    let directory = shop_in_archive();
    let authority = Authority::new(&["shop"]);
    let config = Arc::new(authority.server(false, &["http/1.1"]));
    let shop = shopkeeper("cand", 5);
    let candidate = TwinServer::start_with(Some(config), move |seen| match seen.line.as_str() {
        "GET /orders HTTP/1.1" => {
            Reply::Close("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned())
        }
        _ => shop(seen),
    });
    let twins = [candidate, TwinServer::start(shopkeeper("base", 5))];
    let file = run_file(directory.path(), &twins, &authority);
    let report = run(&file).expect("a run");
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
}
