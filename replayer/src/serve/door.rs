//! Where clients come in: over TLS, or from this machine alone.

use std::future::Future;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::Router;

use super::tls::{self, Tls};

/// A listener, and who may come in.
pub(super) struct Door {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
}

impl Door {
    /// Listens; `flag` is what named the address on the command line.
    ///
    /// # Errors
    /// When the address can't be listened on, or would let anybody in: whoever reaches a
    /// daemon may steer it, so that off this machine it asks for certificates.
    pub(super) async fn open(flag: &str, listen: SocketAddr, tls: Option<&Tls>) -> Result<Door> {
        if tls.is_none() && !listen.ip().is_loopback() {
            bail!(
                "{flag} {listen} is no loopback address, so --tls-cert, --tls-key and --tls-client-ca are needed (`twintap certs` makes a set)"
            );
        }
        let acceptor = tls.map(Tls::acceptor).transpose()?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("listening on {listen}"))?;
        Ok(Door { listener, acceptor })
    }

    /// The address in use.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Lets clients in until `stopped`, and waits until they have left.
    pub(super) async fn serve(
        self,
        router: Router,
        stopped: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        match self.acceptor {
            Some(acceptor) => {
                let incoming = tls::incoming(self.listener, acceptor);
                router.serve_with_incoming_shutdown(incoming, stopped).await
            }
            None => {
                let incoming = TcpListenerStream::new(self.listener);
                router.serve_with_incoming_shutdown(incoming, stopped).await
            }
        }
    }
}
