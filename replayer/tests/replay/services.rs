//! Twins that are several services.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use twintap_replayer::fire::{Moving, RunControl, Target};
use twintap_replayer::run::{RunFile, dry_run};
use twintap_verdict::Twin;

use crate::recording::{Recorded, record};
use crate::run::run;
use crate::script::{Script, recorded_stream, stream, target};
use crate::streams::{StreamServer, routes};
use crate::tls::Authority;
use crate::twins::{Reply, TwinServer};

fn control() -> RunControl {
    RunControl::new().expect("an eventfd")
}

fn good_twins() -> [TwinServer; 2] {
    [(); 2].map(|()| TwinServer::start(|_| Reply::ok()))
}

/// Four requests over one flow, the second and the last to the cart, and one that is
/// not wanted.
fn recording() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let requests = [
        ("/home", "shop.example"),
        ("/cart", "cart.example"),
        ("/ads/1", "shop.example"),
        ("/help", "shop.example"),
        ("/cart/view", "cart.example:8080"),
    ];
    let texts = requests.map(|(path, host)| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let exchanges: Vec<Recorded<'_>> = texts
        .iter()
        .zip(0..)
        .map(|(request, place)| Recorded {
            flow: 1,
            at_ms: place * 10,
            request,
            response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        })
        .collect();
    record(directory.path(), &exchanges);
    directory
}

fn run_file(directory: &Path, twins: &[TwinServer; 2], carts: &[TwinServer; 2]) -> RunFile {
    let [candidate, baseline] = twins.each_ref().map(|twin| twin.address);
    let [first, second] = carts.each_ref().map(|twin| twin.address);
    let text = format!(
        "version: 1\narchive: archive\noutput: results\ntargets:\n  \
         candidate: {{address: '{candidate}', services: {{cart: {{address: '{first}'}}}}}}\n  \
         baseline: {{address: '{baseline}', services: {{cart: {{address: '{second}'}}}}}}\n\
         routes:\n- {{path: /ads, to: none}}\n- {{authority: '*.example', path: /cart, to: cart}}\n\
         rewrite: {{host: target}}\n\
         allow: ['{candidate}', '{baseline}', '{first}', '{second}']\n"
    );
    let path = directory.join("shop.yaml");
    fs::write(&path, text).expect("a directory to write to");
    RunFile::read(&path).expect("a sound run file")
}

#[test]
fn requests_go_to_the_services_of_their_routes() {
    let directory = recording();
    let (twins, carts) = (good_twins(), good_twins());
    let file = run_file(directory.path(), &twins, &carts);
    let report = run(&file).expect("a run");
    for ledger in [
        &report.ledgers.runs.candidate,
        &report.ledgers.runs.baseline,
    ] {
        assert_eq!((ledger.planned, ledger.answered), (5, 4));
        assert_eq!(ledger.skipped_by_cause["filtered"], 1);
        assert_eq!(ledger.unexplained, 0);
    }
    let expected = [
        (&twins, ["GET /home HTTP/1.1", "GET /help HTTP/1.1"]),
        (&carts, ["GET /cart HTTP/1.1", "GET /cart/view HTTP/1.1"]),
    ];
    for (servers, lines) in expected {
        for server in servers {
            assert_eq!(server.lines(), lines);
            // One recorded connection is one at each service.
            let [flow] = &server.received()[..] else {
                panic!("{:?}", server.received());
            };
            let hosts: Vec<&str> = flow
                .lines()
                .filter(|line| line.starts_with("Host"))
                .collect();
            let own = format!("Host: {}", server.address);
            assert_eq!(hosts, [&own, &own]);
        }
    }
}

#[test]
fn a_second_baseline_has_services_of_its_own() {
    let directory = recording();
    let (twins, carts) = (good_twins(), good_twins());
    let mut file = run_file(directory.path(), &twins, &carts);
    let [own, cart] = good_twins();
    let text = format!(
        "address: '{}'\nservices: {{cart: {{address: '{}'}}}}\n",
        own.address, cart.address
    );
    let settings = serde_saphyr::from_str(&text).expect("a target");
    file.settings.targets.second_baseline = Some(settings);
    for server in [&own, &cart] {
        file.settings.allow.push(server.address.to_string());
    }
    let report = run(&file).expect("a run");
    let ledger = report
        .ledgers
        .runs
        .second_baseline
        .expect("it was fired at");
    assert_eq!(
        (ledger.planned, ledger.answered, ledger.unexplained),
        (5, 4, 0)
    );
    for (server, lines) in [
        (&own, ["GET /home HTTP/1.1", "GET /help HTTP/1.1"]),
        (&cart, ["GET /cart HTTP/1.1", "GET /cart/view HTTP/1.1"]),
    ] {
        assert_eq!(server.lines(), lines);
        let host = format!("Host: {}\r\n", server.address);
        assert_eq!(server.received()[0].matches(&host).count(), 2);
    }
}

#[test]
fn a_dry_run_says_how_much_each_route_takes() {
    let directory = recording();
    let (twins, carts) = (good_twins(), good_twins());
    let plan = dry_run(&run_file(directory.path(), &twins, &carts)).expect("a plan");
    let text = plan.text();
    let both = format!("{}, {}", carts[0].address, carts[1].address);
    for line in [
        format!("  cart                  {both}\n"),
        "route 1                 1 (path /ads, to none)\n".to_owned(),
        "route 2                 2 (authority *.example, path /cart, to cart)\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn a_service_that_is_absent_is_an_outcome_of_its_requests_alone() {
    let directory = recording();
    let (twins, carts) = (good_twins(), good_twins());
    let mut file = run_file(directory.path(), &twins, &carts);
    let cart = file.settings.targets.candidate.services.get_mut("cart");
    cart.expect("a service").address = "127.0.0.1:10".parse().expect("an address");
    file.settings.allow.push("127.0.0.1:10".to_owned());
    let report = run(&file).expect("a run");
    let ledger = &report.ledgers.runs.candidate;
    assert_eq!((ledger.answered, ledger.errored), (2, 2));
    assert_eq!(report.ledgers.runs.baseline.answered, 4);
}

#[test]
fn each_service_is_spoken_to_in_its_own_way() {
    let authority = Authority::new(&["shop"]);
    let twins = good_twins();
    let config = Arc::new(authority.server(false, &["http/1.1"]));
    let secure = TwinServer::start_with(Some(config), |_| Reply::ok());
    let plain = TwinServer::start(|_| Reply::ok());
    let streamed = [(); 2].map(|()| StreamServer::start(routes(), |server| server));
    let mut script = Script::default();
    for place in 0..4u16 {
        script.get(u64::from(place), 0, &format!("/{place}"));
        script.last().service = place % 2;
    }
    let mut over_streams = stream(10, 1);
    over_streams.service = 2;
    script.add(over_streams, recorded_stream("POST", "/echo", "said"));
    let run = script.fire_with(&twins, &control(), |options| {
        let secure = Target {
            tls: Some(authority.client("shop", false)),
            ..target(secure.address)
        };
        options.services = vec![
            [secure, target(plain.address)],
            streamed.each_ref().map(|server| target(server.address)),
        ];
    });
    assert_eq!(run.candidate(), ["200"; 5]);
    assert_eq!(run.baseline(), ["200"; 5]);
    assert_eq!(run.detail(4), "said");
    for summary in run.summaries() {
        assert_eq!(summary.connections, 3);
    }
    assert_eq!(twins[0].lines(), ["GET /0 HTTP/1.1", "GET /2 HTTP/1.1"]);
    for server in [&secure, &plain] {
        assert_eq!(server.lines(), ["GET /1 HTTP/1.1", "GET /3 HTTP/1.1"]);
    }
}

#[test]
fn new_connections_go_where_a_name_leads_now() {
    let (before, after) = (good_twins(), TwinServer::start(|_| Reply::ok()));
    let moving = Moving::new(before[0].address);
    let mut script = Script::default();
    // Nothing is due before the name has moved, but for the first.
    for (at_ms, flow) in [(0, 0), (3_600_000, 0), (3_600_001, 1), (7_200_000, 2)] {
        script.get(at_ms, flow, &format!("/{flow}"));
    }
    let control = control();
    let steering = {
        let (control, moving, address) = (control.clone(), moving.clone(), after.address);
        thread::spawn(move || {
            let wait_for = |answered| {
                while control.progress(Twin::Candidate).answered < answered {
                    thread::sleep(Duration::from_millis(1));
                }
            };
            let seek = |hours: u64| control.seek(Duration::from_secs(hours * 3600));
            wait_for(1);
            moving.set(Some(address));
            seek(1).expect("it lies ahead");
            wait_for(3);
            moving.set(None);
            seek(2).expect("it lies ahead");
        })
    };
    let run = script.fire_with(&before, &control, |options| {
        options.targets[0].moving = Some(moving.clone());
    });
    steering.join().expect("no panic");
    assert_eq!(run.candidate(), ["200", "200", "200", "refused address"]);
    assert_eq!(run.baseline(), ["200"; 4]);
    // The connection that was open stays.
    assert_eq!(before[0].lines(), ["GET /0 HTTP/1.1"; 2]);
    assert_eq!(after.lines(), ["GET /1 HTTP/1.1"]);
}
