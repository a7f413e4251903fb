//! Whether bytes that come in pieces are UTF-8.

/// Checks text as it comes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextCheck {
    /// The begin of a character whose rest is to come.
    partial: [u8; 3],
    partial_bytes: usize,
    is_bad: bool,
}

impl TextCheck {
    pub fn push(&mut self, mut bytes: &[u8]) {
        while self.partial_bytes > 0 && !self.is_bad {
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            bytes = rest;
            self.extend(*first);
        }
        if self.is_bad {
            return;
        }
        let Err(error) = std::str::from_utf8(bytes) else {
            return;
        };
        self.is_bad = error.error_len().is_some();
        for byte in &bytes[error.valid_up_to()..] {
            if self.is_bad {
                return;
            }
            self.extend(*byte);
        }
    }

    /// True when all that came is text, and no character lacks its end.
    pub fn is_text(&self) -> bool {
        !self.is_bad && self.partial_bytes == 0
    }

    /// Adds a byte to the partial character.
    fn extend(&mut self, byte: u8) {
        let [a, b, c] = self.partial;
        let mut joined = [a, b, c, 0];
        joined[self.partial_bytes] = byte;
        let length = self.partial_bytes + 1;
        match std::str::from_utf8(&joined[..length]) {
            Ok(_) => self.partial_bytes = 0,
            Err(error) if error.error_len().is_none() && length <= 3 => {
                self.partial[self.partial_bytes] = byte;
                self.partial_bytes = length;
            }
            Err(_) => self.is_bad = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::TextCheck;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn pieces_are_judged_as_the_whole(
            text in "\\PC{0,12}",
            noise in vec(prop::sample::select(&[0x80, 0xbf, 0xc3, 0xe2, 0xed, 0xf0, 0xf4, 0xff][..]), 0..3),
            at in any::<prop::sample::Index>(),
            size in 1_usize..6,
        ) {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, noise);
            let mut check = TextCheck::default();
            bytes.chunks(size).for_each(|piece| check.push(piece));
            prop_assert_eq!(check.is_text(), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
