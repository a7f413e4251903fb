//! From a thread to the firing one, which never waits for it.
//!
//! The channels of the standard library make a receiver spin while a sender is amid
//! sending. A firing thread that goes before others may spin in place of that very sender.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

/// A queue between two threads that holds `room` items; who sends waits for room.
pub(crate) fn mailbox<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            items: VecDeque::new(),
            has_sender: true,
            has_receiver: true,
            is_awaited: false,
        }),
        changed: Condvar::new(),
        room,
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    /// An item came, room came, or one side is gone.
    changed: Condvar,
    room: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    has_sender: bool,
    has_receiver: bool,
    /// One side waits for the other.
    is_awaited: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The state is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the other side, if it waits.
    fn tell(&self, state: &mut State<T>) {
        if std::mem::take(&mut state.is_awaited) {
            self.changed.notify_one();
        }
    }

    fn wait<'a>(&self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        state.is_awaited = true;
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts items in.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Waits for room and puts an item in; false when nobody will take it out.
    pub(crate) fn send(&self, item: T) -> bool {
        let mut state = self.0.lock();
        while state.has_receiver && state.items.len() >= self.0.room {
            state = self.0.wait(state);
        }
        if !state.has_receiver {
            return false;
        }
        state.items.push_back(item);
        self.0.tell(&mut state);
        true
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().has_sender = false;
        self.0.changed.notify_one();
    }
}

/// Takes items out.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Appends at most `most` items to `taken`, in the order of sending, as far as that can
    /// be done without waiting for the sender.
    pub(crate) fn take(&self, most: usize, taken: &mut Vec<T>) {
        let mut state = match self.0.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let count = state.items.len().min(most);
        taken.extend(state.items.drain(..count));
        if count > 0 {
            self.0.tell(&mut state);
        }
    }

    /// Waits for an item; none when there is nobody to send one.
    pub(crate) fn wait(&self) -> Option<T> {
        let mut state = self.0.lock();
        while state.items.is_empty() && state.has_sender {
            state = self.0.wait(state);
        }
        state.items.pop_front()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_receiver = false;
        // Nobody takes it out, and it may hold what others wait for to be let go.
        let left = std::mem::take(&mut state.items);
        drop(state);
        drop(left);
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn items_come_in_order_through_little_room() {
        let (sender, receiver) = mailbox(3);
        let sending = thread::spawn(move || (0..1000).all(|item| sender.send(item)));
        let mut taken = vec![receiver.wait().expect("there is a sender")];
        while taken.len() < 1000 {
            receiver.take(2, &mut taken);
            thread::yield_now();
        }
        assert!(taken.into_iter().eq(0..1000));
        assert!(sending.join().expect("it does not panic"));
        assert_eq!(receiver.wait(), None);
    }

    #[test]
    fn who_waits_for_room_learns_that_nobody_takes() {
        let (sender, receiver) = mailbox(1);
        assert!(sender.send(1));
        let sending = thread::spawn(move || sender.send(2));
        drop(receiver);
        assert!(!sending.join().expect("it does not panic"));
    }

    #[test]
    fn who_finds_the_sender_amid_sending_goes_on_without() {
        let (sender, receiver) = mailbox(2);
        assert!(sender.send(1));
        let mut taken = Vec::new();
        let held = sender.0.lock();
        receiver.take(2, &mut taken);
        assert!(taken.is_empty());
        drop(held);
        receiver.take(2, &mut taken);
        assert_eq!(taken, [1]);
    }
}
