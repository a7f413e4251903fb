//! JSON texts, one on each line.

use super::values::Values;
use super::{Problem, line_len};

pub(super) struct JsonLines;

impl JsonLines {
    /// Takes a line.
    pub(super) fn step(
        &mut self,
        src: &[u8],
        is_end: bool,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<usize, Problem> {
        let Some(len) = line_len(src, is_end) else {
            return Ok(0);
        };
        let line = &src[..len];
        if line.trim_ascii().is_empty() {
            out.extend_from_slice(line);
            return Ok(len);
        }
        match values.json_text(line) {
            Ok(new) => out.extend_from_slice(&new),
            Err(_) => return Problem::new(0, "this line is no JSON text"),
        }
        Ok(len)
    }
}
