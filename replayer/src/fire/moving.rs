//! Addresses that change while a run fires.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a name leads, as whoever looks it up found last. Clones share it.
#[derive(Clone, Debug)]
pub struct Moving(Arc<Mutex<Option<SocketAddr>>>);

impl Moving {
    /// It leads here to begin with.
    pub fn new(address: SocketAddr) -> Moving {
        Moving(Arc::new(Mutex::new(Some(address))))
    }

    /// New connections go there; with `None` there are none, since where the name leads
    /// now must not be sent to.
    pub fn set(&self, address: Option<SocketAddr>) {
        *self.lock() = address;
    }

    /// Where new connections go.
    pub fn get(&self) -> Option<SocketAddr> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        // It is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Moving {
    fn eq(&self, other: &Moving) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Moving {}
