//! The kernel programs at work.

use std::{collections::HashMap, time::Duration};

use crate::support::{self, Capture, Direction, EchoServer, Stream, exchange, skips};
use twintap_abi::{ALL_SHARES, Cause, MID_STREAM_OFFSET, Order, Role, client_share};
use twintap_agent::{probes::Filters, rings::Captured};

const BODY_BYTES: usize = 32 << 20;
const RING_BYTES: u32 = 64 << 20;

fn servers_only() -> Filters {
    Filters {
        roles: vec![Role::Server],
        ..Filters::default()
    }
}

/// Both directions of one exchange, compared by SHA-256 with what the client sent and got.
#[track_caller]
fn check_whole(address: &str) {
    let mut capture = Capture::start(RING_BYTES, &servers_only());
    let server = EchoServer::start(&capture.cgroup, address);
    let exchanged = capture.drain_during(|| exchange(server.address, BODY_BYTES));
    let flows = capture.flows();
    assert_eq!(flows.len(), 1, "one connection, captured from one side");
    let flow = flows.values().next().expect("there is one");
    for (direction, expected) in [
        (Direction::Ingress, exchanged.sent_sha256),
        (Direction::Egress, exchanged.received_sha256),
    ] {
        let stream = flow.stream(direction);
        assert_eq!(stream.holes(0), [], "{direction:?}");
        assert_eq!(stream.sha256(), expected, "{direction:?}");
        assert!(stream.begin_seen && stream.end_seen, "{direction:?}");
    }
    let close = flow.close.expect("the flow ended");
    assert_eq!(close.ingress_final_offset, BODY_BYTES as u64);
    assert_eq!(close.egress_final_offset, BODY_BYTES as u64);
    assert_eq!((close.final_offsets_known, close.dropped_bytes), (1, 0));
    let ledger = capture.ledger();
    assert_eq!(ledger.dropped_bytes(), 0);
    assert_eq!(ledger.seen.bytes, ledger.submitted.bytes);
    assert_eq!(ledger.submitted.bytes, flow.captured_bytes());
    assert_eq!(ledger.flows, 1);
    if address
        .parse::<std::net::SocketAddr>()
        .expect("literal")
        .ip()
        .is_loopback()
    {
        assert!(
            flow.largest_segment() > 65_536,
            "largest segment: {}",
            flow.largest_segment()
        );
    }
}

#[test]
fn all_of_ipv4_over_loopback() {
    if !skips() {
        check_whole("127.0.0.1:0");
    }
}

#[test]
fn all_of_ipv6_over_loopback() {
    if !skips() {
        check_whole("[::1]:0");
    }
}

#[test]
fn ipv4_at_a_dual_stack_listener_is_one_flow() {
    if skips() {
        return;
    }
    let mut capture = Capture::start(RING_BYTES, &servers_only());
    let server = EchoServer::start(&capture.cgroup, "[::]:0");
    let target = std::net::SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    let exchanged = exchange(target, 100_000);
    let flows = capture.flows();
    assert_eq!(flows.len(), 1);
    let flow = flows.values().next().expect("there is one");
    assert_eq!(
        flow.stream(Direction::Ingress).sha256(),
        exchanged.sent_sha256
    );
    assert_eq!(
        flow.header.local_address[..12],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
    );
    let close = flow.close.expect("sock_ops and packets agree on the tuple");
    assert_eq!(close.ingress_final_offset, 100_000);
}

#[test]
fn a_starved_ring_loses_exactly_what_is_counted() {
    if skips() {
        return;
    }
    // Nobody drains while the traffic runs.
    let mut capture = Capture::start(256 << 10, &servers_only());
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    exchange(server.address, BODY_BYTES);
    let flows = capture.flows();
    let flow = flows.values().next().expect("the begin was captured");
    let close = flow.close.expect("a close record is never lost");
    let ledger = capture.ledger();
    assert!(ledger.dropped_bytes() > BODY_BYTES as u64);
    assert_eq!(
        ledger.seen.bytes,
        ledger.submitted.bytes + ledger.dropped_bytes()
    );
    assert_eq!(ledger.submitted.bytes, flow.captured_bytes());
    assert_eq!(close.dropped_bytes, ledger.dropped_bytes());
    assert_eq!(close.ingress_final_offset, BODY_BYTES as u64);
    assert_eq!(close.egress_final_offset, BODY_BYTES as u64);
    let holes: u64 = [
        (Direction::Ingress, close.ingress_final_offset),
        (Direction::Egress, close.egress_final_offset),
    ]
    .into_iter()
    .flat_map(|(direction, end)| flow.stream(direction).holes(end))
    .map(|hole| hole.end - hole.start)
    .sum();
    let repeated = flow.repeated_bytes();
    assert_eq!(
        holes,
        ledger.dropped_bytes() - (ledger.seen.bytes - 2 * BODY_BYTES as u64 - repeated),
        "dropped bytes are the holes, retransmissions apart"
    );
    assert_eq!(ledger.closes_lost, 0);
}

#[test]
fn the_client_s_side_by_choice() {
    if skips() {
        return;
    }
    let filters = Filters {
        roles: vec![Role::Client],
        ..Filters::default()
    };
    let mut capture = Capture::start(RING_BYTES, &filters);
    // The server is in the cgroup and is not captured; the client is, and is.
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    exchange(server.address, 1000);
    assert_eq!(capture.flows().len(), 0);
    let client = support::ClientProcess::run(&capture.cgroup, server.address, 200_000);
    let flows = capture.flows();
    assert_eq!(flows.len(), 1);
    let flow = flows.values().next().expect("there is one");
    assert_eq!(flow.header.role, Role::Client as u8);
    assert_eq!(flow.stream(Direction::Egress).sha256(), client.sent_sha256);
    assert_eq!(
        flow.stream(Direction::Ingress).sha256(),
        client.received_sha256
    );
}

#[test]
fn filters_change_while_the_programs_run() {
    if skips() {
        return;
    }
    const NONE: [u64; 0] = [];
    let mut capture = Capture::start(RING_BYTES, &Filters::default());
    let first = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    let second = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    let ask = |capture: &mut Capture, filters: &Filters| {
        capture.set_filters(filters);
        exchange(first.address, 10);
        exchange(second.address, 20);
        let mut sizes: Vec<u64> = capture
            .flows()
            .values()
            .map(|flow| flow.stream(Direction::Ingress).bytes())
            .collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(
        ask(&mut capture, &Filters::default()),
        NONE,
        "nothing is named"
    );
    assert_eq!(ask(&mut capture, &servers_only()), [10, 20]);
    let by_port = Filters {
        ports: vec![second.address.port()],
        ..servers_only()
    };
    assert_eq!(ask(&mut capture, &by_port), [20]);
    let elsewhere = Filters {
        prefixes: vec!["10.0.0.0/8".parse().expect("literal")],
        ..servers_only()
    };
    assert_eq!(ask(&mut capture, &elsewhere), NONE);
    let here = Filters {
        prefixes: vec!["127.0.0.0/8".parse().expect("literal")],
        ..servers_only()
    };
    assert_eq!(ask(&mut capture, &here), [10, 20]);
    let excluded = Filters {
        excluded: vec![(first.address.ip(), first.address.port())],
        ..servers_only()
    };
    assert_eq!(ask(&mut capture, &excluded), [20]);
    let by_cgroup = Filters {
        cgroups: vec![capture.cgroup_id()],
        ..servers_only()
    };
    assert_eq!(ask(&mut capture, &by_cgroup), [10, 20]);
    let other_cgroup = Filters {
        cgroups: vec![1],
        ..servers_only()
    };
    assert_eq!(ask(&mut capture, &other_cgroup), NONE);
}

#[test]
fn connections_that_lived_before_are_joined_with_their_role() {
    if skips() {
        return;
    }
    let mut capture = Capture::start_detached(RING_BYTES, &servers_only());
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    let mut live = support::Client::connect(server.address);
    live.exchange(5_000);
    capture.attach();
    live.exchange(7_000);
    live.finish();
    let flows = capture.flows();
    assert_eq!(flows.len(), 1);
    let flow = flows.values().next().expect("there is one");
    assert_eq!(flow.header.role, Role::Server as u8);
    for direction in [Direction::Ingress, Direction::Egress] {
        let stream: &Stream = flow.stream(direction);
        assert!(stream.first_offset() >= MID_STREAM_OFFSET, "{direction:?}");
        assert_eq!(stream.bytes(), 7_000, "{direction:?}");
    }
}

#[test]
fn an_order_stops_one_flow_and_resumes_it() {
    if skips() {
        return;
    }
    let mut capture = Capture::start(RING_BYTES, &servers_only());
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    let mut client = support::Client::connect(server.address);
    let mut other = support::Client::connect(server.address);
    client.exchange(1_000);
    let records = capture.records();
    let id = records
        .iter()
        .find(|record| matches!(record, Captured::Segment(header, _) if header.payload_bytes > 0))
        .expect("the first exchange was captured")
        .header()
        .flow;
    capture.order(id, Some(Order::Stop));
    client.exchange(2_000);
    other.exchange(300);
    capture.order(id, None);
    client.exchange(4_000);
    client.finish();
    other.finish();
    let flows = capture.flows();
    let flow = &flows[&id];
    assert_eq!(flow.stream(Direction::Ingress).bytes(), 4_000);
    assert_eq!(flow.stream(Direction::Ingress).first_offset(), 3_000);
    assert_eq!(flow.close.expect("it ended").dropped_bytes, 4_000);
    let others: HashMap<_, _> = flows.iter().filter(|(flow, _)| **flow != id).collect();
    assert_eq!(others.len(), 1, "the other flow goes on");
    let ledger = capture.ledger();
    assert_eq!(ledger.dropped_bytes(), 4_000);
    assert_eq!(ledger.seen.bytes, ledger.submitted.bytes + 4_000);
}

#[test]
fn headers_only_tells_lengths_and_no_byte_of_payload() {
    if skips() {
        return;
    }
    let mut capture = Capture::start(RING_BYTES, &servers_only());
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    let mut client = support::Client::connect(server.address);
    client.exchange(1_000);
    let before = capture.records();
    let id = before.last().expect("an exchange").header().flow;
    capture.order(id, Some(Order::HeadersOnly));
    client.exchange(300_000);
    let withheld = capture.records();
    let total = |records: &[Captured], direction| -> u64 {
        let headers = records.iter().map(Captured::header);
        let ours = headers.filter(|header| header.direction == direction as u8);
        ours.map(|header| u64::from(header.withheld_bytes)).sum()
    };
    for record in &withheld {
        assert!(matches!(record, Captured::Segment(_, payload) if payload.is_empty()));
    }
    for direction in [Direction::Ingress, Direction::Egress] {
        assert!(total(&withheld, direction) >= 300_000, "{direction:?}");
        assert_eq!(total(&before, direction), 0, "{direction:?}");
    }
    let ledger = capture.ledger();
    let kept_back = ledger.dropped[Cause::HeadersOnly as usize];
    let told = total(&withheld, Direction::Ingress) + total(&withheld, Direction::Egress);
    assert_eq!(kept_back.bytes, told);
    assert_eq!(ledger.dropped_bytes(), told, "by no other cause");
    assert_eq!(ledger.seen.bytes, ledger.submitted.bytes + told);
    capture.order(id, None);
    client.exchange(70);
    client.finish();
    let flow = &capture.flows()[&id];
    assert_eq!(flow.stream(Direction::Ingress).first_offset(), 301_000);
    assert_eq!(flow.stream(Direction::Ingress).bytes(), 70);
    assert_eq!(flow.close.expect("it ended").dropped_bytes, told);
}

#[test]
fn a_pause_captures_nothing_but_ends() {
    if skips() {
        return;
    }
    let mut capture = Capture::start(RING_BYTES, &servers_only());
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    let mut ends = support::Client::connect(server.address);
    let mut stays = support::Client::connect(server.address);
    ends.exchange(1_000);
    stays.exchange(1_000);
    let seen = capture.ledger().seen.bytes;
    assert_eq!(capture.flows().len(), 2);
    capture.pause(true);
    ends.exchange(5_000);
    ends.finish();
    stays.exchange(3_000);
    exchange(server.address, 500);
    let records = capture.records();
    assert!(matches!(records[..], [Captured::Close(_)]), "{records:?}");
    assert_eq!(capture.ledger().seen.bytes, seen);
    capture.pause(false);
    stays.exchange(20);
    stays.finish();
    let flows = capture.flows();
    assert_eq!(flows.len(), 1);
    let flow = flows.values().next().expect("there is one");
    assert_eq!(flow.stream(Direction::Ingress).first_offset(), 4_000);
    assert_eq!(flow.stream(Direction::Ingress).bytes(), 20);
}

#[test]
fn clients_are_shed_as_a_whole_and_counted() {
    if skips() {
        return;
    }
    const BYTES: usize = 10_000;
    let mut capture = Capture::start(RING_BYTES, &servers_only());
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    let mut loopback = [0; 16];
    loopback[10..].copy_from_slice(&[0xFF, 0xFF, 127, 0, 0, 1]);
    let share = client_share(&loopback);
    // Up to its own share the client is captured, from there on it is not.
    capture.shed_shares(share);
    exchange(server.address, BYTES);
    assert_eq!(capture.ledger().dropped_bytes(), 0);
    for shares in [share + 1, ALL_SHARES] {
        let before = capture.ledger();
        capture.shed_shares(shares);
        capture.records();
        exchange(server.address, BYTES);
        let flows = capture.flows();
        let flow = flows.values().next().expect("its end is told");
        assert_eq!(flow.captured_bytes(), 0);
        let ledger = capture.ledger();
        let shed = ledger.dropped[Cause::CpuBudget as usize].bytes
            - before.dropped[Cause::CpuBudget as usize].bytes;
        assert_eq!(shed, ledger.seen.bytes - before.seen.bytes);
        assert_eq!(flow.close.expect("it ended").dropped_bytes, shed);
        assert!(shed >= 2 * BYTES as u64);
    }
    assert_eq!(capture.ledger().submitted.bytes, 2 * BYTES as u64);
}

#[test]
fn without_a_sign_of_life_the_programs_are_inert() {
    if skips() {
        return;
    }
    let limit = Duration::from_millis(1);
    let mut capture = Capture::with_heartbeat_limit(RING_BYTES, &servers_only(), limit);
    capture.attach();
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    std::thread::sleep(Duration::from_millis(50));
    exchange(server.address, 1_000);
    assert_eq!(capture.records().len(), 0);
    let ledger = capture.ledger();
    assert_eq!((ledger.seen.bytes, ledger.flows), (0, 0));
    assert!(ledger.inert_packets > 0, "what passed is counted");
}

#[test]
fn a_heartbeat_brings_the_programs_back() {
    if skips() {
        return;
    }
    let limit = Duration::from_secs(5);
    let mut capture = Capture::with_heartbeat_limit(RING_BYTES, &servers_only(), limit);
    capture.attach();
    let server = EchoServer::start(&capture.cgroup, "127.0.0.1:0");
    std::thread::sleep(limit + Duration::from_millis(100));
    exchange(server.address, 1_000);
    assert_eq!(capture.records().len(), 0);
    capture.beat();
    exchange(server.address, 2_000);
    let flows = capture.flows();
    assert_eq!(flows.len(), 1);
    let flow = flows.values().next().expect("there is one");
    assert_eq!(flow.stream(Direction::Ingress).bytes(), 2_000);
}

#[test]
fn over_a_veth_pair_between_namespaces() {
    if skips() {
        return;
    }
    let Some(net) = support::Veth::create() else {
        twintap_tests::skip("over_a_veth_pair_between_namespaces", "iproute2");
        return;
    };
    for address in [net.server_v4(), net.server_v6()] {
        let mut capture = Capture::start(RING_BYTES, &servers_only());
        let server = EchoServer::start_in(&capture.cgroup, &address, Some(&net.server_namespace));
        let client = capture.drain_during(|| {
            support::ClientProcess::run_in(&net.client_namespace, server.address, BODY_BYTES)
        });
        let flows = capture.flows();
        assert_eq!(flows.len(), 1, "{address}");
        let flow = flows.values().next().expect("there is one");
        assert_eq!(
            flow.stream(Direction::Ingress).sha256(),
            client.sent_sha256,
            "{address}"
        );
        assert_eq!(
            flow.stream(Direction::Egress).sha256(),
            client.received_sha256,
            "{address}"
        );
        let close = flow.close.expect("the flow ended");
        assert_eq!(close.ingress_final_offset, BODY_BYTES as u64, "{address}");
        let ledger = capture.ledger();
        assert_eq!(ledger.seen.bytes, ledger.submitted.bytes);
    }
}

#[test]
fn nothing_stays_attached_after_a_kill() {
    if skips() {
        return;
    }
    let cgroup = support::new_cgroup();
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let agent = support::AgentProcess::start(&cgroup, nobody, &[]);
    assert_eq!(support::attached(&cgroup), 3);
    agent.kill();
    support::until(Duration::from_secs(20), || support::attached(&cgroup) == 0);
}
