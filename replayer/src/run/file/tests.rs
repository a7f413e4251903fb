use std::time::Duration;

use super::*;
use crate::fire::rewrite::Place;

fn parse(text: &str) -> Result<RunFile> {
    RunFile::for_daemon(text, Path::new("/var/archive"), Path::new("/var/runs/r-1"))
}

const TARGETS: &str = "version: 1\nallow: []\ntargets:\n  candidate: {address: 'a:1'}\n  baseline: {address: 'http://b'}\n";

#[test]
fn what_is_left_out_has_its_default() {
    let file = parse(TARGETS).expect("a sound run file");
    assert_eq!(file.archive, Path::new("/var/archive"));
    assert_eq!(file.key, Path::new("/var/archive.key"));
    assert_eq!(file.report_path(), Path::new("/var/runs/r-1/report.json"));
    assert_eq!(file.name, "r-1");
    assert_eq!(file.settings.limits, Limits::default());
    assert_eq!(file.plan_options(), PlanOptions::default());
    assert_eq!(file.settings.targets.baseline.address.to_string(), "b:80");
}

#[test]
fn what_is_said_is_taken() {
    let more = "speed: 2.5\nunbound: fire\nfilter: {methods: [GET], from: 2023-11-14T22:13:20Z}\n\
        rewrite: {host: target, origin: 'https://shop', secure_cookies: drop, headers: {X-A: b}}\n\
        timeouts: {wait: 1500ms}\nlimits: {in_flight: 3}\nentry: {exclude_clients: [10.0.0.0/8]}\n\
        state: {scrubbed: true}\nverdict: {fidelity_floor: 0.5}\n";
    let file = parse(&format!("{TARGETS}{more}")).expect("a sound run file");
    let options = file.plan_options();
    assert_eq!(
        (file.settings.load([0; 32]).speed, options.unbound),
        (2.5, UnboundRule::Fire)
    );
    let from = twintap_stream::Timestamp(1_700_000_000_000_000_000);
    assert_eq!(options.filter.from, Some(from));
    assert!(matches!(options.entry, EntryRule::ExcludeClients(nets) if nets.len() == 1));
    let rewrite = file.rewrite();
    assert_eq!(rewrite.host, Place::Target);
    assert_eq!(rewrite.origin, Place::Text("https://shop".to_owned()));
    assert_eq!(rewrite.replace, [("X-A".to_owned(), "b".to_owned())]);
    assert!(rewrite.drop_secure);
    assert_eq!(file.settings.timeouts.wait.0, Duration::from_millis(1500));
    assert_eq!(
        file.settings.timeouts.response,
        Timeouts::default().response
    );
    assert_eq!(file.settings.verdict.fidelity_floor, 0.5);
}

#[track_caller]
fn check_error(more: &str, expected: &[&str]) {
    let error = parse(&format!("{TARGETS}{more}")).expect_err("a faulty run file");
    let error = format!("{error:#}");
    for part in expected {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn errors_name_line_and_key_and_what_would_be_right() {
    check_error("sped: 2\n", &["line 6", "sped"]);
    check_error("speed: 0\n", &["line 6", "speed must be from 0.1 to 100"]);
    check_error("rate: -1\n", &["line 6", "rate must be above 0"]);
    check_error("scale: 0\n", &["line 6", "1 or more"]);
    check_error("loop: 0\n", &["line 6", "1 or more"]);
    check_error("loop: -1\n", &["line 6", "1 or more"]);
    check_error("loop: often\n", &["line 6", "`forever`"]);
    check_error("report_every: 1h\n", &["report_every", "`loop: forever`"]);
    check_error("loop: forever\nfollow: {}\n", &["`loop`", "follow"]);
    check_error("pace: fast\n", &["line 6", "recorded", "asap", "closed"]);
    check_error(
        "timeouts: {wait: 5}\n",
        &["line 6", "write `500ms`, `30s` or `5m`"],
    );
    check_error(
        "filter: {from: yesterday}\n",
        &["line 6", "2026-01-31T12:00:00Z"],
    );
    check_error(
        "rewrite: {secure_cookies: no}\n",
        &["line 6", "keep", "drop"],
    );
    check_error(
        "follow: {when_down: hope}\n",
        &["line 6", "wait", "skip", "shed"],
    );
    check_error("follow: {delay: 10ms}\n", &["follow.delay", "1s or more"]);
    check_error("speed: 2\nfollow: {}\n", &["speed", "follow"]);
    check_error("resolve: often\n", &["line 6", "once", "each"]);
    check_error("wire: dirty\n", &["line 6", "exact", "clean"]);
    check_error("order: time\n", &["line 6", "resource", "session", "none"]);
}

#[test]
fn rules_of_judgement_are_in_their_ranges() {
    check_error(
        "verdict: {fidelity_floor: 95}\n",
        &["`verdict.fidelity_floor` is 95", "0.95 is 95 %"],
    );
    check_error(
        "verdict: {same_status_floor: 50}\n",
        &["`verdict.same_status_floor` is 50"],
    );
    check_error(
        "verdict: {level: 5}\n",
        &["`verdict.level` is 5", "below 1"],
    );
    check_error(
        "verdict: {level: 0}\n",
        &["`verdict.level` is 0", "above 0"],
    );
    check_error(
        "verdict: {latency: {min_shift_ratio: -1}}\n",
        &["`verdict.latency.min_shift_ratio` is -1", "0 or more"],
    );
    check_error(
        "verdict: {resources: {min_growth: .nan}}\n",
        &["`verdict.resources.min_growth` is NaN"],
    );
    check_error(
        "verdict: {examples: 0}\n",
        &["`verdict.examples` is 0", "1 or more"],
    );
    let edges =
        "verdict: {fidelity_floor: 0, min_rate_difference: 1, latency: {min_shift_ms: 0}}\n";
    parse(&format!("{TARGETS}{edges}")).expect("what is at the edge of a range is within");
}

#[test]
fn hooks_and_addresses_are_checked() {
    let with = |target: &str| {
        let text = format!(
            "version: 1\nallow: []\ntargets:\n  candidate: {target}\n  baseline: {{address: 'b:1'}}\n"
        );
        format!("{:#}", parse(&text).expect_err("a faulty run file"))
    };
    let both = with("{address: 'a:1', reset: {command: [x], request: 'POST http://a:1/x'}}");
    assert!(
        both.contains("targets.candidate.reset needs either"),
        "{both}"
    );
    let none = with("{address: 'a:1', health: {timeout: 1s}}");
    assert!(
        none.contains("targets.candidate.health needs either"),
        "{none}"
    );
    let hook = with("{address: 'a:1', reset: {request: 'http://a:1/x'}}");
    assert!(
        hook.contains("write `POST http://host:port/path`"),
        "{hook}"
    );
    for address in [
        "a",
        "a:0",
        "a:b",
        "http://a/path",
        "::1:80",
        "user@a:1",
        ":80",
    ] {
        let error = with(&format!("{{address: '{address}'}}"));
        assert!(error.contains("write `host:port`"), "{error}");
    }
    let plain = with("{address: 'a:1', tls: {server_name: x}}");
    assert!(
        plain.contains("targets.candidate.tls needs an address that begins with `https://`"),
        "{plain}"
    );
    let half = with("{address: 'https://a:1', tls: {certificate: c.pem}}");
    assert!(
        half.contains("needs both `certificate` and `key`"),
        "{half}"
    );
    let version = parse("version: 2\n").expect_err("another version");
    assert!(format!("{version:#}").contains("must be 1"), "{version:#}");
}

#[test]
fn a_load_is_taken_and_does_not_contradict_itself() {
    let load = |more: &str| {
        let file = parse(&format!("{TARGETS}{more}")).expect("a sound run file");
        file.settings.load([1; 32])
    };
    let expected = twintap_plan::Load {
        rate: Some(500.0),
        copies: 3,
        rounds: 2,
        ramp_ns: 60_000_000_000,
        key: [1; 32],
        ..twintap_plan::Load::default()
    };
    assert_eq!(load("rate: 500\nscale: 3\nloop: 2\nramp: 60s\n"), expected);
    assert_eq!(load("pace: closed\nspeed: 2\n").pace, Pace::Closed);
    check_error("speed: 2\nrate: 5\n", &["`speed` and `rate`"]);
    check_error("pace: asap\nspeed: 2\n", &["`speed` means nothing", "asap"]);
    check_error("pace: asap\nramp: 2s\n", &["`ramp` means nothing"]);
    check_error(
        "pace: closed\nrate: 5\n",
        &["`rate` means nothing", "closed"],
    );
}

#[test]
fn the_limit_in_flight_depends_on_the_pace() {
    let limit = |more: &str| {
        let file = parse(&format!("{TARGETS}{more}")).expect("a sound run file");
        file.settings.max_in_flight(file.settings.pace)
    };
    assert_eq!(limit(""), 10_000);
    assert_eq!(limit("pace: asap\n"), 64);
    assert_eq!(limit("pace: asap\nlimits: {in_flight: 7}\n"), 7);
}

#[test]
fn the_command_line_changes_what_the_file_says() {
    let mut file = parse(&format!("{TARGETS}speed: 2\n")).expect("a sound run file");
    let before = file.reproduce.clone();
    let alone = file.replay.clone();
    file.change("--rate 5", "--in-flight 9", |settings| {
        settings.speed = None;
        settings.rate = Some(Rate(5.0));
    })
    .expect("no contradiction");
    assert_eq!(file.reproduce, format!("{before} --rate 5 --in-flight 9"));
    assert_eq!(file.replay, format!("{alone} --in-flight 9"));
    let refused = file.change("", "", |settings| settings.pace = Pace::Asap);
    assert!(format!("{:#}", refused.expect_err("a contradiction")).contains("`rate`"));
}

#[test]
fn a_second_baseline_is_a_target_that_takes_part_in_less() {
    let text = |second: &str, more: &str| {
        format!(
            "version: 1\narchive: a\nallow: []\ntargets:\n  candidate: {{address: 'a:1'}}\n  \
             baseline: {{address: 'b:1'}}\n  second_baseline: {second}\n{more}"
        )
    };
    let file = parse(&text("{name: twin, address: 'c:1'}", "")).expect("a sound run file");
    let words: Vec<&str> = file.settings.targets.all().map(|(word, _)| word).collect();
    assert_eq!(words, ["candidate", "baseline", "second_baseline"]);
    let refused = |second: &str, more: &str, expected: &str| {
        let error = parse(&text(second, more)).expect_err("a faulty run file");
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{error}");
    };
    let second = "{address: 'c:1'}";
    refused(
        second,
        "follow: {}\n",
        "`targets.second_baseline` goes with no `follow`",
    );
    refused(second, "loop: forever\n", "with no `loop: forever`");
    refused("{address: 'c:1', resources: none}", "", "resources");
    refused(
        "{address: 'c:1', tls: {server_name: c}}",
        "",
        "targets.second_baseline.tls needs",
    );
    refused(
        "{address: 'c:1', reset: {timeout: 1s}}",
        "",
        "targets.second_baseline.reset needs either",
    );
    refused(
        "{address: 'c:1', services: {cart: {address: 'c:2'}}}",
        "",
        "targets.second_baseline.services has `cart`, and targets.candidate.services has not",
    );
}

#[test]
fn files_of_tls_count_from_the_run_files_directory() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let path = directory.path().join("run.yaml");
    let text = "version: 1\narchive: a\nallow: []\ntargets:\n  \
        candidate: {address: 'https://a', tls: {roots: ca.pem, server_name: shop}}\n  \
        baseline: {address: 'b:1'}\n";
    std::fs::write(&path, text).expect("a directory to write to");
    let file = RunFile::read(&path).expect("a sound run file");
    let candidate = &file.settings.targets.candidate;
    assert_eq!(candidate.address.to_string(), "https://a:443");
    let tls = candidate.tls.clone().expect("it is set");
    assert_eq!(tls.roots, Some(directory.path().join("ca.pem")));
    assert_eq!(tls.server_name.as_deref(), Some("shop"));
}

#[test]
fn tokens_and_times_are_taken() {
    let file = parse(&format!(
        "{TARGETS}times: shift\ncorrelate: false\njwt: [{{header: Authorization, alg: HS256, key: k}}]\n"
    ))
    .expect("a sound run file");
    let options = file.plan_options();
    assert_eq!(options.signed, ["authorization"]);
    assert!(!options.correlate);
    assert_eq!(file.settings.times, crate::run::renew::RequestTimes::Shift);
    let error = format!("{:#}", file.signers().err().expect("no such key"));
    assert!(error.contains("reading the key k"), "{error}");
    check_error(
        "jwt: [{header: A, alg: none, key: k}]\n",
        &["line 6", "HS256"],
    );
    check_error("times: move\n", &["line 6", "shift"]);
}

#[test]
fn firing_again_is_on_unless_it_is_off() {
    let confirm = |text: &str| {
        let file = parse(&format!("{TARGETS}{text}")).expect("a sound run file");
        file.settings.confirm
    };
    assert_eq!(confirm(""), Confirm::On(ConfirmSettings::default()));
    assert_eq!(confirm("confirm: off\n"), Confirm::Off);
    let Confirm::On(settings) = confirm("confirm: {sessions: 5}\n") else {
        panic!("it is on");
    };
    assert_eq!((settings.sessions, settings.rounds.get()), (5, 1));
    check_error(
        "confirm: maybe\n",
        &["`off`, or `{sessions: 20, rounds: 1}`"],
    );
    check_error("confirm: {rounds: 0}\n", &["1 or more"]);
    check_error("confirm: {session: 5}\n", &["session"]);
    check_error("confirm: {within: soon}\n", &["soon", "30s"]);
}

#[test]
fn twins_for_confirmation_need_what_all_do_and_a_reset() {
    let with = |candidate: &str| {
        let baseline = "{address: 'd:4', reset: {command: [x]}}";
        format!("confirm: {{targets: {{candidate: {candidate}, baseline: {baseline}}}}}\n")
    };
    let reset = "reset: {command: [x]}";
    let file = parse(&format!(
        "{TARGETS}{}",
        with(&format!("{{address: 'c:3', {reset}}}"))
    ));
    let fresh = file.expect("a sound run file").at_fresh_twins();
    let fresh = fresh.expect("it has such twins");
    assert_eq!(fresh.settings.targets.candidate.address.to_string(), "c:3");
    assert!(fresh.at_fresh_twins().is_none());
    let refused = [
        (
            "{address: 'c:3'}".to_owned(),
            "confirm.targets.candidate needs `reset`",
        ),
        (
            format!("{{address: 'c:3', resources: none, {reset}}}"),
            "confirm.targets.candidate.resources means nothing",
        ),
        (
            format!("{{address: 'c:3', tls: {{server_name: x}}, {reset}}}"),
            "confirm: targets.candidate.tls needs an address",
        ),
        (
            format!("{{address: 'c:3', services: {{cart: {{address: 'c:5'}}}}, {reset}}}"),
            "confirm: targets.candidate.services has `cart`",
        ),
    ];
    for (candidate, expected) in refused {
        check_error(&with(&candidate), &[expected]);
    }
    let second = format!("{{address: 'c:3', {reset}}}, second_baseline: {{address: 'e:5'}}");
    check_error(
        &with(&second),
        &["confirm.targets.second_baseline means nothing"],
    );
}

/// What is wrong with these routes where both twins have a service `cart`, and the
/// candidate what `more` says.
#[track_caller]
fn check_routes(routes: &str, more: &str, expected: &str) {
    let text = format!(
        "version: 1\nallow: []\ntargets:\n  \
         candidate: {{address: 'a:1', services: {{cart: {{address: 'a:2'}}{more}}}}}\n  \
         baseline: {{address: 'b:1', services: {{cart: {{address: 'b:2'}}}}}}\nroutes: [{routes}]\n"
    );
    match parse(&text) {
        Ok(file) => {
            let routes: Vec<String> = file.settings.routes.iter().map(|r| r.to_string()).collect();
            assert_eq!(routes.join("; "), expected);
        }
        Err(error) => {
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{error}");
        }
    }
}

#[test]
fn routes_lead_to_services_that_both_twins_have() {
    let cart = "{authority: '*.shop', port: 80, path: /cart, to: cart}";
    check_routes(
        &format!("{cart}, {{path: /ads, to: none}}, {{to: default}}"),
        "",
        "authority *.shop, port 80, path /cart, to cart; path /ads, to none; to default",
    );
    check_routes(
        cart,
        ", ads: {address: 'a:3'}",
        "targets.candidate.services has `ads`, and targets.baseline.services has not",
    );
    check_routes(
        "{path: /x, to: none}",
        "",
        "no route leads to the service `cart`",
    );
    check_routes(
        cart,
        ", none: {address: 'a:3'}",
        "targets.candidate.services has `none`",
    );
    check_routes(
        &format!("{cart}, {{path: /x, to: shop}}"),
        "",
        "routes[1].to: there is no service `shop`; it must be one of default, none, cart",
    );
    check_routes(
        &format!("{{to: none}}, {cart}"),
        "",
        "routes[0] takes every request",
    );
    check_routes(
        "{path: cart, to: cart}",
        "",
        "routes[0].path: \"cart\" is no path",
    );
    check_routes("{port: 0, to: cart}", "", "routes[0].port must be from 1");
    check_routes(
        "{authority: 'a.*', to: cart}",
        "",
        "routes[0].authority: \"a.*\" is no host",
    );
    check_routes("{paths: /x, to: cart}", "", "paths");
}

#[test]
fn the_examples_of_the_page_on_comparison_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/comparison.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let mut examples = 0;
    for block in page.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        let indent = block.len() - block.trim_start_matches(' ').len();
        let lines: Vec<&str> = block
            .lines()
            .map(|line| line.get(indent..).unwrap_or_default())
            .collect();
        parse(&format!("{TARGETS}{}\n", lines.join("\n"))).expect("a sound run file");
        examples += 1;
    }
    assert_eq!(examples, 4);
}

#[test]
fn faulty_patterns_are_told() {
    check_error(
        "verdict: {endpoints: [items]}\n",
        &["line 6", "no endpoint"],
    );
    check_error("verdict: {arrays: {/a: bag}}\n", &["line 6", "bag"]);
    check_error("verdict: {arrays: {'': set}}\n", &["line 6", "no pattern"]);
}
