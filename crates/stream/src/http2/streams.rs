//! The streams of a connection that are not over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::stream::Open;
use crate::event::{EventKind, Watermark};
use crate::flags::Flags;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::time::Timestamp;

/// So many streams are remembered that were over, where it can't be told from their numbers.
const MAX_OVER: usize = 32;

/// Of so many streams that are over the places are kept apart.
const MAX_PLACES: usize = 64;

/// Where a stream that is over was. Where a part of it comes again after a restart, its first
/// byte must come too: else the part would pass for a stream of its own.
#[derive(Clone, Copy, Debug)]
struct Places {
    /// The direction that the first byte is in.
    from: Direction,
    first: u64,
    /// Past where its last frame begins, in each direction; 0 where there is none.
    ends: Watermark,
}

impl Places {
    fn of(open: &Open) -> Places {
        Places {
            from: match open.id.from_response {
                true => Direction::Server,
                false => Direction::Client,
            },
            first: open.id.offset,
            ends: open.ends,
        }
    }

    /// True when a part of it comes again from `mark`.
    fn reaches(&self, mark: Watermark) -> bool {
        self.ends.client > mark.client || self.ends.server > mark.server
    }

    fn merge(&mut self, other: Places) {
        self.first = self.first.min(other.first);
        self.ends.client = self.ends.client.max(other.ends.client);
        self.ends.server = self.ends.server.max(other.ends.server);
    }
}

/// What a frame of a stream that is not open means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its number is higher than any before.
    Idle,
    /// It is over.
    Closed,
    /// It may have begun where nothing was seen.
    Unknown,
}

/// What there is only while streams are open.
#[derive(Debug, Default)]
struct Busy {
    open: BTreeMap<u32, Box<Open>>,
    /// Where the open ones begin in each direction.
    begun: [BTreeSet<(u64, u32)>; 2],
    /// Streams that are over, of which parts lie after what open ones need.
    places: Vec<Places>,
    cost: u64,
}

/// What is known of streams where something of the connection was missed.
#[derive(Debug)]
struct Doubt {
    /// The highest numbers, as in [`Streams`], when nothing had been missed yet: those up to them
    /// that are not open are over.
    sure: [u32; 2],
    /// Numbers of streams that were over lately.
    over: VecDeque<u32>,
    /// Since then streams are open whose end may be missing.
    open_since: Option<Timestamp>,
}

/// All streams of a connection. An idle connection takes little memory: most of what there is
/// to know is kept while it is needed.
#[derive(Debug, Default)]
pub(super) struct Streams {
    busy: Option<Box<Busy>>,
    doubt: Option<Box<Doubt>>,
    /// The highest numbers of streams begun by clients, and by servers.
    highest: [u32; 2],
    pub next_index: u32,
}

impl Streams {
    /// None yet, of a connection whose begin was seen.
    pub fn new(next_index: u32) -> Streams {
        Streams {
            next_index,
            ..Streams::default()
        }
    }

    pub fn len(&self) -> u64 {
        self.busy.as_ref().map_or(0, |busy| busy.open.len() as u64)
    }

    /// What they cost in memory.
    pub fn cost(&self) -> u64 {
        self.busy.as_ref().map_or(0, |busy| busy.cost)
    }

    pub fn get(&mut self, stream: u32) -> Option<&mut Open> {
        let busy = self.busy.as_mut()?;
        busy.open.get_mut(&stream).map(|open| &mut **open)
    }

    pub fn ids(&self) -> Vec<u32> {
        let busy = self.busy.iter();
        busy.flat_map(|busy| busy.open.keys().copied()).collect()
    }

    /// Those of the parity of `like` above `last`, up to `end`.
    pub fn ids_within(&self, last: u32, end: u32, like: u32) -> Vec<u32> {
        let first = last.saturating_add(1);
        let busy = self.busy.iter();
        busy.flat_map(|busy| busy.open.range(first..=end.max(first)))
            .map(|(stream, _)| *stream)
            .filter(|stream| stream % 2 == like)
            .collect()
    }

    /// The begin of both directions was seen, and nothing missed since.
    pub fn is_whole(&self) -> bool {
        self.doubt.is_none()
    }

    /// Something of the connection was missed.
    pub fn doubt(&mut self) {
        self.doubts();
    }

    fn doubts(&mut self) -> &mut Doubt {
        let sure = self.highest;
        self.doubt.get_or_insert_with(|| {
            Box::new(Doubt {
                sure,
                over: VecDeque::new(),
                open_since: None,
            })
        })
    }

    /// The ends of those that are open may be among what was missed until `now`.
    pub fn doubt_open_ones(&mut self, now: Timestamp) {
        self.doubts().open_since.get_or_insert(now);
    }

    /// Since when the ends of those that are open may have been missed.
    pub fn doubted_since(&self) -> Option<Timestamp> {
        self.doubt.as_ref()?.open_since
    }

    /// No end of those that are open was missed.
    pub fn settle_doubt(&mut self) {
        if let Some(doubt) = &mut self.doubt {
            doubt.open_since = None;
        }
    }

    /// Nothing was missed after all.
    pub fn trust(&mut self) {
        self.doubt = None;
    }

    /// What a stream that is not open is.
    pub fn standing(&self, stream: u32) -> Standing {
        if stream > self.highest[parity(stream)] {
            return Standing::Idle;
        }
        match &self.doubt {
            Some(doubt) if !doubt.knows(stream) => Standing::Unknown,
            _ => Standing::Closed,
        }
    }

    pub fn insert(&mut self, stream: u32, open: Open) {
        let highest = &mut self.highest[parity(stream)];
        *highest = stream.max(*highest);
        let busy = self.busy.get_or_insert_default();
        busy.cost += open.cost();
        busy.open.insert(stream, Box::new(open));
    }

    /// A byte of the stream is at `offset`; it is the first of its message in `direction` when
    /// none was seen before.
    pub fn begin(
        &mut self,
        stream: u32,
        direction: Direction,
        offset: u64,
        time: Timestamp,
        breaks: u32,
    ) {
        let Some(open) = self.get(stream) else {
            return;
        };
        if !open.progress(direction).is_begun {
            open.begin(direction, offset, time);
            open.progress_mut(direction).breaks = breaks;
        }
        self.touch(stream, direction, offset);
    }

    /// The stream needs what is at `offset`.
    pub fn touch(&mut self, stream: u32, direction: Direction, offset: u64) {
        let Some(busy) = &mut self.busy else {
            return;
        };
        let Some(open) = busy.open.get_mut(&stream) else {
            return;
        };
        match direction {
            Direction::Client => open.ends.client = offset.saturating_add(1),
            Direction::Server => open.ends.server = offset.saturating_add(1),
        }
        if open.begun[direction as usize].is_none() {
            open.begun[direction as usize] = Some(offset);
            busy.begun[direction as usize].insert((offset, stream));
        }
    }

    /// Counts what fields of the stream hold.
    pub fn hold(&mut self, stream: u32, bytes: usize) {
        if let Some(busy) = &mut self.busy
            && let Some(open) = busy.open.get_mut(&stream)
        {
            open.head_bytes += bytes as u64;
            busy.cost += bytes as u64;
        }
    }

    /// Emits the stream if it is over; `faults` are those of each direction.
    pub fn settle(&mut self, stream: u32, faults: [&Flags; 2], sink: &mut Sink<'_>) {
        let Some(busy) = &mut self.busy else {
            return;
        };
        let Some(open) = busy.take_over(stream) else {
            return;
        };
        if busy.open.is_empty() {
            self.busy = None;
        }
        if let Some(doubt) = &mut self.doubt {
            doubt.note(stream);
        }
        let exchange = open.into_exchange(self.next_index, faults, sink);
        self.next_index += 1;
        sink.event(EventKind::Exchange(Box::new(exchange)));
    }

    /// The oldest stream, where all of them cost more than `limit`.
    pub fn oldest_above(&self, limit: u64) -> Option<u32> {
        let busy = self.busy.as_ref().filter(|busy| busy.cost > limit)?;
        busy.open.first_key_value().map(|(stream, _)| *stream)
    }

    /// The least offsets that open streams need, and with them the streams of which a part comes
    /// again from there.
    pub fn watermark(&self, sides: Watermark) -> Watermark {
        match &self.busy {
            Some(busy) => busy.watermark(sides),
            None => sides,
        }
    }
}

impl Busy {
    /// Takes the stream out if it is over, and keeps its places where they are needed.
    fn take_over(&mut self, stream: u32) -> Option<Box<Open>> {
        if !self.open.get(&stream)?.is_over() {
            return None;
        }
        let open = self.open.remove(&stream)?;
        self.cost -= open.cost();
        for (begun, set) in open.begun.iter().zip(&mut self.begun) {
            if let Some(offset) = begun {
                set.remove(&(*offset, stream));
            }
        }
        self.keep_places(Places::of(&open));
        Some(open)
    }

    /// Keeps what the watermark needs of a stream that is over, in bounded memory: where it is
    /// too much, more comes again than has to.
    fn keep_places(&mut self, places: Places) {
        let end = Watermark {
            client: u64::MAX,
            server: u64::MAX,
        };
        self.places.push(places);
        let mark = self.watermark(end);
        self.places.retain(|places| places.reaches(mark));
        if self.places.len() > MAX_PLACES {
            let oldest = self.places.remove(0);
            let like = self
                .places
                .iter_mut()
                .find(|other| other.from == oldest.from);
            match like {
                Some(like) => like.merge(oldest),
                None => self.places.push(oldest),
            }
        }
    }

    fn watermark(&self, sides: Watermark) -> Watermark {
        let least = |direction: Direction, side: u64| {
            let first = self.begun[direction as usize].first();
            first.map_or(side, |(offset, _)| side.min(*offset))
        };
        let mut mark = Watermark {
            client: least(Direction::Client, sides.client),
            server: least(Direction::Server, sides.server),
        };
        let mut is_lower = true;
        while is_lower {
            is_lower = false;
            for places in &self.places {
                if places.first < mark.of(places.from) && places.reaches(mark) {
                    match places.from {
                        Direction::Client => mark.client = places.first,
                        Direction::Server => mark.server = places.first,
                    }
                    is_lower = true;
                }
            }
        }
        mark
    }
}

impl Doubt {
    /// True when a stream that is not open is over.
    fn knows(&self, stream: u32) -> bool {
        stream <= self.sure[parity(stream)] || self.over.contains(&stream)
    }

    fn note(&mut self, stream: u32) {
        if self.over.len() >= MAX_OVER {
            self.over.pop_front();
        }
        self.over.push_back(stream);
    }
}

/// 0 for streams that clients begin.
fn parity(stream: u32) -> usize {
    usize::from(stream.is_multiple_of(2))
}
