//! Each rule of judgement by a run that shows it.

use crate::support::{Call, Reply, judge, lines, repeated};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use twintap_verdict::{Body, Outcome, Report};

#[track_caller]
fn check(calls: &[Call], expected: Expect) -> Report {
    let report = judge(calls);
    let mut text = String::new();
    for (line, finding) in lines(&report).iter().zip(&report.findings) {
        text.push_str(line);
        text.push('\n');
        for also in &finding.also {
            text.push_str(&format!("  also {} {}\n", also.kind, also.location));
        }
        for then in &finding.consequences {
            text.push_str(&format!(
                "  then {} {} {} x{}\n",
                then.endpoint, then.kind, then.location, then.count
            ));
        }
        if !finding.related.is_empty() {
            text.push_str(&format!("  related {}\n", finding.related.join(" ")));
        }
    }
    expected.assert_eq(&text);
    report
}

/// Twelve sessions that agree, and one in which the candidate answers `candidate`.
fn one_in_many(agreed: &Reply, candidate: Reply) -> Vec<Call> {
    let mut calls = repeated(12, |_, session| {
        vec![Call::new(session, "GET", "/a", agreed.clone())]
    });
    calls.push(Call::new("s-odd", "GET", "/a", agreed.clone()).candidate(candidate));
    calls
}

fn ok(body: Value) -> Reply {
    Reply::json(200, &body)
}

mod heads {
    use super::*;

    #[test]
    fn names_have_no_case_and_order_between_names_does_not_count() {
        let agreed = ok(json!({})).with("X-One", "1").with("X-Two", "2");
        let candidate = ok(json!({})).with("x-two", "2").with("x-one", "1");
        check(&one_in_many(&agreed, candidate), expect![""]);
    }

    #[test]
    fn a_field_gone_new_or_changed_is_found() {
        let agreed = ok(json!({}))
            .with("Vary", "accept")
            .with("X-Frame-Options", "DENY");
        let candidate = ok(json!({})).with("Vary", "*").with("Server-Push", "on");
        check(
            &one_in_many(&agreed, candidate),
            expect![[r#"
                GET /a header_missing header.x-frame-options x1
                  also header_added header.server-push
                GET /a header_changed header.vary x1
            "#]],
        );
    }

    #[test]
    fn a_repeated_field_counts_each_time() {
        let agreed = ok(json!({})).with("Link", "<a>").with("Link", "<b>");
        let candidate = ok(json!({})).with("Link", "<a>");
        check(
            &one_in_many(&agreed, candidate),
            expect!["GET /a header_changed header.link x1\n"],
        );
    }

    #[test]
    fn volatile_values_pass_but_must_be_there() {
        let agreed = ok(json!({})).with("Date", "one").with("ETag", "\"1\"");
        let other = ok(json!({})).with("Date", "two").with("ETag", "\"2\"");
        check(&one_in_many(&agreed, other), expect![""]);
        let without = ok(json!({})).with("Date", "two");
        check(
            &one_in_many(&agreed, without),
            expect!["GET /a header_missing header.etag x1\n"],
        );
    }

    #[test]
    fn framing_is_not_compared() {
        let agreed = ok(json!({})).with("Content-Length", "2");
        let candidate = ok(json!({}))
            .with("Transfer-Encoding", "chunked")
            .with("Connection", "close");
        check(&one_in_many(&agreed, candidate), expect![""]);
    }

    #[test]
    fn a_cookie_keeps_its_attributes_but_not_its_value() {
        let agreed = ok(json!({})).with("Set-Cookie", "sid=abc; HttpOnly; Path=/; Expires=today");
        let renewed =
            ok(json!({})).with("Set-Cookie", "sid=xyz; path=/; httponly; Expires=tomorrow");
        check(&one_in_many(&agreed, renewed), expect![""]);
        let exposed = ok(json!({})).with("Set-Cookie", "sid=xyz; Path=/");
        check(
            &one_in_many(&agreed, exposed),
            expect!["GET /a header_changed set-cookie.sid x1\n"],
        );
        let emptied = ok(json!({})).with("Set-Cookie", "sid=; HttpOnly; Path=/");
        check(
            &one_in_many(&agreed, emptied),
            expect!["GET /a header_changed set-cookie.sid x1\n"],
        );
        check(
            &one_in_many(&agreed, ok(json!({}))),
            expect!["GET /a header_missing set-cookie.sid x1\n"],
        );
    }
}

mod bodies {
    use super::*;

    #[track_caller]
    fn json_change(from: Value, to: Value, expected: Expect) {
        check(&one_in_many(&ok(from), ok(to)), expected);
    }

    #[test]
    fn members_have_no_order() {
        let agreed = Reply::text(200, "application/json", r#"{"a":1,"b":[2,3]}"#);
        let candidate = Reply::text(200, "application/json", "{ \"b\": [2, 3], \"a\": 1 }");
        check(&one_in_many(&agreed, candidate), expect![""]);
    }

    #[test]
    fn values_types_and_members_are_told_apart() {
        json_change(
            json!({"a": {"b~/": 1}}),
            json!({"a": {"b~/": 2}}),
            expect!["GET /a body_changed /a/b~0~1 x1\n"],
        );
        json_change(
            json!({"a": 1, "n": null}),
            json!({"a": "1", "n": null}),
            expect!["GET /a body_type /a x1\n"],
        );
        json_change(
            json!({"n": null}),
            json!({"n": {}}),
            expect!["GET /a body_type /n x1\n"],
        );
        json_change(
            json!({"a": 1, "b": 2}),
            json!({"a": 1}),
            expect!["GET /a body_missing /b x1\n"],
        );
        json_change(
            json!({"a": 1}),
            json!({"a": 1, "b": 2}),
            expect!["GET /a body_added /b x1\n"],
        );
        json_change(
            json!(true),
            json!(false),
            expect!["GET /a body_changed body x1\n"],
        );
    }

    #[test]
    fn a_member_renamed_is_one_finding() {
        json_change(
            json!({"user": {"mail": "a"}}),
            json!({"user": {"email": "a"}}),
            expect![[r#"
                GET /a body_missing /user/mail x1
                  also body_added /user/email
            "#]],
        );
    }

    #[test]
    fn one_fault_in_every_element_is_one_finding() {
        json_change(
            json!({"items": [{"n": 1, "s": 1}, {"n": 2, "s": 2}, {"n": 3, "s": 3}]}),
            json!({"items": [{"n": 1, "s": "1"}, {"n": 2, "s": "2"}, {"n": 3, "s": "3"}]}),
            expect!["GET /a body_type /items/*/s x1\n"],
        );
    }

    #[test]
    fn elements_come_go_and_change_places() {
        json_change(
            json!({"items": [{"n": 1}, {"n": 2}, {"n": 3}], "total": 3}),
            json!({"items": [{"n": 1}, {"n": 3}], "total": 2}),
            expect![[r#"
                GET /a body_missing /items/* x1
                  also body_changed /total
            "#]],
        );
        json_change(
            json!([1, 2, 3]),
            json!([1, 2, 9, 3]),
            expect!["GET /a body_added /* x1\n"],
        );
        json_change(
            json!({"items": [{"n": 1}, {"n": 2}, {"n": 3}]}),
            json!({"items": [{"n": 3}, {"n": 2}, {"n": 1}]}),
            expect!["GET /a body_changed /items x1\n"],
        );
    }

    #[test]
    fn lines_of_json_are_compared_line_by_line() {
        let lines = |step: &str| {
            let body =
                format!("{{\"step\":1,\"is\":\"paid\"}}\n{{\"step\":2,\"is\":\"{step}\"}}\n");
            Reply::text(200, "application/x-ndjson", &body)
        };
        check(
            &one_in_many(&lines("packed"), lines("lost")),
            expect!["GET /a body_changed /*/is x1\n"],
        );
    }

    #[test]
    fn a_body_that_is_no_json_any_more_has_another_type() {
        let agreed = ok(json!({"a": 1}));
        let broken = Reply::text(200, "application/json", "{\"a\": 1");
        check(
            &one_in_many(&agreed, broken),
            expect!["GET /a body_type body x1\n"],
        );
        let empty = Reply::text(200, "application/json", "");
        check(
            &one_in_many(&agreed, empty),
            expect!["GET /a body_missing body x1\n"],
        );
    }

    #[test]
    fn texts_are_compared_by_words() {
        let page = |price: &str, extra: &str| {
            Reply::text(
                200,
                "text/html",
                &format!("<h1>Tea</h1><p>Price {price}</p>{extra}"),
            )
        };
        check(
            &one_in_many(&page("12.99", ""), page("12.98", "")),
            expect!["GET /a body_changed text x1\n"],
        );
        check(
            &one_in_many(&page("free", ""), page("gone", "")),
            expect!["GET /a body_changed text after \"Price\" x1\n"],
        );
        check(
            &one_in_many(&page("12.99", ""), page("12.99", "<hr>")),
            expect!["GET /a body_changed body x1\n"],
        );
    }

    #[test]
    fn bytes_are_compared_by_length_and_content() {
        let image = |last: u8| Reply::bytes(200, "image/png", vec![0xff, 0xfe, last]);
        check(&one_in_many(&image(1), image(1)), expect![""]);
        check(
            &one_in_many(&image(1), image(2)),
            expect!["GET /a body_changed body x1\n"],
        );
    }

    #[test]
    fn what_was_not_kept_is_compared_by_digest() {
        let with_digest = |text: &str| {
            let call = Call::new("s-odd", "GET", "/a", ok(json!({})));
            let mut observation = call.observation(0);
            if let Outcome::Answered { answer, .. } = &mut observation.candidate {
                answer.body = Body::Digest {
                    bytes: 9,
                    tag: Some(crate::support::tag(text)),
                };
            }
            observation.candidate
        };
        let run = |one: &str, other: &str| {
            let mut calls = Vec::new();
            for index in 0..12 {
                calls.push(
                    Call::new(&format!("s-{index}"), "GET", "/a", ok(json!({})))
                        .unseen()
                        .outcomes(with_digest(one), with_digest(other)),
                );
            }
            calls
        };
        check(&run("x", "x"), expect![""]);
        check(&run("x", "y"), expect!["GET /a body_changed body x12\n"]);
    }
}

mod noise {
    use super::*;

    fn value(text: &str) -> Reply {
        ok(json!({"v": text, "w": 1}))
    }

    /// `noisy` of 20 sessions in which the baseline differs from production, and
    /// `odd` in which the candidate differs from the baseline.
    fn sessions(noisy: usize, odd: usize) -> Vec<Call> {
        repeated(20, |index, session| {
            let baseline = if index < noisy { "blue" } else { "red" };
            let candidate = if index >= 20 - odd { "green" } else { baseline };
            vec![
                Call::new(session, "GET", "/a", value("red"))
                    .baseline(value(baseline))
                    .candidate(value(candidate)),
            ]
        })
    }

    #[test]
    fn one_difference_counts_where_there_is_no_noise() {
        let report = check(&sessions(0, 1), expect!["GET /a body_changed /v x1\n"]);
        assert_eq!(report.findings[0].test.name, "exact");
    }

    #[test]
    fn where_there_is_noise_a_test_decides() {
        check(&sessions(1, 1), expect![""]);
        check(&sessions(3, 4), expect![""]);
        let report = check(&sessions(2, 16), expect!["GET /a body_changed /v x16\n"]);
        let test = &report.findings[0].test;
        assert_eq!(
            (test.name.as_str(), test.unit.as_str(), test.sample),
            ("sign", "session", 18)
        );
        assert_eq!(test.level, Some(0.01));
    }

    #[test]
    fn noise_does_not_hide_another_type() {
        let mut calls = sessions(5, 0);
        calls[19].candidate = ok(json!({"v": 17, "w": 1}));
        check(&calls, expect!["GET /a body_type /v x1\n"]);
        calls[19].candidate = ok(json!({"w": 1}));
        check(&calls, expect!["GET /a body_missing /v x1\n"]);
    }

    #[test]
    fn noise_at_one_endpoint_says_nothing_of_another() {
        let mut calls = sessions(5, 0);
        calls.push(Call::new("s-x", "GET", "/b", value("red")).candidate(value("green")));
        check(&calls, expect!["GET /b body_changed /v x1\n"]);
    }

    #[test]
    fn an_array_that_varies_covers_what_is_in_it() {
        let list = |values: &[u32]| {
            ok(json!({"items": values.iter().map(|value| json!({"n": value})).collect::<Vec<_>>()}))
        };
        let mut calls = repeated(12, |index, session| {
            let baseline = if index % 2 == 0 {
                list(&[1, 2])
            } else {
                list(&[1, 2, 3])
            };
            vec![
                Call::new(session, "GET", "/a", list(&[1, 2]))
                    .baseline(baseline.clone())
                    .candidate(baseline),
            ]
        });
        calls[3].candidate = list(&[1, 2, 4]);
        check(&calls, expect![""]);
    }

    #[test]
    fn a_constant_difference_is_no_noise() {
        let calls = repeated(12, |index, session| {
            let candidate = if index == 7 { "shop/3" } else { "shop/2" };
            vec![
                Call::new(session, "GET", "/a", ok(json!({})).with("Server", "nginx"))
                    .baseline(ok(json!({})).with("Server", "shop/2"))
                    .candidate(ok(json!({})).with("Server", candidate)),
            ]
        });
        let report = check(&calls, expect!["GET /a header_changed header.server x1\n"]);
        assert_eq!(report.fidelity, 0.0);
        assert!(report.fidelity_detail.endpoints[0].differs_at[0].constant);
    }

    #[test]
    fn a_status_never_seen_is_found_in_noise() {
        let mut calls = repeated(20, |index, session| {
            let baseline = if index < 4 { 404 } else { 200 };
            let reply = Reply::json(baseline, &json!({}));
            vec![
                Call::new(session, "GET", "/a", ok(json!({})))
                    .baseline(reply.clone())
                    .candidate(reply),
            ]
        });
        calls[10].candidate = Reply::json(404, &json!({}));
        check(&calls, expect![""]);
        calls[10].candidate = Reply::json(500, &json!({}));
        let report = check(&calls, expect!["GET /a status status x1\n"]);
        assert_eq!(report.findings[0].test.name, "novel_status");
    }
}

mod generated {
    use super::*;

    const ONE: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
    const TWO: &str = "6fa459ea-ee8a-4ca4-894e-db77e160355e";
    const THREE: &str = "16fd2706-8baf-433b-82eb-8c7fada847da";

    fn id(text: &str) -> Reply {
        ok(json!({ "id": text }))
    }

    fn ids(production: &str, baseline: &str, candidate: Reply) -> Vec<Call> {
        repeated(12, |_, session| {
            vec![
                Call::new(session, "POST", "/a", id(production))
                    .baseline(id(baseline))
                    .candidate(candidate.clone()),
            ]
        })
    }

    #[test]
    fn ids_of_three_services_differ() {
        let report = check(&ids(ONE, TWO, id(THREE)), expect![""]);
        assert_eq!(report.fidelity, 1.0);
        let masked = &report.masked[0];
        assert_eq!(
            (
                masked.location.as_str(),
                masked.reason.as_str(),
                masked.baseline_vs_production
            ),
            ("/id", "generated", 12)
        );
    }

    #[test]
    fn an_id_that_production_and_baseline_share_is_none_of_theirs_to_differ() {
        check(
            &ids(ONE, ONE, id(THREE)),
            expect!["POST /a body_changed /id x12\n"],
        );
    }

    #[test]
    fn an_id_keeps_its_form_and_type() {
        check(
            &ids(ONE, TWO, id("17")),
            expect!["POST /a body_type /id x12\n"],
        );
        check(
            &ids(ONE, TWO, ok(json!({"id": 17}))),
            expect!["POST /a body_type /id x12\n"],
        );
    }

    #[test]
    fn instants_and_counters_of_time_pass() {
        let at = |text: &str, epoch: u64| ok(json!({"at": text, "epoch": epoch}));
        let calls = repeated(12, |_, session| {
            vec![
                Call::new(
                    session,
                    "GET",
                    "/a",
                    at("2026-11-19T10:00:00Z", 1_763_000_000),
                )
                .baseline(at("2026-11-22T10:00:00.125Z", 1_763_200_000))
                .candidate(at("2026-11-22T10:00:01Z", 1_763_200_001)),
            ]
        });
        check(&calls, expect![""]);
    }

    #[test]
    fn without_production_a_generated_value_counts_only_where_nothing_varies() {
        let unseen = |session: &str| {
            Call::new(session, "POST", "/a", id(ONE))
                .unseen()
                .baseline(id(TWO))
                .candidate(id(THREE))
        };
        let mut calls = ids(ONE, TWO, id(THREE));
        calls.push(unseen("s-x"));
        check(&calls, expect![""]);
        let mut calls = repeated(12, |_, session| {
            vec![Call::new(session, "POST", "/a", id(ONE))]
        });
        calls.push(unseen("s-x"));
        check(&calls, expect!["POST /a body_changed /id x1\n"]);
    }
}

mod roles {
    use super::*;

    /// Login, then a page that shows what login produced.
    fn session(index: usize, session: &str, shown_by_candidate: &str) -> Vec<Call> {
        let code = |who: &str| ok(json!({"code": format!("{who}-{index:04}")}));
        let page = |who: &str| Reply::text(200, "text/html", &format!("<b>{who}-{index:04}</b>"));
        vec![
            Call::new(session, "POST", "/login", code("prod"))
                .baseline(code("base"))
                .candidate(code("cand"))
                .produces("json./code"),
            Call::new(session, "GET", "/me", code("prod"))
                .baseline(code("base"))
                .candidate(ok(json!({"code": shown_by_candidate}))),
            Call::new(session, "GET", "/page", page("prod"))
                .baseline(page("base"))
                .candidate(page("cand")),
        ]
    }

    #[test]
    fn values_of_one_role_are_equal() {
        let calls = repeated(12, |index, name| {
            session(index, name, &format!("cand-{index:04}"))
        });
        let report = check(&calls, expect![""]);
        assert_eq!(report.fidelity, 1.0);
    }

    #[test]
    fn the_value_of_another_role_is_wrong() {
        let calls = repeated(12, |index, name| {
            let shown = if index == 9 { 3 } else { index };
            session(index, name, &format!("cand-{shown:04}"))
        });
        check(&calls, expect!["GET /me body_changed /code x1\n"]);
    }

    #[test]
    fn one_value_for_all_is_wrong() {
        let calls = repeated(12, |index, name| {
            let mut calls = session(index, name, "same");
            calls[0].candidate = ok(json!({"code": "same"}));
            calls.truncate(2);
            calls
        });
        // The first session's is its own; in the others it is another's.
        check(
            &calls,
            expect![[r#"
                POST /login body_changed /code x11
                  then GET /me body_changed /code x11
            "#]],
        );
    }
}

mod consequences {
    use super::*;

    fn order(total: u32) -> Reply {
        Reply::json(200, &json!({"total": total}))
    }

    fn buy(session: &str, shown: u32) -> Vec<Call> {
        vec![
            Call::new(session, "POST", "/checkout", order(10)).candidate(order(shown)),
            Call::new(session, "GET", "/orders/17", order(10)).candidate(order(shown)),
        ]
    }

    #[test]
    fn what_comes_after_a_cause_is_its_consequence() {
        let calls = repeated(12, |index, session| {
            buy(session, if index < 3 { 9 } else { 10 })
        });
        check(
            &calls,
            expect![[r#"
                POST /checkout body_changed /total x3
                  then GET /orders/{id} body_changed /total x3
            "#]],
        );
    }

    #[test]
    fn what_shows_without_a_cause_is_a_finding() {
        let calls = repeated(12, |index, session| match index {
            0..3 => buy(session, 9),
            3 => vec![Call::new(session, "GET", "/orders/17", order(10)).candidate(order(9))],
            _ => buy(session, 10),
        });
        check(
            &calls,
            expect![[r#"
                GET /orders/{id} body_changed /total x4
                  related F2
                POST /checkout body_changed /total x3
                  related F1
            "#]],
        );
    }

    #[test]
    fn a_safe_request_explains_nothing() {
        let calls = repeated(12, |_, session| {
            let page = ok(json!({"n": 1}));
            vec![
                Call::new(session, "GET", "/products", page.clone().with("Vary", "a"))
                    .candidate(page),
                Call::new(session, "POST", "/checkout", order(10)).candidate(order(9)),
            ]
        });
        check(
            &calls,
            expect![[r#"
                POST /checkout body_changed /total x12
                GET /products header_missing header.vary x12
            "#]],
        );
    }

    #[test]
    fn a_value_that_later_requests_use_explains_them() {
        let calls = repeated(12, |index, session| {
            let list = |id: &str| ok(json!({"ids": [id]}));
            let is_odd = index == 4;
            vec![
                Call::new(session, "GET", "/list", list("abcdef"))
                    .candidate(if is_odd {
                        ok(json!({"ids": []}))
                    } else {
                        list("abcdef")
                    })
                    .produces("json./ids/0"),
                Call::new(session, "GET", "/item", order(1)).candidate(if is_odd {
                    Reply::json(404, &json!({}))
                } else {
                    order(1)
                }),
            ]
        });
        check(
            &calls,
            expect![[r#"
                GET /list body_missing /ids/* x1
                  then GET /item status status x1
            "#]],
        );
    }

    #[test]
    fn what_could_not_be_fired_follows_from_what_was_not_produced() {
        let calls = repeated(12, |index, session| {
            let login = ok(json!({"token": "abcdef"}));
            let mut calls = vec![
                Call::new(session, "POST", "/login", login.clone()).produces("json./token"),
                Call::new(session, "GET", "/me", order(1)),
            ];
            if index == 4 {
                calls[0].candidate = ok(json!({}));
                calls[1].candidate_outcome = Some(Outcome::Skipped("unbound".to_owned()));
            }
            calls
        });
        check(
            &calls,
            expect![[r#"
                POST /login body_missing /token x1
                  then GET /me error answer x1
            "#]],
        );
    }
}

mod answers {
    use super::*;

    #[test]
    fn another_status_is_one_finding() {
        let agreed = ok(json!({"a": 1})).with("Vary", "a");
        let candidate = Reply::text(503, "text/plain", "no");
        check(
            &one_in_many(&agreed, candidate),
            expect!["GET /a status status x1\n"],
        );
    }

    #[test]
    fn no_answer_is_a_finding_when_the_baseline_answers() {
        let agreed = ok(json!({"a": 1}));
        let report = check(
            &one_in_many(&agreed, Reply::error("timeout")),
            expect!["GET /a error answer x1\n"],
        );
        assert_eq!(report.findings[0].evidence[0].change, "no answer: timeout");
        let mut calls = one_in_many(&agreed, Reply::error("timeout"));
        calls[12].baseline = Reply::error("timeout");
        check(&calls, expect![""]);
    }

    #[test]
    fn errors_that_the_baseline_has_too_are_noise() {
        let agreed = ok(json!({"a": 1}));
        let mut calls = one_in_many(&agreed, Reply::error("reset"));
        calls[3].baseline = Reply::error("reset");
        check(&calls, expect![""]);
    }

    #[test]
    fn what_was_fired_without_its_values_is_not_compared() {
        let agreed = ok(json!({"a": 1}));
        let report = check(
            &one_in_many(&agreed, Reply::json(404, &json!({})).late()),
            expect![""],
        );
        assert_eq!(report.scope.endpoints[0].late, 1);
    }
}
