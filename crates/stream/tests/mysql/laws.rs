//! Laws that hold for all inputs.

use super::build::*;
use super::hostile;
use crate::common::{Talk, Tap, render};
use proptest::collection::vec;
use proptest::prelude::*;
use twintap_stream::{EventKind, Limits, Segment, Timestamp};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_stream(data in vec(any::<u8>(), 0..600)) {
        hostile::mysql(&data);
    }

    #[test]
    fn any_split_gives_the_same(sizes in vec(1usize..40, 1..60), framed in any::<bool>()) {
        let capabilities = PLAIN | if framed { COMPRESS } else { 0 };
        let talk = conversation(capabilities);
        let whole = outcome(talk.segments());
        prop_assert_eq!(outcome(split(talk.segments(), &sizes)), whole);
    }
}

/// Commands of many kinds.
fn conversation(capabilities: u32) -> Talk {
    let results = packets(
        1,
        &[&[1], &column("a"), &eof(2), b"\x011", b"\x012", &eof(2)],
    );
    let execution = b"\x01\0\0\0\0\x01\0\0\0\0\x01\x08\0\x07\0\0\0\0\0\0\0";
    let prepared = packets(
        1,
        &[
            b"\0\x01\0\0\0\x01\0\x01\0\0\0\0",
            &column("?"),
            &eof(2),
            &column("a"),
            &eof(2),
        ],
    );
    let turns = [
        query("SELECT a FROM t"),
        results.clone(),
        command(0x16, "SELECT a FROM t WHERE a = ?"),
        prepared,
        command(0x17, execution),
        results,
        [command(0x19, [1, 0, 0, 0]), command(0x0e, "")].concat(),
        packet(1, ok(0, 2)),
        command(1, ""),
    ];
    let mut talk = connected(capabilities);
    for (index, bytes) in turns.iter().enumerate() {
        let bytes = match capabilities & COMPRESS {
            0 => bytes.clone(),
            _ => zlib_frame((index % 2) as u8, bytes),
        };
        talk = match index % 2 {
            0 => talk.ask(bytes),
            _ => talk.answer(bytes),
        };
    }
    talk.close()
}

/// Cuts the payloads into pieces of these sizes, over and over.
fn split(segments: Vec<Segment>, sizes: &[usize]) -> Vec<Segment> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut parts = Vec::new();
    for mut segment in segments {
        while let Some(size) = sizes.next()
            && segment.payload.len() > size
        {
            let mut part = segment.clone();
            part.payload = segment.payload.split_to(size);
            part.wire_bytes = size as u32;
            segment.sequence_number = segment.sequence_number.wrapping_add(size as u32);
            segment.wire_bytes -= size as u32;
            parts.push(part);
        }
        parts.push(segment);
    }
    parts
}

/// All that was made of the segments, and the bytes of each exchange.
fn outcome(segments: Vec<Segment>) -> (String, Vec<(String, Vec<u8>)>) {
    let mut tap = Tap::new(Limits::default());
    for segment in segments {
        tap.segment(segment);
    }
    tap.finish(Timestamp(1 << 50));
    let mut data: Vec<(String, Vec<u8>)> = Vec::new();
    for event in &tap.events {
        if let EventKind::CommandData {
            exchange,
            direction,
            chunk,
            ..
        } = &event.kind
        {
            let key = format!("{exchange} {direction:?}");
            match data.iter_mut().find(|(known, _)| *known == key) {
                Some((_, bytes)) => bytes.extend_from_slice(chunk),
                None => data.push((key, chunk.to_vec())),
            }
        }
    }
    (render(&tap.events), data)
}
