//! TLS towards agents and people: who may speak, and telling why not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tracing::{debug, warn};

/// Certificates of a daemon that is reached over a network.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The daemon's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Who signs the certificates of agents and of people, PEM.
    pub client_ca: PathBuf,
}

/// Connections that wait to be served.
const READY: usize = 16;
/// How long a client has for the handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a refused client has to read why.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);
/// The pause after a failed accept, which is mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Tls {
    /// What shakes hands with clients: they need a certificate that `client_ca` signed.
    ///
    /// # Errors
    /// When a file can't be read, or is not what it has to be.
    pub fn acceptor(&self) -> Result<TlsAcceptor> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.client_ca)? {
            roots
                .add(certificate)
                .with_context(|| format!("the certificate in {}", self.client_ca.display()))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .with_context(|| format!("the certificates in {}", self.client_ca.display()))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("reading the key in {}", self.key.display()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("the versions of TLS")?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&self.certificate)?, key)
            .with_context(|| {
                format!(
                    "the certificate {} with the key {}",
                    self.certificate.display(),
                    self.key.display()
                )
            })?;
        config.alpn_protocols.push(b"h2".to_vec());
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .with_context(|| format!("reading the certificates in {}", path.display()))
}

/// The connections whose handshake succeeded. They shake hands side by side, so that
/// a client that says nothing keeps nobody waiting.
pub fn incoming(
    listener: TcpListener,
    acceptor: TlsAcceptor,
) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let (ready, connections) = mpsc::channel(READY);
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        warn!(%error, "a connection can't be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                // Nobody serves any more.
                () = ready.closed() => return,
            };
            let (acceptor, ready) = (acceptor.clone(), ready.clone());
            tokio::spawn(async move {
                if let Some(stream) = shake_hands(stream, &acceptor).await {
                    // The daemon may have ended meanwhile.
                    let _ = ready.send(Ok(stream)).await;
                }
            });
        }
    });
    ReceiverStream::new(connections)
}

async fn shake_hands(stream: TcpStream, acceptor: &TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    let peer = stream.peer_addr().ok();
    // An agent's frames are large and its marks small: neither gains by waiting.
    let _ = stream.set_nodelay(true);
    let handshake = acceptor.accept(stream).into_fallible();
    let (error, mut stream) = match timeout(HANDSHAKE_LIMIT, handshake).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(refused)) => refused,
        Err(_) => {
            debug!(?peer, "a client did not finish the TLS handshake");
            return None;
        }
    };
    if error.kind() == io::ErrorKind::InvalidData {
        warn!(
            "a client was refused by TLS: {error}; agents and `twintap ctl` need a certificate that the CA in --tls-client-ca signed"
        );
    }
    debug!(?peer, %error, "the TLS handshake failed");
    // What the client has sent already would, unread, reset the connection, and the
    // alert that tells it why would be lost.
    let _ = stream.shutdown().await;
    let _ = timeout(REFUSAL_LIMIT, async {
        let mut sink = [0; 4096];
        while matches!(stream.read(&mut sink).await, Ok(read) if read > 0) {}
    })
    .await;
    None
}
