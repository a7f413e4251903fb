//! Conversations with twins that are made up here, in a time that is made up, too.

use bytes::{BufMut as _, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use twintap_scrub::Encoding;
use twintap_stream::websocket::{Deflate, Head, unmask};

use super::*;

const WAIT_NS: u64 = 1_000;

fn message(piece: Piece, payload: &str, after_ns: u64) -> SocketMessage {
    SocketMessage {
        piece,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        start: 0,
        fragments: Vec::new(),
        after_ns,
        dropped_bytes: 0,
    }
}

fn text(payload: &str, after_ns: u64) -> SocketMessage {
    message(Piece::Text, payload, after_ns)
}

/// A script of these messages, of which each begins where the one before ends.
fn script(mut said: Vec<SocketMessage>, heard: &[SocketMessage]) -> Script {
    let mut start = 0;
    for message in &mut said {
        message.start = start;
        start += message.payload.len() as u64;
    }
    Script::new(said, heard, 0, 1.0)
}

fn begin(script: Script) -> Conversation {
    let setting = Setting {
        limits: CaptureLimits::new(1 << 20, 1 << 20, None),
        wait_ns: WAIT_NS,
        extract: Some(Arc::new(|message, path| {
            let (_, name) = path.rsplit_once('/')?;
            let payload = std::str::from_utf8(&message.payload).ok()?;
            let value = payload.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.as_bytes().to_vec())
        })),
    };
    Conversation::new(setting, Arc::new(script), &[], 0, 10)
}

/// A server's frame: short, whole and plain.
fn frame(first: u8, payload: &str) -> Vec<u8> {
    let mut frame = vec![first, payload.len() as u8];
    frame.extend_from_slice(payload.as_bytes());
    frame
}

/// A moment at the recorded speed, without pauses.
fn at(now_ns: u64) -> Moment {
    Moment {
        clock_ns: now_ns,
        run_ns: now_ns,
        plan_ns: now_ns,
    }
}

/// When there is something to do next, in the plan's and in run time.
fn dues(conversation: &Conversation, now_ns: u64) -> (Option<u64>, Option<u64>) {
    let dues = conversation.dues(at(now_ns));
    (dues.plan_ns, dues.run_ns)
}

/// What is written at this time, as frames of a server.
fn written(conversation: &mut Conversation, now_ns: u64) -> Vec<u8> {
    written_at(conversation, at(now_ns))
}

fn written_at(conversation: &mut Conversation, now: Moment) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 8];
    let count = conversation.slices(now, &mut slices);
    let bytes: Vec<u8> = slices[..count]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect();
    conversation.advance(bytes.len());
    as_server(&bytes)
}

/// A client's frames without their masks.
fn as_server(mut frames: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    while let Some(head) = Head::read(frames) {
        let mask = head.mask.expect("a client masks");
        let (plain, rest) = frames.split_at(head.bytes - 4);
        let (payload, rest) = rest[4..].split_at(head.length as usize);
        let mut payload = payload.to_vec();
        unmask(&mut payload, mask, 0);
        out.put_u8(plain[0]);
        out.put_u8(plain[1] & 0x7f);
        out.put_slice(&plain[2..]);
        out.put_slice(&payload);
        frames = rest;
    }
    out.to_vec()
}

fn pieces(conversation: Conversation) -> Vec<Piece> {
    let marks = conversation.finish().timeline.marks.into_iter();
    marks.map(|mark| mark.piece).collect()
}

#[test]
fn lines_go_out_when_they_are_due_and_the_twin_has_spoken() {
    let said = vec![text("one", 100), text("two", 300)];
    let mut conversation = begin(script(said, &[text("reply", 200)]));
    assert_eq!(dues(&conversation, 50), (Some(100), None));
    assert_eq!(written(&mut conversation, 99), b"");
    assert_eq!(written(&mut conversation, 100), frame(0x81, "one"));
    assert_eq!(written(&mut conversation, 350), b"", "the twin is late");
    assert_eq!(dues(&conversation, 350), (None, Some(350 + WAIT_NS)));
    conversation
        .receive(&frame(0x81, "reply"), 400)
        .expect("a sound frame");
    assert_eq!(written(&mut conversation, 400), frame(0x81, "two"));
    assert!(conversation.is_over(at(400)));
    let ended = conversation.finish();
    assert!(!ended.wait_expired);
    assert_eq!(ended.timeline.marks[0].after_ns, 390);
}

#[test]
fn a_wait_for_the_twin_ends_by_itself() {
    let said = vec![text("late", 300)];
    let mut conversation = begin(script(said, &[text("reply", 200)]));
    assert_eq!(written(&mut conversation, 300), b"");
    assert_eq!(written(&mut conversation, 300 + WAIT_NS - 1), b"");
    let late = frame(0x81, "late");
    assert_eq!(written(&mut conversation, 300 + WAIT_NS), late);
    assert!(
        !conversation.is_over(at(300 + WAIT_NS)),
        "the reply is still waited for"
    );
    let (_, run_ns) = dues(&conversation, 300 + WAIT_NS);
    assert_eq!(run_ns, Some(300 + 2 * WAIT_NS));
    assert!(conversation.is_over(at(300 + 2 * WAIT_NS)));
    assert!(conversation.finish().wait_expired);
}

#[test]
fn lines_follow_the_plan_and_waits_run_time() {
    let said = vec![text("one", 100), text("two", 300), text("three", 320)];
    let heard = [text("reply", 150)];
    let mut conversation = begin(script(said, &heard));
    let moment = |run_ns, plan_ns| Moment {
        clock_ns: 50_000 + run_ns,
        run_ns,
        plan_ns,
    };
    // The run pauses: the clock goes on alone.
    let paused = Moment {
        clock_ns: 90_000,
        ..moment(90, 90)
    };
    assert_eq!(written_at(&mut conversation, paused), b"");
    // It goes ten times slower, and then is at a later place at once.
    assert_eq!(written_at(&mut conversation, moment(180, 99)), b"");
    let one = frame(0x81, "one");
    assert_eq!(written_at(&mut conversation, moment(190, 100)), one);
    assert_eq!(written_at(&mut conversation, moment(200, 5000)), b"");
    // What was passed over waits for the twin no longer than anything, all together.
    let dues = conversation.dues(moment(200, 5000));
    assert_eq!((dues.plan_ns, dues.run_ns), (None, Some(200 + WAIT_NS)));
    let rest = [frame(0x81, "two"), frame(0x81, "three")].concat();
    let late = moment(200 + WAIT_NS, 5000);
    assert_eq!(written_at(&mut conversation, late), rest);
    assert!(conversation.finish().wait_expired);
}

#[test]
fn a_value_of_the_twin_takes_the_place_of_the_recorded() {
    let mut script = script(vec![text("use old-token now", 300)], &[text("x", 100)]);
    script.add_use(4, 9, Encoding::Plain, "json./0/token");
    let mut conversation = begin(script);
    conversation
        .receive(&frame(0x81, "token=new"), 150)
        .expect("a sound frame");
    assert_eq!(written(&mut conversation, 300), frame(0x81, "use new now"));
    assert_eq!(conversation.finish().unbound, 0);
}

#[test]
fn a_line_waits_for_the_message_that_gives_its_value() {
    // Said so soon after it that nothing else proves that the client had it.
    let heard = [text("x", 299), text("y", 299)];
    let mut script = Script::new(vec![text("use old-token", 300)], &heard, 100, 1.0);
    script.add_use(4, 9, Encoding::Plain, "json./1/token");
    let mut conversation = begin(script);
    assert_eq!(written(&mut conversation, 300), b"");
    let given = [frame(0x81, "x"), frame(0x81, "token=new")].concat();
    conversation.receive(&given, 350).expect("sound frames");
    assert_eq!(written(&mut conversation, 350), frame(0x81, "use new"));
}

#[test]
fn a_value_that_never_comes_is_counted() {
    let mut script = script(vec![text("use old-token now", 300)], &[text("x", 100)]);
    script.add_use(4, 9, Encoding::Plain, "json./0/token");
    let mut conversation = begin(script);
    conversation
        .receive(&frame(0x81, "other"), 150)
        .expect("a sound frame");
    assert_eq!(
        written(&mut conversation, 300),
        frame(0x81, "use old-token now")
    );
    assert_eq!(conversation.finish().unbound, 1);
}

#[test]
fn pings_are_answered_and_a_close_is() {
    let said = vec![text("never said", 900)];
    let mut conversation = begin(script(said, &[]));
    let sent = [
        &frame(0x89, "beat")[..],
        &[0x88, 2, 3, 0xe8],
        &frame(0x81, "after the close"),
    ];
    let sent = sent.concat();
    conversation.receive(&sent, 20).expect("sound frames");
    let expected = [&frame(0x8a, "beat")[..], &[0x88, 2, 3, 0xe8]].concat();
    assert_eq!(written(&mut conversation, 20), expected);
    assert!(conversation.is_over(at(20)));
    let close = Piece::Close { code: Some(1000) };
    // Pings and pongs are no part of what is compared.
    assert_eq!(pieces(conversation), [close]);
}

#[test]
fn messages_beyond_the_bound_are_told_of_by_their_bytes() {
    let mut conversation = begin(script(vec![], &[]));
    let some = [frame(0x81, "ab"), frame(0x89, "")].concat();
    for _ in 0..MOST_MESSAGES + 3 {
        conversation.receive(&some, 20).expect("sound frames");
    }
    let ended = conversation.finish();
    assert_eq!(ended.not_kept, 3);
    let marks = &ended.timeline.marks;
    assert_eq!(marks.len(), MOST_MESSAGES + 1);
    let rest = marks[MOST_MESSAGES];
    assert_eq!(
        (rest.end, rest.dropped_bytes),
        (2 * MOST_MESSAGES as u64, 6)
    );
}

#[test]
fn after_its_own_close_the_client_waits_for_the_twins() {
    let close = message(Piece::Close { code: Some(1000) }, "\u{3}x", 100);
    let mut conversation = begin(script(vec![close], &[]));
    assert_eq!(written(&mut conversation, 100), frame(0x88, "\u{3}x"));
    assert!(!conversation.is_over(at(100)));
    assert_eq!(dues(&conversation, 100), (None, Some(100 + WAIT_NS)));
    conversation
        .receive(&[0x88, 0], 120)
        .expect("a sound frame");
    assert!(conversation.is_over(at(120)));
    assert_eq!(pieces(conversation), [Piece::Close { code: None }]);
}

#[track_caller]
fn check_bad(bytes: &[u8], expected: BadFrame) {
    let mut reader = FrameReader::new(None, 100);
    let mut input = bytes;
    let mut found = reader.feed(&mut input);
    while matches!(found, Ok(Some(_))) {
        found = reader.feed(&mut input);
    }
    assert_eq!(found, Err(expected));
}

#[test]
fn what_no_server_may_send_is_named() {
    check_bad(&[0x81, 0x80, 0, 0, 0, 0], BadFrame::Masked);
    check_bad(&[0xc1, 1, b'x'], BadFrame::Reserved);
    check_bad(&[0x83, 0], BadFrame::Opcode(3));
    check_bad(&[0x8b, 0], BadFrame::Opcode(11));
    check_bad(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], BadFrame::Length);
    check_bad(&[0x89, 126, 0, 126], BadFrame::Control);
    check_bad(&[0x09, 0], BadFrame::Control);
    check_bad(&[0x80, 0], BadFrame::Order);
    check_bad(&[0x01, 0, 0x81, 0], BadFrame::Order);
    check_bad(&[0x81, 1, 0xff], BadFrame::Text);
    check_bad(&[0x88, 1, 3], BadFrame::Close);
}

fn read_all(reader: &mut FrameReader, pieces: &[&[u8]]) -> Result<Vec<Heard>, BadFrame> {
    let mut all = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(heard) = reader.feed(&mut input)? {
            all.push(heard);
        }
    }
    Ok(all)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        messages in vec((any::<bool>(), "\\PC{0,300}", vec(any::<u16>(), 0..4)), 0..6),
        deflates in any::<bool>(),
        keeps_context in any::<bool>(),
        size in 1_usize..200,
    ) {
        let deflate = deflates.then_some(Deflate {
            client_keeps_context: keeps_context,
            server_keeps_context: keeps_context,
        });
        let mut writer = FrameWriter::new(deflate);
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for (is_text, payload, cuts) in messages {
            let piece = if is_text { Piece::Text } else { Piece::Binary };
            let mut cuts: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) % 300).collect();
            cuts.sort_unstable();
            wire.extend(writer.write(piece, payload.as_bytes(), &cuts));
            expected.push((piece, Bytes::from(payload)));
        }
        let wire = as_server(&wire);
        let inflater = deflates.then(|| Inflater::new(keeps_context));
        let mut reader = FrameReader::new(inflater, 1 << 20);
        let pieces: Vec<&[u8]> = wire.chunks(size).collect();
        let heard = read_all(&mut reader, &pieces).expect("sound frames");
        prop_assert!(!reader.is_within());
        let heard: Vec<_> = heard.into_iter().map(|heard| (heard.piece, heard.payload)).collect();
        prop_assert_eq!(heard, expected);
    }

    #[test]
    fn any_bytes_are_read_alike_in_pieces(
        bytes in vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x01), Just(0), Just(3)], 0..200),
        size in 1_usize..40,
        inflates in any::<bool>(),
    ) {
        let reader = || FrameReader::new(inflates.then(|| Inflater::new(true)), 64);
        let whole = read_all(&mut reader(), &[&bytes]);
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        prop_assert_eq!(read_all(&mut reader(), &pieces), whole);
    }
}
