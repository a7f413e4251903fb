//! Things under keys that are never used twice.

/// Names one thing that was put in, even after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    index: u32,
    life: u32,
}

impl Key {
    /// The key as a number below 2^62.
    pub(crate) fn to_u64(self) -> u64 {
        u64::from(self.life) << 32 | u64::from(self.index)
    }

    /// The key that [`to_u64`](Self::to_u64) gave.
    pub(crate) fn from_u64(number: u64) -> Key {
        Key {
            index: number as u32,
            life: (number >> 32) as u32,
        }
    }
}

/// A table whose places are used again under new keys.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// The key that the next [`insert`](Self::insert) gives.
    pub(crate) fn next_key(&self) -> Key {
        match self.free.last() {
            Some(&index) => Key {
                index,
                life: self.places[index as usize].0,
            },
            None => Key {
                // File descriptors run out long before 2^32 places are taken.
                index: self.places.len() as u32,
                life: 0,
            },
        }
    }

    pub(crate) fn insert(&mut self, thing: T) -> Key {
        let key = self.next_key();
        match self.free.pop() {
            Some(index) => self.places[index as usize].1 = Some(thing),
            None => self.places.push((0, Some(thing))),
        }
        key
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.places.get_mut(key.index as usize) {
            Some((life, thing)) if *life == key.life => thing.as_mut(),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let (life, thing) = self.places.get_mut(key.index as usize)?;
        if *life != key.life {
            return None;
        }
        let thing = thing.take()?;
        *life = (*life + 1) & 0x3fff_ffff;
        self.free.push(key.index);
        Some(thing)
    }

    /// The keys of all things.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let places = (0u32..).zip(&self.places);
        places
            .filter(|(_, (_, thing))| thing.is_some())
            .map(|(index, (life, _))| Key { index, life: *life })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_finds_nothing() {
        let mut slots = Slots::new();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        assert_eq!(slots.len(), 0);
        let second = slots.insert("second");
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut "second"));
        assert_eq!(slots.keys(), [second]);
        assert_eq!(Key::from_u64(second.to_u64()), second);
    }
}
