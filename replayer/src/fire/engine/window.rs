//! Requests between being read and being fired.

use std::collections::VecDeque;

use super::super::batches::ahead;
use super::super::control::MOST_TWINS;
use super::super::source::{Loaded, LoadedOrNot};

/// The requests that are read and not yet out at all twins of a thread.
pub(super) struct Window {
    twins: usize,
    first: u32,
    places: VecDeque<Place>,
}

#[derive(Default)]
struct Place {
    loaded: Option<LoadedOrNot>,
    used: [bool; MOST_TWINS],
}

impl Window {
    /// For a thread that fires at so many twins.
    pub(super) fn new(twins: usize) -> Window {
        Window {
            twins,
            first: 0,
            places: VecDeque::new(),
        }
    }

    /// Requests that are here, about.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn put(&mut self, position: u32, loaded: LoadedOrNot) {
        if self.places.is_empty() {
            self.first = position;
        }
        let Some(place) = ahead(position, self.first) else {
            return;
        };
        while self.places.len() <= place as usize {
            self.places.push_back(Place::default());
        }
        self.places[place as usize].loaded = Some(loaded);
    }

    /// Whether the request is here, and if so, whether it could be read.
    pub(super) fn holds(&self, position: u32) -> Option<bool> {
        self.place(position)?.loaded.as_ref().map(Result::is_ok)
    }

    pub(super) fn get(&self, position: u32) -> Option<&Loaded> {
        self.place(position)?
            .loaded
            .as_ref()?
            .as_ref()
            .ok()
            .map(AsRef::as_ref)
    }

    /// A twin, by its place among the thread's, needs the request no more.
    pub(super) fn used(&mut self, position: u32, twin: usize) {
        let place = ahead(position, self.first);
        let Some(place) = place.and_then(|place| self.places.get_mut(place as usize)) else {
            return;
        };
        place.used[twin] = true;
        if place.used.iter().take(self.twins).all(|used| *used) {
            place.loaded = None;
            self.trim();
        }
    }

    /// Places before the first that is in use go.
    fn trim(&mut self) {
        while self
            .places
            .front()
            .is_some_and(|place| place.loaded.is_none())
        {
            self.places.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    fn place(&self, position: u32) -> Option<&Place> {
        self.places.get(ahead(position, self.first)? as usize)
    }
}
