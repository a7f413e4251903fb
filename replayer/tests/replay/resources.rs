//! What the twins' processes use, as runs look at it.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use twintap_replayer::run::RunFile;
use twintap_verdict::{Report, Resource};

use crate::endless::until;
use crate::run::{run, run_file, shop, shop_in_archive, shopkeeper};
use crate::twins::{Reply, Seen, TwinServer};

/// A shop that tells metrics of itself: how much memory, in MiB, and a tenth of a second of
/// processor time more each time.
fn telling(name: &'static str, mib: u64) -> TwinServer {
    let keeper = shopkeeper(name, 5);
    let told = AtomicU64::new(0);
    TwinServer::start(move |seen: &Seen| {
        if !seen.line.starts_with("GET /metrics ") {
            return keeper(seen);
        }
        let bytes = mib << 20;
        let tenths = told.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            "# TYPE held_bytes gauge\nheld_bytes{{kind=\"heap\"}} {bytes}\n\
             held_bytes{{kind=\"map\"}} 7\nheld_bytes_max 1e10\n\
             go_memstats_heap_alloc_bytes 12345\n\
             process_cpu_seconds_total 1.{tenths}\n"
        );
        Reply::Close(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    })
}

/// A run whose twins are looked at where they tell metrics.
fn scraping(twins: &[TwinServer; 2], metrics: &str) -> (tempfile::TempDir, RunFile) {
    looking(twins, |address| {
        format!("{{prometheus: {{url: \"http://{address}/metrics\"{metrics}}}}}")
    })
}

/// A run whose twins are looked at as `resources` says.
fn looking(
    twins: &[TwinServer; 2],
    resources: impl Fn(SocketAddr) -> String,
) -> (tempfile::TempDir, RunFile) {
    let directory = shop_in_archive();
    let file = run_file(directory.path(), twins, "");
    let mut text = fs::read_to_string(directory.path().join("shop.yaml")).expect("it was written");
    for twin in twins {
        let (address, place) = (twin.address, format!("    address: {}\n", twin.address));
        let lines = format!("{place}    resources: {}\n", resources(address));
        text = text.replace(&place, &lines);
    }
    drop(file);
    let path = directory.path().join("scraping.yaml");
    fs::write(&path, text).expect("there is room");
    let file = RunFile::read(&path).expect("a sound run file");
    (directory, file)
}

const NAMED: &str = ", metrics: {memory: 'held_bytes{kind=\"heap\"}', memory_limit: held_bytes_max, \
                     cpu_seconds: process_cpu_seconds_total}";

fn memory(report: &Report) -> [f64; 2] {
    let rows = report.resources.iter();
    let mut of_memory = rows.filter(|row| row.resource == Resource::Memory);
    let row = of_memory.next().expect("memory was looked at");
    [row.candidate.max, row.baseline.max]
}

#[test]
fn what_twins_tell_of_themselves_is_looked_at() {
    let twins = [telling("cand", 80), telling("base", 50)];
    let (_directory, file) = scraping(&twins, NAMED);
    let report = run(&file).expect("a run");
    assert_eq!(report.resources_unseen, Vec::<String>::new());
    assert_eq!(memory(&report), [80, 50].map(|mib| f64::from(mib << 20)));
    assert_eq!(report.resources[0].candidate.limit, Some(1e10));
    // Nothing else was looked at.
    assert!(
        report
            .resources
            .iter()
            .all(|row| { matches!(row.resource, Resource::Memory | Resource::CpuPerRequest) })
    );
}

#[test]
fn of_several_places_the_first_that_tells_counts() {
    let twins = [telling("cand", 80), telling("base", 50)];
    let own = std::process::id();
    let (_directory, file) = looking(&twins, |address| {
        format!("[{{process: {own}}}, {{prometheus: {{url: \"http://{address}/metrics\"}}}}]")
    });
    let report = run(&file).expect("a run");
    assert_eq!(report.resources_unseen, Vec::<String>::new());
    let medians = |resource: Resource| {
        let row = report.resources.iter().find(|row| row.resource == resource);
        row.map(|row| [row.candidate.median, row.baseline.median])
    };
    // What this process holds, seen from outside, and what both tell.
    let held = medians(Resource::Memory).expect("it was looked at");
    assert!(held.iter().all(|bytes| *bytes > 12345.0), "{held:?}");
    assert!(medians(Resource::Threads).is_some());
    assert_eq!(medians(Resource::Heap), Some([12345.0, 12345.0]));
}

#[test]
fn lists_of_places_that_say_nothing_are_refused() {
    let twins = [telling("cand", 80), telling("base", 50)];
    for list in ["[]", "[listener, none]"] {
        let directory = shop_in_archive();
        run_file(directory.path(), &twins, "");
        let path = directory.path().join("shop.yaml");
        let text = fs::read_to_string(&path).expect("it was written");
        let place = format!("    address: {}\n", twins[0].address);
        let text = text.replace(&place, &format!("{place}    resources: {list}\n"));
        fs::write(&path, text).expect("there is room");
        let error = RunFile::read(&path).expect_err("it is refused");
        assert!(
            format!("{error:#}").contains("`resources: none`"),
            "{error:#}"
        );
    }
}

#[test]
fn metrics_that_are_not_there_are_named() {
    let twins = [telling("cand", 80), telling("base", 50)];
    let (_directory, file) = scraping(&twins, ", metrics: {memory: nothing_of_it}");
    let report = run(&file).expect("a run");
    assert!(report.resources.is_empty());
    let [candidate, baseline] = &report.resources_unseen[..] else {
        panic!("one for each twin: {:?}", report.resources_unseen);
    };
    for (twin, reason) in [("candidate", candidate), ("baseline", baseline)] {
        assert!(reason.starts_with(&format!("The {twin}: ")), "{reason}");
        assert!(
            reason.contains("has no series of nothing_of_it"),
            "{reason}"
        );
    }
}

#[test]
fn metrics_come_from_allowed_addresses_alone() {
    let twins = [telling("cand", 80), telling("base", 50)];
    let elsewhere = telling("other", 1);
    let (directory, _) = scraping(&twins, NAMED);
    let path = directory.path().join("scraping.yaml");
    let text = fs::read_to_string(&path).expect("it was written");
    let (own, other) = (twins[1].address, elsewhere.address);
    let text = text.replace(&format!("http://{own}/"), &format!("http://{other}/"));
    fs::write(&path, text).expect("there is room");
    let error = run(&RunFile::read(&path).expect("a sound run file")).expect_err("it is refused");
    let error = format!("{error:#}");
    assert!(
        error.contains("targets.baseline.resources.prometheus.url"),
        "{error}"
    );
    assert!(error.contains("is not on the allow-list"), "{error}");
    assert_eq!(elsewhere.lines(), Vec::<String>::new());
}

#[test]
fn periods_judge_all_of_the_run_until_then() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    // A period begins with a window of rounds: of the last one there is less than of the first.
    let more = "pace: asap\nreport_every: 1ms\nlimits: {in_flight: 8}\n";
    let last = until(10_000, directory.path(), &twins, more);
    let period = fs::read_to_string(directory.path().join("results/period-000001.json"));
    let period: Value = serde_json::from_str(&period.expect("a period")).expect("JSON");
    let last = serde_json::to_value(&last).expect("it was written as JSON");
    let looks = |report: &Value| report["resources"][0]["samples"].as_u64();
    assert!(looks(&period) > Some(0), "{}", period["resources_unseen"]);
    assert!(looks(&last) >= looks(&period), "{}", last["resources"]);
}

#[test]
fn twins_that_nobody_may_look_at_say_so() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let file = run_file(directory.path(), &twins, "");
    let [candidate, _] = twins.each_ref().map(|twin| twin.address);
    let path = directory.path().join("shop.yaml");
    let place = format!("    address: {candidate}\n");
    let text = fs::read_to_string(&path).expect("it was written");
    fs::write(
        &path,
        text.replace(&place, &format!("{place}    resources: none\n")),
    )
    .expect("there is room");
    drop(file);
    let report = run(&RunFile::read(&path).expect("a sound run file")).expect("a run");
    assert_eq!(
        report.resources_unseen,
        ["The candidate: the run file says `none`."]
    );
}
