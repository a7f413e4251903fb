//! Requests between being read and being fired.

use std::collections::VecDeque;

use twintap_verdict::observation::Twin;

use super::super::batches::ahead;
use super::super::control::index;
use super::super::source::{Loaded, LoadedOrNot};

/// The requests that are read and not yet out at both twins.
#[derive(Default)]
pub(super) struct Window {
    first: u32,
    places: VecDeque<Place>,
}

#[derive(Default)]
struct Place {
    loaded: Option<LoadedOrNot>,
    used: [bool; 2],
}

impl Window {
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

    /// A twin needs the request no more; gives the bytes freed by that.
    pub(super) fn used(&mut self, position: u32, twin: Twin) -> usize {
        let place = ahead(position, self.first);
        let Some(place) = place.and_then(|place| self.places.get_mut(place as usize)) else {
            return 0;
        };
        place.used[index(twin)] = true;
        if place.used != [true; 2] {
            return 0;
        }
        let freed = match place.loaded.take() {
            Some(Ok(loaded)) => loaded.held_bytes,
            _ => 0,
        };
        self.trim();
        freed
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
