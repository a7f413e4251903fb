//! Values at places that are always noisy.

use super::*;
use crate::support::shop::Chance;

/// Thirty sessions in which no two of the three agree but by chance; the candidate's last
/// `odd` values are made otherwise.
fn sessions(
    odd: usize,
    usual: impl Fn(&mut Chance) -> Value,
    other: impl Fn(&mut Chance) -> Value,
) -> Vec<Call> {
    repeated(30, |index, session| {
        let mut chance = Chance::new(index as u64);
        let mut reply = |is_odd: bool| {
            let value = if is_odd {
                other(&mut chance)
            } else {
                usual(&mut chance)
            };
            ok(json!({"v": value}))
        };
        vec![
            Call::new(session, "GET", "/a", reply(false))
                .baseline(reply(false))
                .candidate(reply(index >= 30 - odd)),
        ]
    })
}

fn took(chance: &mut Chance) -> Value {
    json!(3 + chance.below(900))
}

fn word(chance: &mut Chance) -> Value {
    const WORDS: [&str; 6] = ["red", "green", "blue", "yellow", "black", "white"];
    json!(WORDS[chance.below(6) as usize])
}

#[test]
fn values_of_one_mould_are_noise() {
    check(&sessions(30, took, took), expect![""]);
    check(&sessions(30, word, word), expect![""]);
    // A few are no evidence, however odd.
    check(&sessions(3, took, |_| json!(1_000_000)), expect![""]);
}

#[test]
fn a_number_in_another_unit_is_found_in_noise() {
    let micros = |chance: &mut Chance| json!(3000 + 1000 * chance.below(900));
    let report = check(
        &sessions(30, took, micros),
        expect!["GET /a body_changed /v x30\n"],
    );
    let finding = &report.findings[0];
    assert_eq!(finding.test.name, "exceedance");
    assert!(
        finding.test.statement.contains("numbers from "),
        "{finding:?}"
    );
    // What is shown is as far out as any.
    assert!(finding.evidence[0].change.ends_with("000"), "{finding:?}");
}

#[test]
fn a_text_that_is_no_text_of_its_kind_is_found_in_noise() {
    let empty = |_: &mut Chance| json!("");
    let report = check(
        &sessions(20, word, empty),
        expect!["GET /a body_type /v x20\n"],
    );
    let statement = &report.findings[0].test.statement;
    assert!(
        statement
            .contains("empty texts, where those of production and baseline are texts of letters"),
        "{statement}"
    );
    let long = |_: &mut Chance| json!("purplepurplepurple");
    let report = check(
        &sessions(20, word, long),
        expect!["GET /a body_changed /v x20\n"],
    );
    let statement = &report.findings[0].test.statement;
    assert!(
        statement.contains("texts with lengths from 18 to 18"),
        "{statement}"
    );
}

#[test]
fn another_type_among_types_that_vary_is_found() {
    let number_or_null = |chance: &mut Chance| match chance.below(2) {
        0 => Value::Null,
        _ => took(chance),
    };
    check(&sessions(30, number_or_null, number_or_null), expect![""]);
    let truth = |_: &mut Chance| json!(false);
    let calls = sessions(25, number_or_null, truth);
    // Four of the others have no number where the baseline has, or the other way round.
    check(&calls, expect!["GET /a body_type /v x29\n"]);
}

#[test]
fn what_starts_a_little_later_is_no_finding() {
    // Seconds since the start, of which the candidate's was a little later.
    let calls = repeated(60, |index, session| {
        let seconds = |from: usize| ok(json!({"uptime": from + index}));
        vec![
            Call::new(session, "GET", "/a", seconds(7000))
                .baseline(seconds(10))
                .candidate(seconds(9)),
        ]
    });
    check(&calls, expect![""]);
}

#[test]
fn header_fields_have_a_mould_too() {
    let calls = repeated(30, |index, session| {
        let mut chance = Chance::new(index as u64);
        let mut reply = |from: u64| {
            let left = (from + chance.below(60)).to_string();
            ok(json!({})).with("X-RateLimit-Remaining", &left)
        };
        vec![
            Call::new(session, "GET", "/a", reply(10))
                .baseline(reply(10))
                .candidate(reply(900)),
        ]
    });
    check(
        &calls,
        expect!["GET /a header_changed header.x-ratelimit-remaining x30\n"],
    );
}

#[test]
fn tokens_in_cookies_have_a_mould_too() {
    let calls = |odd: &dyn Fn(u64) -> String| {
        repeated(30, |index, session| {
            let mut chance = Chance::new(index as u64);
            let mut token = || {
                format!(
                    "{:016x}{:016x}",
                    chance.below(u64::MAX),
                    chance.below(u64::MAX)
                )
            };
            let sets =
                |value: String| ok(json!({})).with("Set-Cookie", &format!("sid={value}; HttpOnly"));
            vec![
                Call::new(session, "GET", "/a", sets(token()))
                    .baseline(sets(token()))
                    .candidate(sets(odd(index as u64))),
            ]
        })
    };
    let token = |index: u64| {
        format!(
            "{:032x}",
            u128::from(index + 7) << 64 | 0xc0ff_ee11_2233_4455
        )
    };
    check(&calls(&token), expect![""]);
    let short = |index: u64| format!("{:04x}", index + 4096);
    check(
        &calls(&short),
        expect!["GET /a header_changed set-cookie.sid= x30\n"],
    );
}

/// Thirty sessions whose answers have a field that is never compared by value.
fn volatile(name: &str, usual: impl Fn(usize) -> String, odd: &str) -> Vec<Call> {
    repeated(30, |index, session| {
        let reply = |place: usize| ok(json!({})).with(name, &usual(3 * index + place));
        vec![
            Call::new(session, "GET", "/a", reply(0))
                .baseline(reply(1))
                .candidate(match odd {
                    "" => reply(2),
                    odd => ok(json!({})).with(name, odd),
                }),
        ]
    })
}

#[test]
fn what_is_never_compared_by_value_keeps_its_kind() {
    let tag = |number: usize| format!("\"v{number}\"");
    check(&volatile("ETag", tag, ""), expect![""]);
    check(
        &volatile("ETag", tag, "none at all"),
        expect!["GET /a header_changed header.etag x30\n"],
    );
    // Of another length and number it may well be.
    check(&volatile("ETag", tag, "\"v123456789012345\""), expect![""]);
}
