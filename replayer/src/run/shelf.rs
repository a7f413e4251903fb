//! Exchanges of an archive in about the order in which they were stored.
//!
//! Random access unpacks a block for each exchange. A run wants them in the order
//! of due times, which is nearly that of storing, so blocks are read one after the
//! other and kept for the little while until each of their exchanges is asked for.
//! Only then it is decoded, and only as far as it is wanted.

use std::collections::{HashMap, VecDeque};

use smallvec::SmallVec;
use twintap_archive::reader::{Block, Blocks, key_of};
use twintap_archive::{Reader, Result, StoredExchange};
use twintap_stream::ExchangeId;

/// What can be had of an exchange.
pub trait Wanted: From<StoredExchange> {
    /// Decodes it.
    ///
    /// # Errors
    /// When it is damaged.
    fn decode(block: &Block, place: usize) -> Result<Self>;

    /// The exchange's id.
    fn id(&self) -> &ExchangeId;
}

impl Wanted for StoredExchange {
    fn decode(block: &Block, place: usize) -> Result<StoredExchange> {
        block.get(place)
    }

    fn id(&self) -> &ExchangeId {
        self.id()
    }
}

/// The exchanges, to be taken in about the order of storing, as often as they are gone
/// through.
pub struct Shelf<'a> {
    reader: &'a Reader,
    rest: Blocks<'a>,
    is_at_end: bool,
    /// Where what was not taken yet stands, by the keys of the archive.
    places: HashMap<u32, SmallVec<[Place; 1]>>,
    /// The blocks that are held, in the order of reading; some are empty already.
    held: VecDeque<Option<Held>>,
    /// The number of the first of them.
    first: u64,
    held_bytes: usize,
    max_held_bytes: usize,
    /// How often each exchange is asked for before those after it.
    uses: usize,
}

#[derive(Clone, Copy)]
struct Place {
    block: u64,
    place: usize,
    uses_left: usize,
}

struct Held {
    block: Block,
    left: usize,
}

impl<'a> Shelf<'a> {
    /// Holds about `max_held_bytes` of blocks from which not all was asked for `uses` times.
    pub fn new(reader: &'a Reader, max_held_bytes: usize, uses: u32) -> Shelf<'a> {
        Shelf {
            reader,
            rest: reader.blocks(),
            is_at_end: false,
            places: HashMap::new(),
            held: VecDeque::new(),
            first: 0,
            held_bytes: 0,
            max_held_bytes,
            uses: uses.max(1) as usize,
        }
    }

    /// The exchange with this id, or that much of it.
    ///
    /// # Errors
    /// A text: it is not there, or can't be read.
    pub fn take<T: Wanted>(&mut self, id: &ExchangeId) -> std::result::Result<T, String> {
        loop {
            if let Some(found) = self.find(id) {
                return Ok(found);
            }
            if self.is_at_end || self.held_bytes > self.max_held_bytes {
                break;
            }
            match self.rest.next() {
                // A damaged place is met again by whoever asks for what was there.
                Some(Err(_)) => {}
                Some(Ok((block, _))) => self.hold(block),
                None => self.is_at_end = true,
            }
        }
        self.make_room();
        match self.reader.get(id) {
            Ok(Some(found)) => {
                // Who is at the end and asks for what is gone begins another round.
                if std::mem::take(&mut self.is_at_end) {
                    self.rest = self.reader.blocks();
                }
                Ok(found.into())
            }
            Ok(None) => Err(format!("exchange {id} is not in the archive")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Takes it out of what is held.
    fn find<T: Wanted>(&mut self, id: &ExchangeId) -> Option<T> {
        let key = key_of(id);
        let places = self.places.get_mut(&key)?;
        let (at, found) = places.iter().enumerate().find_map(|(at, place)| {
            let held = self.held.get((place.block - self.first) as usize)?;
            let found = T::decode(&held.as_ref()?.block, place.place).ok()?;
            (found.id() == id).then_some((at, found))
        })?;
        places[at].uses_left -= 1;
        if places[at].uses_left > 0 {
            return Some(found);
        }
        let place = places.swap_remove(at);
        if places.is_empty() {
            self.places.remove(&key);
        }
        let held = &mut self.held[(place.block - self.first) as usize];
        if let Some(block) = held {
            block.left -= 1;
            if block.left == 0 {
                self.held_bytes -= block.block.bytes();
                *held = None;
            }
        }
        while let Some(None) = self.held.front() {
            self.held.pop_front();
            self.first += 1;
        }
        Some(found)
    }

    fn hold(&mut self, block: Block) {
        let left = block.len();
        if left == 0 {
            return;
        }
        let number = self.first + self.held.len() as u64;
        for place in 0..left {
            let place = Place {
                block: number,
                place,
                uses_left: self.uses,
            };
            let key = block.key(place.place);
            self.places.entry(key).or_default().push(place);
        }
        self.held_bytes += block.bytes();
        self.held.push_back(Some(Held { block, left }));
    }

    /// What nobody asked for in a long time gives way, and can still be had one by
    /// one.
    fn make_room(&mut self) {
        while self.held_bytes > self.max_held_bytes / 2 {
            let Some(oldest) = self.held.pop_front() else {
                return;
            };
            let number = self.first;
            self.first += 1;
            let Some(Held { block, .. }) = oldest else {
                continue;
            };
            self.held_bytes -= block.bytes();
            for place in 0..block.len() {
                let key = block.key(place);
                if let Some(places) = self.places.get_mut(&key) {
                    places.retain(|place| place.block != number);
                    if places.is_empty() {
                        self.places.remove(&key);
                    }
                }
            }
        }
    }
}
