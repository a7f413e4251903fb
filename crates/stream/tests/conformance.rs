//! The cases of llhttp's test suite: input, and what a strict parser makes of it.
//!
//! The corpus is not part of the repository: `TWINTAP_CORPUS` names it. llhttp enforces and this
//! crate observes, so an error there must be a flag, an incomplete message or a discard here.
//! `conformance_differences.md` says why where the two differ, and every other difference fails.

mod cases;
mod judge;

use std::collections::BTreeMap;

use self::cases::Kind;
use self::judge::{Ours, Splitting};
use crate::corpus::corpus;

const DIFFERENCES: &str = include_str!("conformance_differences.md");

#[test]
fn every_case_of_llhttp() {
    let Some(corpus) = corpus() else { return };
    let suite = corpus.path("conformance/llhttp/test");
    let mut explained = explanations();
    let (mut equal, mut argued) = (0, 0);
    let mut unexplained = Vec::new();
    let cases = cases::read(&suite);
    for case in &cases {
        let whole = Ours::of(case, Splitting::Whole);
        let split = Ours::of(case, Splitting::EveryByte);
        // After bytes that are no message, the next one is looked for where segments start: under
        // which cause bytes are discarded there depends on them.
        assert_eq!(
            whole.but_for_causes(),
            split.but_for_causes(),
            "{}: split at every byte",
            case.name
        );
        let judgement = match whole.is_cut_short() {
            // Some inputs end with the line that is wrong: what the head says shows at its end.
            true => judge::judge(case, &whole).or_else(|_| {
                let mut ended = case.clone();
                ended.input.extend_from_slice(b"\r\n\r\n");
                judge::judge(case, &Ours::of(&ended, Splitting::Whole))
            }),
            false => judge::judge(case, &whole),
        };
        match (judgement, explained.remove(&case.name)) {
            (Ok(()), None) => equal += 1,
            (Ok(()), Some(why)) => panic!("{}: explained, but equal: {why}", case.name),
            (Err(_), Some(_)) => argued += 1,
            (Err(what), None) => unexplained.push(format!("{}: {what}", case.name)),
        }
    }
    println!("{} cases: {equal} equal, {argued} argued", cases.len());
    for line in &unexplained {
        println!("{line}");
    }
    assert!(
        unexplained.is_empty(),
        "{} differences unexplained",
        unexplained.len()
    );
    let stale: Vec<_> = explained.keys().collect();
    assert!(stale.is_empty(), "explained, but no case: {stale:#?}");
    assert!(cases.len() >= 150, "only {} cases", cases.len());
    let of_kind = |kind| cases.iter().filter(|case| case.kind == kind).count();
    assert!(of_kind(Kind::Request) > 80 && of_kind(Kind::Response) > 40);
}

/// The table's rows: case, and why.
fn explanations() -> BTreeMap<String, String> {
    let rows = DIFFERENCES.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 7, "a row has five cells: {row}");
        assert!(cells[5].contains("RFC"), "no RFC named: {row}");
        (cells[1].trim_matches('`').to_owned(), cells[4].to_owned())
    })
    .collect()
}
