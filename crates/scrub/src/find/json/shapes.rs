//! The shape of a JSON text: the names that its objects have, each learnt once.
//!
//! Objects of one array are alike: a name most often comes after the one that it came after
//! before, and then one comparison finds all that is known of it.

use std::borrow::Cow;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::names;
use crate::policy::Ruled;

/// Most texts have fewer places.
const COMMON: usize = 14;

/// A place in the shape; array indices don't count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlaceId(u32);

impl PlaceId {
    /// The whole text.
    pub(super) const ROOT: PlaceId = PlaceId(0);
}

/// The places of one text that were met so far.
pub(super) struct Shapes<'a> {
    places: Vec<Place<'a>>,
    /// Those that have a name.
    named: HashTable<PlaceId>,
    random: RandomState,
    objects: u32,
}

pub(super) struct Place<'a> {
    name: Cow<'a, str>,
    /// False for a name that is the step of a pointer by itself.
    has_token: bool,
    parent: PlaceId,
    /// Where values of names lie that may be values, and where elements do. The root is inside of
    /// nothing: it stands for none, here and below.
    odd: PlaceId,
    element: PlaceId,
    /// What came first in the object here, and after this in its own object, when last seen.
    first: PlaceId,
    next: PlaceId,
    /// The object that had this member last, and how often.
    object: u32,
    count: u32,
    pub(super) ruled: Ruled,
}

/// An object that is being read.
pub(super) struct Object {
    at: PlaceId,
    number: u32,
    last: Option<PlaceId>,
}

impl Place<'_> {
    /// The step of a pointer to it from the object that it is a member of.
    pub(super) fn token(&self) -> Cow<'_, str> {
        match self.has_token {
            true => super::token(&self.name),
            false => Cow::Borrowed(&self.name),
        }
    }
}

impl<'a> Shapes<'a> {
    pub(super) fn new() -> Shapes<'a> {
        let mut shapes = Shapes {
            places: Vec::with_capacity(COMMON),
            named: HashTable::with_capacity(COMMON),
            random: RandomState::default(),
            objects: 0,
        };
        shapes.add(PlaceId::ROOT, "".into());
        shapes
    }

    pub(super) fn place(&self, id: PlaceId) -> &Place<'a> {
        &self.places[id.0 as usize]
    }

    /// Begins an object.
    pub(super) fn object(&mut self, at: PlaceId) -> Object {
        self.objects += 1;
        Object {
            at,
            number: self.objects,
            last: None,
        }
    }

    /// The place of elements of the array at `at`.
    pub(super) fn element(&mut self, at: PlaceId) -> PlaceId {
        if self.place(at).element == PlaceId::ROOT {
            let new = self.add(at, "".into());
            self.of(at).element = new;
        }
        self.place(at).element
    }

    /// The place of members whose names may be values.
    pub(super) fn odd(&mut self, at: &Object) -> PlaceId {
        if self.place(at.at).odd == PlaceId::ROOT {
            let new = self.add(at.at, "".into());
            self.of(at.at).odd = new;
        }
        self.place(at.at).odd
    }

    /// The next member of an object, where it is the one that came next when last seen.
    /// `written` is its name as it is written: escapes are in no name that is known.
    pub(super) fn expected(&mut self, object: &mut Object, written: &[u8]) -> Option<PlaceId> {
        let id = match object.last {
            Some(last) => self.place(last).next,
            None => self.place(object.at).first,
        };
        let is_it = id != PlaceId::ROOT && self.place(id).name.as_bytes() == written;
        is_it.then(|| {
            object.last = Some(id);
            id
        })
    }

    /// The member of an object with this name; the name, where it may be a value.
    pub(super) fn member(
        &mut self,
        object: &mut Object,
        name: Cow<'a, str>,
    ) -> Result<PlaceId, Cow<'a, str>> {
        let hash = self.random.hash_one((object.at.0, &*name));
        let places = &self.places;
        let is_it = |id: &PlaceId| {
            let place = &places[id.0 as usize];
            place.parent == object.at && place.name == name
        };
        let id = match self.named.find(hash, is_it) {
            Some(known) => *known,
            None if name.is_empty() || names::is_structural(&name) => {
                self.add_named(object.at, name, hash)
            }
            None => return Err(name),
        };
        match object.last {
            Some(last) => self.of(last).next = id,
            None => self.of(object.at).first = id,
        }
        object.last = Some(id);
        Ok(id)
    }

    /// How often the object had this member before.
    pub(super) fn repeats(&mut self, object: &Object, member: PlaceId) -> u32 {
        let number = object.number;
        let place = self.of(member);
        if place.object != number {
            (place.object, place.count) = (number, 0);
        }
        let before = place.count;
        place.count = before.saturating_add(1);
        before
    }

    fn add_named(&mut self, parent: PlaceId, name: Cow<'a, str>, hash: u64) -> PlaceId {
        let id = self.add(parent, name);
        let (places, random) = (&self.places, &self.random);
        self.named.insert_unique(hash, id, |id| {
            let place = &places[id.0 as usize];
            random.hash_one((place.parent.0, &*place.name))
        });
        id
    }

    fn add(&mut self, parent: PlaceId, name: Cow<'a, str>) -> PlaceId {
        // A text has fewer names and objects than bytes, and those are fewer than 4 GiB.
        let id = PlaceId(self.places.len() as u32);
        self.places.push(Place {
            has_token: matches!(super::token(&name), Cow::Owned(_)),
            name,
            parent,
            odd: PlaceId::ROOT,
            element: PlaceId::ROOT,
            first: PlaceId::ROOT,
            next: PlaceId::ROOT,
            object: 0,
            count: 0,
            ruled: Ruled::default(),
        });
        id
    }

    fn of(&mut self, id: PlaceId) -> &mut Place<'a> {
        &mut self.places[id.0 as usize]
    }
}
