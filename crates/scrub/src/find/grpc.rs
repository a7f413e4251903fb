//! Messages of gRPC: `grpc.0` is the first of a body, its prefix with it. The values
//! inside are called after their fields' numbers (see `nest`).

use super::{Search, Unparsable, Visit};
use crate::leaf::Encoding;
use crate::nest;

/// Goes through the messages of a body. One that is compressed, or none that can be
/// read, makes the body unparsable.
pub(crate) fn find(search: &mut Search<'_, impl Visit>) -> Result<(), Unparsable> {
    let src = search.src;
    let mut at = 0;
    let mut index = 0;
    while at < src.len() && !search.visit.is_done() {
        let len = nest::message_bytes(&src[at..]).ok_or(Unparsable)?;
        let span = at..at + len;
        at = span.end;
        search.leaf("grpc.", &index.to_string(), span, Encoding::Plain);
        index += 1;
    }
    Ok(())
}
