//! Reading requests shortly before they are due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;
use twintap_plan::PlannedRequest;
use twintap_verdict::observation::Twin;

use super::batches::{Requests, ahead};
use super::clean::{WireForm, clean};
use super::control::TWINS;
use super::mailbox::Sender;
use super::options::Options;
use super::wire::{Edit, Recorded, Wire, WireError, assemble};

/// Where the requests of a plan come from.
pub trait RequestSource: Send {
    /// The request at `position`. They are asked for in the plan's order, each once
    /// at most.
    ///
    /// # Errors
    /// A text for people: the request counts as refused, and the run goes on.
    fn load(&mut self, position: u32) -> Result<Recorded, String>;
}

/// A request made ready as far as can be before its values are known.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) method: Bytes,
    pub(crate) wire: Unsent,
    /// It goes out in another form than it was recorded in.
    pub(crate) is_cleaned: bool,
    _held: Held,
}

/// Bytes of a request in memory, about, for as long as a firing thread needs it.
#[derive(Debug)]
struct Held {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    fn new(all: &Arc<AtomicUsize>, bytes: usize) -> Held {
        all.fetch_add(bytes, Ordering::Relaxed);
        Held {
            all: Arc::clone(all),
            bytes,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A request before a twin's values are in it.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "what has it is boxed, and the large one is the usual one"
)]
pub(crate) enum Unsent {
    /// No values are awaited: for each twin the bytes, and whether they differ from
    /// what was recorded.
    Final(OfTwins<(Result<Wire, WireError>, bool)>),
    /// With the edits, for each twin, that do not depend on its answers.
    Open(Box<Recorded>, OfTwins<Vec<Edit>>),
}

/// One for each of the run's twins; that of a second baseline alone needs more room.
pub(crate) type OfTwins<T> = SmallVec<[T; TWINS.len()]>;

/// What the loader sends on: the requests that are not skipped, in order, to each firing
/// thread.
pub(crate) type LoadedOrNot = Result<Arc<Loaded>, String>;

/// What the firing threads and the loader know of each other.
#[derive(Debug, Default)]
pub(crate) struct ReadAhead {
    held_bytes: Arc<AtomicUsize>,
    pub(crate) stop: AtomicBool,
    /// What comes before is needed no more, once there is one.
    pub(crate) first: AtomicU32,
    pub(crate) has_first: AtomicBool,
}

/// How long the loader rests when it is far enough ahead.
const REST: Duration = Duration::from_millis(2);

/// Reads ahead until the plan ends, the run stops, or nobody takes any more.
pub(crate) fn read_ahead<'a>(
    batches: impl Iterator<Item = Requests<'a>>,
    source: &mut dyn RequestSource,
    options: &Options,
    shared: &ReadAhead,
    loaded: &[Sender<(u32, LoadedOrNot)>],
) {
    for requests in batches {
        let is_wanted = read_batch(&requests, source, options, shared, loaded);
        if !is_wanted {
            return;
        }
    }
}

/// Reads a batch; says whether more is wanted.
fn read_batch(
    requests: &Requests<'_>,
    source: &mut dyn RequestSource,
    options: &Options,
    shared: &ReadAhead,
    loaded: &[Sender<(u32, LoadedOrNot)>],
) -> bool {
    let wanted = (0u32..).zip(requests.iter());
    for (place, request) in wanted.filter(|(_, request)| request.skip.is_none()) {
        let position = requests.first().wrapping_add(place);
        while shared.held_bytes.load(Ordering::Relaxed) > options.read_ahead_bytes {
            if shared.stop.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(REST);
        }
        let first = shared.first.load(Ordering::Relaxed);
        if shared.has_first.load(Ordering::Relaxed) && ahead(position, first).is_none() {
            continue;
        }
        if shared.stop.load(Ordering::Relaxed) {
            return false;
        }
        let result = source.load(position).map(|recorded| {
            let held = Held::new(&shared.held_bytes, recorded.held_bytes());
            Arc::new(prepare(recorded, request, options, held))
        });
        let mut is_wanted = false;
        for thread in loaded {
            is_wanted |= thread.send((position, result.clone()));
        }
        if !is_wanted {
            return false;
        }
    }
    true
}

fn prepare(
    mut recorded: Recorded,
    request: &PlannedRequest,
    options: &Options,
    held: Held,
) -> Loaded {
    recorded.pace(options.bodies, options.plan_speed);
    let is_cleaned = options.wire == WireForm::Clean && clean(&mut recorded);
    let edits = |twin: Twin| {
        let target = options.target(twin, request.service);
        let mut edits = options.rewrite.edits(&recorded.head, target);
        for edit in &recorded.edits {
            if !edits.iter().any(|other| other.meets(edit)) {
                edits.push(edit.clone());
            }
        }
        edits
    };
    let edits: OfTwins<Vec<Edit>> = options.twins().map(edits).collect();
    let method = recorded.head.method.clone();
    // What is said over a WebSocket follows the bytes.
    let wire = if request.bindings.is_empty() && recorded.script.is_none() {
        let mut wires: OfTwins<(Result<Wire, WireError>, bool)> = SmallVec::new();
        for (number, own) in edits.iter().enumerate() {
            let same = edits[..number].iter().position(|other| other == own);
            let wire = match same {
                Some(same) => wires[same].0.clone(),
                None => assemble(&recorded, own),
            };
            wires.push((wire, !own.is_empty()));
        }
        Unsent::Final(wires)
    } else {
        Unsent::Open(Box::new(recorded), edits)
    };
    Loaded {
        method,
        wire,
        is_cleaned,
        _held: held,
    }
}
