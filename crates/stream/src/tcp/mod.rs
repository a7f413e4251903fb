//! Reassembly: from segments to the bytes of each direction, in order, with gaps named.

pub(crate) mod half;
pub(crate) mod handshake;

pub(crate) use half::{Half, Piece};
pub(crate) use handshake::Handshake;
