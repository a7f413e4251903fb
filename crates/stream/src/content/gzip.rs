//! gzip (RFC 1952).

use flate2::{Crc, Decompress};

use super::codec::{self, Codec, Step};

/// One member at a time.
pub(super) struct Gzip {
    place: Place,
    inflater: Decompress,
    crc: Crc,
}

enum Place {
    Head(Head),
    Data,
    /// The checksum and the length, so many bytes of them.
    Tail {
        bytes: [u8; 8],
        count: usize,
    },
}

/// Where in a member's head the next byte is (section 2.3); its flags say what it has.
#[derive(Clone, Copy)]
struct Head {
    flags: u8,
    field: Field,
}

#[derive(Clone, Copy)]
enum Field {
    Fixed(usize),
    ExtraLength(Option<u8>),
    Extra(u16),
    Name,
    Comment,
    Checksum(u8),
    Over,
}

const FLAG_CHECKSUM: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
const FLAGS_RESERVED: u8 = 0xe0;
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const FIXED_BYTES: usize = 10;

impl Gzip {
    pub fn new() -> Gzip {
        Gzip {
            place: Place::Head(Head::START),
            inflater: Decompress::new(false),
            crc: Crc::new(),
        }
    }

    fn data(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step> {
        let step = codec::inflate(&mut self.inflater, input, output)?;
        self.crc.update(output.get(..step.made)?);
        if step.is_over {
            self.place = Place::Tail {
                bytes: [0; 8],
                count: 0,
            };
        }
        Some(Step {
            is_over: false,
            ..step
        })
    }

    fn is_sound(&self, tail: [u8; 8]) -> bool {
        let tail = u64::from_le_bytes(tail);
        // The length is that of the data modulo 2^32.
        tail == u64::from(self.crc.amount()) << 32 | u64::from(self.crc.sum())
    }
}

impl Codec for Gzip {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step> {
        let mut taken = 0;
        loop {
            let rest = input.get(taken..)?;
            let step = |taken, is_over| {
                Some(Step {
                    taken,
                    made: 0,
                    is_over,
                })
            };
            match &mut self.place {
                Place::Data => {
                    let step = self.data(rest, output)?;
                    taken += step.taken;
                    // Data can end without a byte more: then its tail is what is taken.
                    if step.made == 0 && matches!(self.place, Place::Tail { .. }) {
                        continue;
                    }
                    return Some(Step { taken, ..step });
                }
                Place::Head(head) => {
                    let Some(byte) = rest.first() else {
                        return step(taken, false);
                    };
                    head.take(*byte)?;
                    taken += 1;
                    if matches!(head.field, Field::Over) {
                        self.place = Place::Data;
                    }
                }
                Place::Tail { bytes, count } => {
                    let Some(byte) = rest.first() else {
                        return step(taken, false);
                    };
                    *bytes.get_mut(*count)? = *byte;
                    *count += 1;
                    taken += 1;
                    if *count == bytes.len() {
                        let bytes = *bytes;
                        return self.is_sound(bytes).then(|| step(taken, true)).flatten();
                    }
                }
            }
        }
    }

    fn is_start(&self, bytes: &[u8]) -> Option<bool> {
        match MAGIC.starts_with(bytes) {
            false => Some(false),
            true if bytes.len() == MAGIC.len() => Some(true),
            true => None,
        }
    }

    fn restart(&mut self) {
        self.place = Place::Head(Head::START);
        self.inflater.reset(false);
        self.crc.reset();
    }
}

impl Head {
    const START: Head = Head {
        flags: 0,
        field: Field::Fixed(0),
    };

    /// None when the byte can't stand here.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.field = match self.field {
            Field::Fixed(at) => {
                if MAGIC.get(at).is_some_and(|magic| *magic != byte) {
                    return None;
                }
                if at == MAGIC.len() {
                    self.flags = byte;
                }
                if self.flags & FLAGS_RESERVED != 0 {
                    return None;
                }
                match at + 1 {
                    FIXED_BYTES => self.next(FLAG_EXTRA),
                    at => Field::Fixed(at),
                }
            }
            Field::ExtraLength(None) => Field::ExtraLength(Some(byte)),
            Field::ExtraLength(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => self.next(FLAG_NAME),
                length => Field::Extra(length),
            },
            Field::Extra(1) => self.next(FLAG_NAME),
            Field::Extra(left) => Field::Extra(left.saturating_sub(1)),
            Field::Name if byte == 0 => self.next(FLAG_COMMENT),
            Field::Comment if byte == 0 => self.next(FLAG_CHECKSUM),
            Field::Checksum(1) => Field::Over,
            Field::Checksum(left) => Field::Checksum(left.saturating_sub(1)),
            same @ (Field::Name | Field::Comment | Field::Over) => same,
        };
        Some(())
    }

    /// The first field from `flag` on, in the order of the head, that it has.
    fn next(&self, flag: u8) -> Field {
        let fields = [
            (FLAG_EXTRA, Field::ExtraLength(None)),
            (FLAG_NAME, Field::Name),
            (FLAG_COMMENT, Field::Comment),
            (FLAG_CHECKSUM, Field::Checksum(2)),
        ];
        let mut fields = fields.into_iter().skip_while(|(first, _)| *first != flag);
        let found = fields.find(|(flag, _)| self.flags & flag != 0);
        found.map_or(Field::Over, |(_, field)| field)
    }
}
