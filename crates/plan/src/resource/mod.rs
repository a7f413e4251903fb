//! Which exchanges touch one resource, and in which order.
//!
//! Sessions are independent but for what they share on the server: one changes an
//! order, another lists it. Where both touched one resource, one of them wrote, and
//! the first had ended before the second began, the second saw what the first did,
//! and a run keeps that order. What overlapped is left open, as production left it:
//! answers that differ there are told apart as races.
//!
//! `keys` derives from one exchange alone which resources it touches and how, by the
//! rules of REST (`trail` reads paths), of GraphQL and gRPC (`calls`, `grpc`), and of
//! names (`words`).
//! `share` tells from the whole capture which resources several sessions share, and
//! `order` goes through the exchanges in time and says what waits for what.

mod calls;
mod grpc;
mod keys;
mod order;
mod share;
mod trail;
mod words;

pub(crate) use keys::{Derivation, TouchNames};
pub(crate) use order::{Resources, add_race};

/// How an exchange touches a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// It shows it, or what it does depends on it.
    Read,
    /// It adds something below it: readers notice, others that add don't.
    Append,
    /// It changes it.
    Write,
    /// It names it in the answer to a request that can make things: it is a write
    /// where nobody touched it before, and otherwise a read.
    Birth,
}

/// What tells resources apart, and which of them can be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A collection and an id.
    Member,
    /// A path of words that requests replace or delete.
    Named,
    /// A path of words: what is made or listed below it.
    Collection,
    /// What a cookie's value stands for: a client's login.
    Cookie,
}

/// One exchange touches one resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    /// A digest of collection and id, or of the path.
    pub key: u64,
    /// For a member of a collection the key of that collection, where it has one.
    pub parent: Option<u64>,
    /// Index of the resource's name for people in [`Derivation`].
    pub name: u32,
    pub mode: Mode,
    pub kind: Kind,
    /// Each session has its own: a cart, a profile.
    pub own: bool,
}

impl Mode {
    /// True when the order of the two decides what either sees.
    pub fn conflicts(self, other: Mode) -> bool {
        !matches!(
            (self, other),
            (Mode::Read, Mode::Read) | (Mode::Append, Mode::Append)
        )
    }

    /// True when others can notice it.
    pub fn writes(self) -> bool {
        matches!(self, Mode::Append | Mode::Write)
    }
}
