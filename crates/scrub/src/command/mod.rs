//! Documents of commands of databases (`twintap_stream::document`).
//!
//! They are JSON bodies whose values have the names that they have in a snapshot:
//! `sql.TABLE.COLUMN`, `redis.key.0`, `redis.field.NAME`. Literals within a statement are values
//! of their own; a statement that can't be read drops the body. Passwords are replaced whatever
//! the rules say.

mod places;
mod request;

use bytes::Bytes;

use self::places::{Places, What};
use crate::body::ScrubbedBody;
use crate::find::{Unparsable, Visit, json};
use crate::leaf::Part;
use crate::rewrite::{DroppedByRule, Means, Rewriter};

/// Goes through the values of a reply's document.
pub(crate) fn find(body: &[u8], visit: &mut impl Visit) -> Result<(), Unparsable> {
    let what = What::Response { table: None };
    json::find(body, false, &mut Places::new(body, what, visit))
}

/// Scrubs a document: that of the command `name`, or of a reply. Says in a word why it can't be.
pub(crate) fn scrub(
    means: Means<'_>,
    name: Option<&str>,
    body: &Bytes,
) -> Result<ScrubbedBody, &'static str> {
    let mut leaves = Vec::new();
    let (body, what) = match name {
        Some(name) => {
            let read = request::read(means, name, body).ok_or("unparsable")?;
            leaves = read.leaves;
            (read.body, What::Request(read.arguments))
        }
        None => (body.clone(), What::Response { table: None }),
    };
    let mut recent = means.pseudonyms.recent();
    let mut rewriter = Rewriter::new(means, &mut recent, Part::Body, &body, &mut leaves);
    let mut places = Places::new(&body, what, &mut rewriter);
    let found = json::find(&body, false, &mut places);
    let moved = rewriter.take_moved();
    match (rewriter.finish(&body), found) {
        (Err(DroppedByRule), _) => Err("rule"),
        (_, Err(Unparsable)) => Err("unparsable"),
        (Ok(body), Ok(())) => Ok(ScrubbedBody {
            body,
            leaves,
            moved,
        }),
    }
}
