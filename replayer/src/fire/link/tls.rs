//! Whom TLS to a twin trusts, and as whom it speaks.

use std::fmt;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use thiserror::Error;

/// The protocol that a connection was recorded with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Speech {
    /// HTTP/1 (RFC 9112).
    #[default]
    Http1,
    /// HTTP/2 (RFC 9113): by prior knowledge over TCP, by ALPN over TLS.
    Http2,
    /// That of a database, which its target names: without TLS.
    Commands,
}

impl Speech {
    /// Its name in ALPN (RFC 7301, RFC 9113 section 3.2).
    pub fn alpn(self) -> &'static str {
        match self {
            Speech::Http1 => "http/1.1",
            Speech::Http2 => "h2",
            Speech::Commands => "",
        }
    }

    /// What is offered, the most wanted first. A twin that can't do HTTP/2 shall be
    /// able to say so.
    fn offers(self) -> Vec<Vec<u8>> {
        let both = [Speech::Http2, Speech::Http1].map(|speech| speech.alpn().into());
        match self {
            Speech::Http1 => both[1..].to_vec(),
            Speech::Http2 => both.to_vec(),
            Speech::Commands => Vec::new(),
        }
    }
}

/// How one twin is reached over TLS.
#[derive(Clone)]
pub struct Tls(Arc<Parts>);

struct Parts {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    server_name: ServerName<'static>,
}

/// What TLS is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of who signs the twin's, PEM; without it those of the system.
    pub roots: Option<PathBuf>,
    /// The client's certificate chain and its key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Why no TLS can be made.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file can't be read, or has nothing of what it should.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system has no certificates to trust.
    #[error("the system has no root certificates; name some: `roots: FILE`")]
    NoRoots,
    /// The name is none that a certificate could have.
    #[error("{0:?} is no name of a server")]
    ServerName(String),
    /// Certificate and key do not belong together, or can't be used.
    #[error("the client's certificate and key: {0}")]
    Client(rustls::Error),
}

impl Tls {
    /// TLS with a twin whose certificate must be for `server_name`.
    ///
    /// # Errors
    /// When a file is not what it should be.
    pub fn new(files: &TlsFiles, server_name: &str) -> Result<Tls, TlsError> {
        let plain = server_name.trim_start_matches('[').trim_end_matches(']');
        let server_name = ServerName::try_from(plain.to_owned())
            .map_err(|_| TlsError::ServerName(server_name.to_owned()))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of TLS 1.2 and 1.3")
            .with_root_certificates(roots(files.roots.as_deref())?);
        let mut config = match &files.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key = private_key(key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(TlsError::Client)?
            }
        };
        // Early data would go out before the handshake that a recorded client waited for.
        config.enable_early_data = false;
        let speaking = |speech: Speech| {
            let mut config = config.clone();
            config.alpn_protocols = speech.offers();
            Arc::new(config)
        };
        Ok(Tls(Arc::new(Parts {
            http1: speaking(Speech::Http1),
            http2: speaking(Speech::Http2),
            server_name,
        })))
    }

    /// A session that blocks as `socket` does, in which HTTP/1 is spoken.
    ///
    /// # Errors
    /// When none can be begun. What the twin does shows in reading and writing.
    pub fn blocking(
        &self,
        socket: TcpStream,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, rustls::Error> {
        let config = self.config(Speech::Http1);
        let connection = ClientConnection::new(config, self.server_name())?;
        Ok(StreamOwned::new(connection, socket))
    }

    /// For a connection that speaks so.
    pub(crate) fn config(&self, speech: Speech) -> Arc<ClientConfig> {
        Arc::clone(match speech {
            Speech::Http1 | Speech::Commands => &self.0.http1,
            Speech::Http2 => &self.0.http2,
        })
    }

    /// The name that the twin's certificate must have.
    pub(crate) fn server_name(&self) -> ServerName<'static> {
        self.0.server_name.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.server_name).finish()
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Tls) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tls {}

fn roots(path: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match path {
        Some(path) => {
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| file_error(path, &error))?;
            }
        }
        None => {
            // What of the system's certificates can't be read is not trusted.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots);
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = fs::read(path).map_err(|error| file_error(path, &error))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| file_error(path, &error))?;
    if certificates.is_empty() {
        return Err(file_error(path, &"no certificate is in it"));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = fs::read(path).map_err(|error| file_error(path, &error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| file_error(path, &error))
}

fn file_error(path: &Path, reason: &dyn fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
