//! Base64 (RFC 4648, section 4) as it comes in, padded wherever its sender flushed.

/// Decodes one body.
#[derive(Debug, Default)]
pub(crate) struct Base64 {
    /// The bits that make no byte yet.
    bits: u32,
    /// Digits since the last group of four ended.
    digits: u8,
    /// Padding that has to come.
    padding: u8,
    is_bad: bool,
}

/// Small enough for the stack.
const STEP_BYTES: usize = 1024;

impl Base64 {
    /// Hands on what the chunk decodes to; false from the first byte on that is no base64.
    pub fn decode(&mut self, chunk: &[u8], mut take: impl FnMut(&[u8])) -> bool {
        for step in chunk.chunks(STEP_BYTES) {
            let mut decoded = [0; STEP_BYTES];
            let mut count = 0;
            let bytes = step.iter().map_while(|byte| self.step(*byte)).flatten();
            for (to, byte) in decoded.iter_mut().zip(bytes) {
                *to = byte;
                count += 1;
            }
            take(&decoded[..count]);
            if self.is_bad {
                return false;
            }
        }
        !self.is_bad
    }

    /// The byte that becomes whole with this digit; None when it is none.
    fn step(&mut self, byte: u8) -> Option<Option<u8>> {
        if self.is_bad {
            return None;
        }
        let step = match byte {
            b'=' => self.pad().then_some(None),
            _ => digit(byte)
                .filter(|_| self.padding == 0)
                .map(|digit| self.add(digit)),
        };
        self.is_bad = step.is_none();
        step
    }

    fn add(&mut self, digit: u32) -> Option<u8> {
        self.bits = (self.bits << 6 | digit) & 0x3fff;
        self.digits = (self.digits + 1) % 4;
        // After two, three and four digits there are 4, 2 and 0 bits left.
        let left = match self.digits {
            1 => return None,
            2 => 4,
            3 => 2,
            _ => 0,
        };
        Some((self.bits >> left) as u8)
    }

    fn pad(&mut self) -> bool {
        match (self.padding, self.digits) {
            (0, 2) => self.padding = 1,
            (0, 3) | (1, 0) => self.padding = 0,
            _ => return false,
        }
        self.digits = 0;
        true
    }
}

fn digit(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
