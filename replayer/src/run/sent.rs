//! What went out in place of values that the policy replaced.

use bytes::Bytes;
use twintap_scrub::{Action, Leaf, LinkTag, Part, Scrubber, decode, split_path, value_inside};
use twintap_stream::RequestHead;
use twintap_verdict::Body;

/// Values of one request that are looked at.
const MOST: usize = 256;

/// For each value of a request that was sent as a pseudonym, the tag of that and the tag of the
/// recorded value. A twin that gives it back gives what production gave back.
pub fn values(
    scrubber: &Scrubber,
    head: &RequestHead,
    body: &Body,
    leaves: &[Leaf],
) -> Vec<(LinkTag, LinkTag)> {
    let pseudonyms = leaves
        .iter()
        .filter(|leaf| leaf.action == Action::Pseudonym);
    let sent = pseudonyms.take(MOST).filter_map(|leaf| {
        let value = value_at(head, body, leaf)?;
        let tag = scrubber.link_tag(&value);
        // Inside of a value that has others some may have stayed.
        (tag != leaf.tag).then_some((tag, leaf.tag))
    });
    sent.collect()
}

fn value_at(head: &RequestHead, body: &Body, leaf: &Leaf) -> Option<Vec<u8>> {
    let part: &Bytes = match (leaf.part, body) {
        (Part::Target, _) => &head.target,
        (Part::Field(index), _) => &head.fields.get(index as usize)?.value,
        (Part::Body, Body::Whole(body)) => body,
        (Part::Body, Body::Digest { .. }) => return None,
    };
    let start = leaf.start as usize;
    let span = part.get(start..start.checked_add(leaf.len as usize)?)?;
    let raw = decode(span, leaf.encoding);
    match split_path(&leaf.path) {
        Some((container, inside)) => value_inside(&raw, container, inside),
        None => Some(raw.into_owned()),
    }
}
