//! Archives of commands, made of what both sides said.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Archive, Capture, Checkpoint, Options};
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_stream::dialogue::Replied;
use twintap_stream::document::{DocumentLimits, Made, make};
use twintap_stream::message::Protocol;
use twintap_stream::{Dialogue, Direction, Endpoints, ExchangeId, FlowId, Timestamp};

use crate::recording::{KEY, production};

/// What both sides of a connection say in turn, each a millisecond after the other.
pub struct Said {
    /// The client's bytes.
    pub client: Bytes,
    /// The server's answer.
    pub server: Bytes,
}

/// Stores connections, scrubbed by `policy`, in `directory/archive`, with the key beside it.
pub fn store(directory: &Path, policy: Policy, protocol: Protocol, connections: &[Vec<Said>]) {
    std::fs::write(directory.join("archive.key"), KEY).expect("a directory to write to");
    let scrubber = Scrubber::new(policy, &Key::from_hex(KEY).expect("64 hex digits"));
    let (mut archive, _) =
        Archive::open(directory.join("archive"), Options::default()).expect("an archive");
    let mut made = Vec::new();
    for (flow, connection) in (1..).zip(connections) {
        let mut dialogue = Dialogue::new(protocol).expect("a database");
        let mut now = Timestamp(1_700_000_000_000_000_000 + flow * 3_000_000);
        for said in connection {
            now = now.plus_ns(1_000_000);
            dialogue.sent(said.client.clone(), now);
            now = now.plus_ns(1_000_000);
            dialogue.received(said.server.clone(), now);
        }
        while let Some(Replied { exchange, reply }) = dialogue.poll() {
            let mut one = make(exchange, &reply, DocumentLimits::default());
            place(&mut one, flow);
            made.push(one);
        }
    }
    made.sort_by_key(|one| one.exchange.request.first_byte);
    for one in made {
        keep(one, &scrubber, &mut archive);
    }
    let state = Capture {
        node: Arc::from("node"),
        boot: 1,
        captured_endpoints: vec![production().to_string()],
        finished: true,
        ..Capture::default()
    };
    let checkpoint = Checkpoint {
        captures: vec![state],
        ..Checkpoint::default()
    };
    archive.commit(checkpoint).expect("a disk");
    archive.close().expect("a disk");
}

/// Gives it the identity that a capture would have given it.
fn place(made: &mut Made, flow: u64) {
    let client = ([10, 0, 0, 1], 1000 + flow as u16).into();
    let exchange = &mut made.exchange;
    exchange.endpoints = Endpoints::normalised(client, production());
    exchange.id = ExchangeId {
        node: Arc::from("node"),
        boot: 1,
        flow: FlowId(flow),
        ..exchange.id.clone()
    };
}

fn keep(made: Made, scrubber: &Scrubber, archive: &mut Archive) {
    let mut scrub = scrubber.exchange();
    if let Some(head) = &made.exchange.request.head {
        scrub.request_head(head);
    }
    if let Some(head) = &made.exchange.response.head {
        scrub.response_head(head);
    }
    let mut bodies = [archive.begin_body(), archive.begin_body()];
    let documents = [
        (Direction::Client, made.request),
        (Direction::Server, made.response),
    ];
    for (body, (direction, document)) in bodies.iter_mut().zip(documents) {
        let clean = document.and_then(|document| scrub.body(direction, document));
        if let Some(clean) = clean {
            archive.write_body(body, clean).expect("a disk");
        }
    }
    let finished = scrub.finish(made.exchange);
    let rests = [finished.request_rest, finished.response_rest];
    for (body, rest) in bodies.iter_mut().zip(rests) {
        if let Some(rest) = rest {
            archive.write_body(body, rest).expect("a disk");
        }
    }
    let [request, response] = bodies;
    archive
        .store(finished.record, request, response)
        .expect("a disk");
}
