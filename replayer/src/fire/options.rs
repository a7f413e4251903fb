//! What a run may do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use twintap_plan::Pace;
use twintap_verdict::observation::Twin;

use super::capture::DigestMaker;
use super::clean::WireForm;
use super::control::{TWINS, index};
use super::link::tls::Tls;
use super::login::Login;
use super::moving::Moving;
use super::rewrite::Rewrite;
use super::websocket::Extract;
use super::wire::BodyPace;

/// Where a twin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address, or what it was to begin with.
    pub address: SocketAddr,
    /// Where it is now, if it may move.
    pub moving: Option<Moving>,
    /// `host:port` as the run file has it.
    pub authority: String,
    /// How TLS is spoken with it; without it there is none.
    pub tls: Option<Tls>,
    /// As whom to log in, where it is a database.
    pub login: Option<Login>,
}

impl Target {
    /// A target that is reached over plain TCP.
    pub fn plain(address: SocketAddr, authority: String) -> Target {
        Target {
            address,
            moving: None,
            authority,
            tls: None,
            login: None,
        }
    }

    /// Where new connections go; nowhere while that must not be sent to.
    pub fn current(&self) -> Option<SocketAddr> {
        match &self.moving {
            Some(moving) => moving.get(),
            None => Some(self.address),
        }
    }

    /// Its origin (RFC 6454, section 6.2).
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

/// Where a second baseline listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondTargets {
    /// It itself.
    pub own: Target,
    /// Its services, as many as the other twins have.
    pub services: Vec<Target>,
}

/// What becomes of the schedule while a twin is down, where the plan grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenDown {
    /// It stands still, and the lag grows.
    #[default]
    Wait,
    /// What is due is not fired, and counts as `twin_down`.
    Skip,
    /// The sessions of what is due are not gone on with, and count as `shed`.
    Shed,
}

/// Limits and habits of firing.
#[derive(Clone)]
pub struct Options {
    /// The candidate and the baseline, in this order.
    pub targets: [Target; 2],
    /// What else they have, each at both: what a plan's requests name as service 1 and on.
    pub services: Vec<[Target; 2]>,
    /// The second baseline, if there is one, and its services.
    pub second_baseline: Option<Arc<SecondTargets>>,
    /// What is changed in every request.
    pub rewrite: Rewrite,
    /// In which form requests of HTTP/1 go out.
    pub wire: WireForm,
    /// Which bodies are sent with their recorded pauses.
    pub bodies: BodyPace,
    /// When the plan's requests are due.
    pub pace: Pace,
    /// How many times faster than recorded the plan's due times are already.
    pub plan_speed: f64,
    /// Run time before the plan's time begins.
    pub lead: Duration,
    /// Where the plan grows: it does so without end and by rounds, so that no flow goes on
    /// in a later batch.
    pub flows_end: bool,
    /// What becomes of the schedule while a twin is down.
    pub when_down: WhenDown,
    /// Requests that use values of one that was passed over are skipped as
    /// `unbound`, not fired with the recorded ones.
    pub skip_unbound: bool,
    /// The longest that a request waits for its dependencies after it is due, at the
    /// recorded pace; at another one it waits as long as these take.
    pub wait: Duration,
    /// From handing a request to its connection to the answer's last byte.
    pub response_timeout: Duration,
    /// The longest that a connection may take to open.
    pub connect_timeout: Duration,
    /// How long before its first request is due a flow's connection opens.
    pub connect_ahead: Duration,
    /// How long a stopped run waits for what is in flight.
    pub stop_grace: Duration,
    /// Requests in flight at one twin; at the recorded pace more are refused, at
    /// another one they are held back.
    pub max_in_flight: usize,
    /// Connections open to one twin; requests that need more are refused.
    pub max_connections: usize,
    /// The largest answer body that is held for comparison.
    pub max_body_bytes: usize,
    /// Bytes of answers that wait for their comparison. Beyond it bodies are kept
    /// as digests; beyond twice as much, requests are refused.
    pub capture_bytes: usize,
    /// Bytes of requests read ahead of their due times.
    pub read_ahead_bytes: usize,
    /// Threads that fire: one for the candidate and one for the baselines, or one for all.
    pub threads: usize,
    /// Whether idle processors stay awake while the run fires, where that is allowed.
    pub stay_awake: bool,
    /// Whether its threads go before others that want a processor; else they are where the
    /// calling thread is.
    pub goes_first: bool,
    /// The longest spin before a due time.
    pub max_spin: Duration,
    /// Digests for bodies that are not held.
    pub digest: Option<DigestMaker>,
    /// Finds values in what twins say over WebSockets, for what is said after it.
    pub extract: Option<Extract>,
}

impl Options {
    /// Whether nothing is due by the clock alone, so that what finds no room waits.
    pub(crate) fn holds_back(&self) -> bool {
        self.pace != Pace::Recorded
    }

    /// The twins that are fired at.
    pub(crate) fn twins(&self) -> impl Iterator<Item = Twin> + Clone + use<> {
        let second = self.second_baseline.as_ref();
        TWINS
            .into_iter()
            .chain(second.map(|_| Twin::SecondBaseline))
    }

    /// Where a twin has the service that a plan names so; one that the run has not is the
    /// default one.
    pub(crate) fn target(&self, twin: Twin, service: u16) -> &Target {
        let number = usize::from(service).checked_sub(1);
        if let (Twin::SecondBaseline, Some(second)) = (twin, &self.second_baseline) {
            let known = number.and_then(|number| second.services.get(number));
            return known.unwrap_or(&second.own);
        }
        let known = number.and_then(|number| self.services.get(number));
        // Without a second baseline nobody asks for it.
        &known.unwrap_or(&self.targets)[index(twin).min(1)]
    }

    /// The usual ones.
    pub fn new(candidate: Target, baseline: Target) -> Options {
        Options {
            targets: [candidate, baseline],
            services: Vec::new(),
            second_baseline: None,
            rewrite: Rewrite::default(),
            wire: WireForm::default(),
            bodies: BodyPace::default(),
            pace: Pace::Recorded,
            plan_speed: 1.0,
            lead: Duration::ZERO,
            flows_end: false,
            when_down: WhenDown::default(),
            skip_unbound: true,
            wait: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            connect_ahead: Duration::from_millis(100),
            stop_grace: Duration::from_secs(5),
            max_in_flight: 10_000,
            max_connections: 10_000,
            max_body_bytes: 4 << 20,
            capture_bytes: 256 << 20,
            read_ahead_bytes: 64 << 20,
            threads: 2,
            stay_awake: false,
            goes_first: true,
            max_spin: Duration::from_micros(60),
            digest: None,
            extract: None,
        }
    }
}
