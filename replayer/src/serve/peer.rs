//! Who a client of control is.

use tonic::Request;

use crate::audit::Actor;

/// Whom the client's certificate names; without TLS, the user of this machine whose socket
/// it is.
pub(super) fn actor<T>(request: &Request<T>) -> Actor {
    if let Some(certificates) = request.peer_certs()
        && let Some(own) = certificates.first()
    {
        return Actor::of_certificate(own);
    }
    match (request.remote_addr(), request.local_addr()) {
        (Some(client), Some(server)) => Actor::of_loopback(client, server),
        _ => Actor::unknown(),
    }
}
