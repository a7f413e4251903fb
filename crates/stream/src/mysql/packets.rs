//! Packets, and the messages that they carry: 3 bytes of length, 1 of sequence, then payload. A
//! packet of the greatest length is continued by the next one.

/// The payload of a packet that another one continues.
pub(super) const MAX_PAYLOAD: usize = 0xff_ffff;

/// What a head may keep allocated between messages.
const KEPT_CAPACITY: usize = 4096;

/// One direction's packets. Of each message only the head is gathered.
#[derive(Debug, Default)]
pub(super) struct Packets {
    header: [u8; 4],
    /// Bytes of the next packet's header that are here.
    have: usize,
    in_payload: bool,
    /// Bytes of the current packet's payload to come.
    left: usize,
    is_continued: bool,
    in_message: bool,
    /// The message's first bytes, as far as they were wanted.
    head: Vec<u8>,
    /// Bytes of the message's payload so far.
    pub length: u64,
    /// Length of the message's first packet.
    pub first_length: usize,
    /// The current packet's sequence number.
    pub sequence: u8,
    /// Bytes of the message are missing.
    pub has_hole: bool,
    /// A packet of the message does not follow the one before it.
    pub is_out_of_sequence: bool,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All bytes are used.
    Starved,
    /// A packet's header is whole after so many bytes; `true` for the first of a message.
    Header(usize, bool),
    /// A packet's payload is over after so many bytes, and its message is not.
    Packet(usize),
    /// A message is over after so many bytes.
    Message(usize),
}

impl Packets {
    /// Goes on to the next end of something.
    pub fn step(&mut self, bytes: &[u8], wanted: usize) -> Step {
        if !self.in_payload {
            return self.step_header(bytes);
        }
        let used = self.left.min(bytes.len());
        let missing = match self.has_hole {
            true => 0,
            false => wanted.saturating_sub(self.head.len()),
        };
        self.head.extend(bytes.iter().take(used.min(missing)));
        self.length += used as u64;
        self.left -= used;
        if self.left > 0 {
            return Step::Starved;
        }
        self.in_payload = false;
        if self.is_continued {
            return Step::Packet(used);
        }
        self.in_message = false;
        Step::Message(used)
    }

    fn step_header(&mut self, bytes: &[u8]) -> Step {
        let used = bytes.len().min(4 - self.have);
        for (to, from) in self.header.iter_mut().skip(self.have).zip(bytes) {
            *to = *from;
        }
        self.have += used;
        if self.have < 4 {
            return Step::Starved;
        }
        let [low, middle, high, sequence] = self.header;
        let is_first = !self.in_message;
        self.have = 0;
        self.in_payload = true;
        self.left = u32::from_le_bytes([low, middle, high, 0]) as usize;
        self.is_continued = self.left == MAX_PAYLOAD;
        if is_first {
            self.in_message = true;
            if self.head.capacity() > KEPT_CAPACITY {
                self.head = Vec::new();
            }
            self.head.clear();
            self.length = 0;
            self.first_length = self.left;
            self.has_hole = false;
            self.is_out_of_sequence = false;
        } else {
            self.is_out_of_sequence |= sequence != self.sequence.wrapping_add(1);
        }
        self.sequence = sequence;
        Step::Header(used, is_first)
    }

    /// The first byte of the message's payload.
    pub fn first_byte(&self) -> Option<u8> {
        self.head.first().copied()
    }

    /// Bytes of a head that are gathered.
    pub fn head_bytes(&self) -> u64 {
        match self.in_message {
            true => self.head.len() as u64,
            false => 0,
        }
    }

    /// The head's bytes; give them back to [`Packets::keep_head`].
    pub fn take_head(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.head)
    }

    pub fn keep_head(&mut self, head: Vec<u8>) {
        self.head = head;
    }

    /// The current packet's header.
    pub fn header(&self) -> [u8; 4] {
        self.header
    }

    /// Bytes of a header that are held.
    pub fn held(&self) -> &[u8] {
        self.header.get(..self.have).unwrap_or_default()
    }

    /// The bytes of a header that are held, which are held elsewhere from here on.
    pub fn take_held(&mut self) -> Vec<u8> {
        let held = self.held().to_vec();
        self.have = 0;
        held
    }

    /// Passes over missing bytes, if they are all of the current payload and its head is known to
    /// begin.
    pub fn skip(&mut self, bytes: u64) -> bool {
        let fits = self.in_payload && !self.head.is_empty() && bytes <= self.left as u64;
        if fits {
            self.left -= bytes as usize;
            self.length += bytes;
            self.has_hole = true;
        }
        fits
    }

    /// Forgets where it was.
    pub fn reset(&mut self) {
        *self = Packets::default();
    }
}
