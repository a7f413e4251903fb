//! Which addresses a run takes.

use std::path::Path;

use super::*;

fn check_text(candidate: &str, allow: &str, captured: &Captured) -> String {
    let text = format!(
        "version: 1\ntargets:\n  candidate: {{address: \"{candidate}\"}}\n  \
         baseline: {{address: \"127.0.0.1:8002\"}}\nallow: [{allow}]\n"
    );
    let file = RunFile::for_daemon(&text, Path::new("archive"), Path::new("out"))
        .expect("a sound run file");
    match check(&file, captured) {
        Ok(found) => {
            let [candidate, baseline] = found.twins.map(|target| target.address);
            format!("{candidate} {baseline}")
        }
        Err(error) => format!("{error:#}"),
    }
}

const BOTH: &str = "\"127.0.0.1:8001\", \"127.0.0.1:8002\"";

#[test]
fn allowed_twins_are_taken() {
    let captured = Captured::default();
    let expected = "127.0.0.1:8001 127.0.0.1:8002";
    assert_eq!(check_text("127.0.0.1:8001", BOTH, &captured), expected);
    assert_eq!(
        check_text("http://127.0.0.1:8001", BOTH, &captured),
        expected
    );
}

#[test]
fn what_is_not_allowed_is_refused() {
    let refused = check_text("127.0.0.1:8003", BOTH, &Captured::default());
    assert_eq!(
        refused,
        "targets.candidate.address: 127.0.0.1:8003 is not on the allow-list; if nothing there \
         is production, add it: allow: [\"127.0.0.1:8003\"]"
    );
    let same = check_text("127.0.0.1:8002", BOTH, &Captured::default());
    assert!(same.contains("both 127.0.0.1:8002"), "{same}");
}

#[test]
fn production_is_refused_whatever_is_allowed() {
    let mut captured = Captured::default();
    captured.servers.insert(([127, 0, 0, 1], 8001).into());
    assert_eq!(
        check_text("127.0.0.1:8001", BOTH, &captured),
        "targets.candidate.address: 127.0.0.1:8001 is production, and is never fired at: the \
         archive has exchanges of the server 127.0.0.1:8001"
    );
    for named in [
        "127.0.0.1:8001",
        "0.0.0.0:8001",
        ":8001",
        "[::ffff:127.0.0.1]:8001",
    ] {
        let captured = Captured {
            named: [named.to_owned()].into(),
            ..Captured::default()
        };
        let refused = check_text("127.0.0.1:8001", BOTH, &captured);
        assert!(refused.contains(&format!("named for {named}")), "{refused}");
    }
}

#[test]
fn other_spellings_of_production_are_production() {
    let captured = |server: &str| Captured {
        servers: [server.parse().expect("an address")].into(),
        ..Captured::default()
    };
    for (candidate, server) in [
        ("[::ffff:127.0.0.1]:8001", "127.0.0.1:8001"),
        ("127.0.0.1:8001", "[::ffff:127.0.0.1]:8001"),
        ("localhost:8001", "127.0.0.1:8001"),
        ("[::1]:8001", "[::1]:8001"),
    ] {
        let allow = format!("\"{candidate}\", \"127.0.0.1:8002\"");
        let refused = check_text(candidate, &allow, &captured(server));
        assert!(refused.contains("is production"), "{candidate}: {refused}");
    }
}

#[test]
fn no_address_stands_for_all() {
    for candidate in ["0.0.0.0:8001", "[::]:8001", "[::ffff:0.0.0.0]:8001"] {
        let allow = format!("\"{candidate}\", \"127.0.0.1:8002\"");
        let refused = check_text(candidate, &allow, &Captured::default());
        assert!(refused.contains("no address of one machine"), "{refused}");
    }
}

#[test]
fn a_captured_port_is_ruled_out_on_every_address_of_this_machine() {
    let captured = Captured {
        named: [":8001".to_owned()].into(),
        ..Captured::default()
    };
    for candidate in ["127.0.0.1:8001", "127.1.2.3:8001", "[::1]:8001"] {
        let allow = format!("\"{candidate}\", \"127.0.0.1:8002\"");
        let refused = check_text(candidate, &allow, &captured);
        assert!(refused.contains("named for :8001"), "{refused}");
    }
    // An address for documentation (RFC 5737) is nobody's.
    assert!(captured.why(([192, 0, 2, 1], 8001).into()).is_none());
}

#[track_caller]
fn check_pinned(pins: &str, allow: &str, expected: &str) {
    let text = format!(
        "version: 1\naddresses: {{{pins}}}\ntargets:\n  candidate: {{address: \"twin:8001\"}}\n  \
         baseline: {{address: \"127.0.0.1:8002\"}}\nallow: [\"127.0.0.1:8002\", {allow}]\n"
    );
    let file = RunFile::for_daemon(&text, Path::new("archive"), Path::new("out"))
        .expect("a sound run file");
    let captured = Captured {
        servers: [([192, 0, 2, 9], 8001).into()].into(),
        ..Captured::default()
    };
    let found = match check(&file, &captured) {
        Ok(found) => found.twins[0].address.to_string(),
        Err(error) => format!("{error:#}"),
    };
    assert!(found.contains(expected), "{found}");
}

#[test]
fn a_pinned_name_goes_where_it_is_pinned() {
    check_pinned("twin: 192.0.2.1", "\"twin:8001\"", "192.0.2.1:8001");
    check_pinned("TWIN: [192.0.2.1]", "\"TWIN:8001\"", "192.0.2.1:8001");
    check_pinned(
        "twin: '::ffff:192.0.2.1'",
        "\"192.0.2.1:8001\"",
        "192.0.2.1:8001",
    );
}

#[test]
fn every_address_of_a_name_is_looked_at() {
    let both = "twin: [192.0.2.1, 192.0.2.2]";
    check_pinned(both, "\"twin:8001\"", "192.0.2.1:8001");
    check_pinned(
        both,
        "\"192.0.2.1:8001\", \"192.0.2.2:8001\"",
        "192.0.2.1:8001",
    );
    check_pinned(
        both,
        "\"192.0.2.1:8001\"",
        "twin:8001 stands for 192.0.2.2:8001 too, which is not on the allow-list",
    );
    check_pinned(
        "twin: [192.0.2.1, 192.0.2.9]",
        "\"twin:8001\"",
        "is production, and is never fired at: the archive has exchanges of the server \
         192.0.2.9:8001",
    );
    check_pinned(
        "twin: [192.0.2.1, 0.0.0.0]",
        "\"twin:8001\"",
        "no address of one machine",
    );
    check_pinned("twin: []", "\"twin:8001\"", "has no address");
}

#[test]
fn what_was_captured_elsewhere_is_no_obstacle() {
    let captured = Captured {
        named: ["10.0.0.1:8001", ":9000", "/system.slice/shop"]
            .map(str::to_owned)
            .into(),
        servers: [([10, 0, 0, 1], 8001).into()].into(),
    };
    let taken = check_text("127.0.0.1:8001", BOTH, &captured);
    assert_eq!(taken, "127.0.0.1:8001 127.0.0.1:8002");
}

/// What is said of a candidate's service `cart` at this address.
fn check_service(cart: &str, captured: &Captured) -> String {
    let text = format!(
        "version: 1\ntargets:\n  candidate: {{address: '127.0.0.1:8001', services: {{cart: {{address: '{cart}'}}}}}}\n  \
         baseline: {{address: '127.0.0.1:8002', services: {{cart: {{address: '127.0.0.1:9002'}}}}}}\n\
         routes: [{{to: cart}}]\nallow: ['127.0.0.1:8001', '127.0.0.1:8002', '127.0.0.1:9001', '127.0.0.1:9002']\n"
    );
    let file = RunFile::for_daemon(&text, Path::new("archive"), Path::new("out"))
        .expect("a sound run file");
    match check(&file, captured) {
        Ok(found) => found.services[0]
            .each_ref()
            .map(|target| target.address.to_string())
            .join(" "),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn services_are_held_to_what_twins_are() {
    let none = Captured::default();
    let taken = check_service("127.0.0.1:9001", &none);
    assert_eq!(taken, "127.0.0.1:9001 127.0.0.1:9002");
    for (cart, expected) in [
        (
            "127.0.0.1:9003",
            "targets.candidate.services.cart.address: 127.0.0.1:9003 is not on the allow-list",
        ),
        (
            "127.0.0.1:9002",
            "targets.candidate.services.cart and targets.baseline.services.cart are both 127.0.0.1:9002",
        ),
        (
            "127.0.0.1:8002",
            "targets.candidate.services.cart and targets.baseline are both 127.0.0.1:8002",
        ),
    ] {
        let refused = check_service(cart, &none);
        assert!(refused.contains(expected), "{refused}");
    }
    let mut captured = Captured::default();
    captured.servers.insert(([127, 0, 0, 1], 9001).into());
    let refused = check_service("127.0.0.1:9001", &captured);
    assert!(
        refused.contains("services.cart.address: 127.0.0.1:9001 is production"),
        "{refused}"
    );
}
