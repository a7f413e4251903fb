//! Which exchanges are one session.

use expect_test::{Expect, expect};
use twintap_plan::PlanOptions;

use crate::dsl::{capture, plan_of, render_sessions};

#[track_caller]
fn check(text: &str, expected: Expect) {
    let plan = plan_of(&capture(text), &PlanOptions::default());
    expected.assert_eq(&render_sessions(&plan));
}

const SID_A: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
const SID_B: &str = "0f9e8d7c6b5a49382716f5e4d3c2b1a0";

/// `text` with `$A` and `$B` for two session cookies' values.
fn with_sids(text: &str) -> String {
    text.replace("$A", SID_A).replace("$B", SID_B)
}

#[test]
fn a_login_continues_its_flow_and_goes_on_over_others() {
    check(
        &with_sids(
            "0 f1 GET / -> 1
             10 f1 POST /login -> 12 set-cookie.sid=$A
             20 f1 GET /me cookie.sid=$A -> 22
             30 f2 @10.9.9.9 GET /cart cookie.sid=$A -> 32",
        ),
        expect![[r#"
            A cookie: f1.0 f1.1 f1.2 f2.0
        "#]],
    );
}

#[test]
fn a_pooled_flow_merges_nobody() {
    check(
        &with_sids(
            "0 f1 POST /login -> 2 set-cookie.sid=$A
             10 f1 GET /anonymous -> 12
             20 f1 POST /login -> 22 set-cookie.sid=$B
             30 f1 GET /me cookie.sid=$A -> 32
             40 f1 GET /me cookie.sid=$B -> 42
             50 f2 GET /me cookie.sid=$A -> 52",
        ),
        expect![[r#"
            A cookie: f1.0 f1.3 f2.0
            B exchange: f1.1
            C cookie: f1.2 f1.4
        "#]],
    );
}

#[test]
fn a_rotated_cookie_is_one_lineage() {
    check(
        &with_sids(
            "0 f1 GET / -> 2 set-cookie.sid=$A
             10 f2 POST /login cookie.sid=$A -> 12 set-cookie.sid=$B
             20 f3 GET /me cookie.sid=$B -> 22",
        ),
        expect![[r#"
            A cookie: f1.0 f2.0 f3.0
        "#]],
    );
}

#[test]
fn a_refreshed_cookie_has_one_origin() {
    check(
        &with_sids(
            "0 f1 POST /login -> 2 set-cookie.sid=$A
             10 f2 GET /me cookie.sid=$A -> 12 set-cookie.sid=$A
             20 f3 GET /me cookie.sid=$A -> 22 set-cookie.sid=$A",
        ),
        expect![[r#"
            A cookie: f1.0 f2.0 f3.0
        "#]],
    );
}

#[test]
fn a_theme_identifies_nobody() {
    check(
        "0 f1 GET / cookie.theme=dark cookie.consent=everything-accepted -> 2
         10 f2 GET / cookie.theme=dark cookie.consent=everything-accepted -> 12",
        expect![[r#"
            A flow: f1.0
            B flow: f2.0
        "#]],
    );
}

#[test]
fn a_constant_given_to_several_clients_identifies_nobody() {
    check(
        "0 f1 GET / -> 2 set-cookie.backend=node-7f3a9c2e41d8b605
         10 f2 GET / -> 12 set-cookie.backend=node-7f3a9c2e41d8b605
         20 f3 GET / cookie.backend=node-7f3a9c2e41d8b605 -> 22
         30 f4 GET / cookie.backend=node-7f3a9c2e41d8b605 -> 32",
        expect![[r#"
            A flow: f1.0
            B flow: f2.0
            C flow: f3.0
            D flow: f4.0
        "#]],
    );
}

#[test]
fn a_constant_beside_two_lineages_identifies_nobody() {
    check(
        &with_sids(
            "0 f1 POST /login cookie.consent=v2-2024-01-01T00:00:00Z -> 2 set-cookie.sid=$A
             10 f2 POST /login cookie.consent=v2-2024-01-01T00:00:00Z -> 12 set-cookie.sid=$B
             20 f3 GET /me cookie.consent=v2-2024-01-01T00:00:00Z cookie.sid=$A -> 22
             30 f4 GET /me cookie.consent=v2-2024-01-01T00:00:00Z cookie.sid=$B -> 32",
        ),
        expect![[r#"
            A cookie: f1.0 f3.0
            B cookie: f2.0 f4.0
        "#]],
    );
}

#[test]
fn a_constant_beside_values_in_turn_identifies_nobody() {
    check(
        &with_sids(
            "0 f1 GET /me cookie.consent=v2-2024-01-01T00:00:00Z cookie.sid=$A -> 2
             10 f2 GET /me cookie.consent=v2-2024-01-01T00:00:00Z cookie.sid=$B -> 12
             20 f3 GET /me cookie.consent=v2-2024-01-01T00:00:00Z cookie.sid=$A -> 22
             30 f4 GET /me cookie.consent=v2-2024-01-01T00:00:00Z cookie.sid=$B -> 32",
        ),
        expect![[r#"
            A cookie: f1.0 f3.0 began before
            B cookie: f2.0 f4.0 began before
        "#]],
    );
}

#[test]
fn a_counter_of_a_script_leaves_the_session_whole() {
    check(
        &with_sids(
            "0 f1 GET /1 cookie.sid=$A cookie._ga_X=GS1.1.1700000000.1.1 -> 2
             10 f2 GET /2 cookie.sid=$A cookie._ga_X=GS1.1.1700000000.1.2 -> 12
             20 f3 GET /3 cookie.sid=$A cookie._ga_X=GS1.1.1700000000.1.1 -> 22
             30 f4 GET /4 cookie.sid=$A cookie._ga_X=GS1.1.1700000000.1.2 -> 32",
        ),
        expect![[r#"
            A cookie: f1.0 f2.0 f3.0 f4.0 began before
        "#]],
    );
}

#[test]
fn a_token_from_many_networks_identifies_nobody() {
    check(
        "0 f1 @10.1.0.1 GET / cookie.app=build-2024-11-05-77 -> 1
         10 f2 @10.1.0.2 GET / cookie.app=build-2024-11-05-77 -> 11
         20 f3 @10.1.0.3 GET / cookie.app=build-2024-11-05-77 -> 21
         30 f4 @10.1.0.4 GET / cookie.app=build-2024-11-05-77 -> 31",
        expect![[r#"
            A flow: f1.0
            B flow: f2.0
            C flow: f3.0
            D flow: f4.0
        "#]],
    );
}

#[test]
fn authorization_tells_clients_apart() {
    check(
        "0 f1 POST /token -> 2 json./access_token=eyJ0eXAi.A1b2C3d4E5f6.x9
         10 f2 GET /me header.authorization.bearer=eyJ0eXAi.A1b2C3d4E5f6.x9 -> 12
         20 f3 GET /me header.authorization.bearer=eyJ0eXAi.Z9y8X7w6V5u4.x9 -> 22
         30 f4 GET /me header.authorization.basic=bob:hunter2 -> 32
         40 f5 GET /me header.authorization.basic=bob:hunter2 -> 42",
        expect![[r#"
            A authorization: f1.0 f2.0
            B authorization: f3.0 began before
            C authorization: f4.0 f5.0
        "#]],
    );
}

#[test]
fn a_token_in_a_body_continues_its_own_client_only() {
    check(
        "0 f1 POST /token -> 2 json./token=t0k3n-A1b2C3d4E5f6
         10 f1 POST /refresh header.authorization.bearer=t0k3n-A1b2C3d4E5f6 -> 12 json./token=t0k3n-Z9y8X7w6V5u4
         20 f2 GET /me header.authorization.bearer=t0k3n-Z9y8X7w6V5u4 -> 22 json./invite=t0k3n-K5j4H3g2F1d0
         30 f3 @192.0.2.7 GET /me header.authorization.bearer=t0k3n-K5j4H3g2F1d0 -> 32",
        expect![[r#"
            A authorization: f1.0 f1.1 f2.0
            B authorization: f3.0
        "#]],
    );
}

#[test]
fn a_signature_is_no_identity() {
    check(
        "0 f1 GET /a header.authorization.aws4-hmac-sha256=Signature-5d41402abc4b2a76 -> 2
         10 f1 GET /b header.authorization.aws4-hmac-sha256=Signature-7d793037a0760186 -> 12",
        expect![[r#"
            A flow: f1.0 f1.1
        "#]],
    );
}

#[test]
fn an_api_key_counts_last_and_joins_nothing() {
    check(
        &with_sids(
            "0 f1 POST /login header.x-api-key=app-1234 -> 2 set-cookie.sid=$A
             10 f2 POST /login header.x-api-key=app-1234 -> 12 set-cookie.sid=$B
             20 f3 GET /me header.x-api-key=app-1234 cookie.sid=$A -> 22
             30 f4 GET /me header.x-api-key=app-1234 cookie.sid=$B -> 32
             40 f5 GET /status header.x-api-key=machine-77 -> 42
             50 f6 GET /status header.x-api-key=machine-77 -> 52",
        ),
        expect![[r#"
            A cookie: f1.0 f3.0
            B cookie: f2.0 f4.0
            C authorization: f5.0 f6.0
        "#]],
    );
}

#[test]
fn two_legs_of_a_proxy_are_one_origin() {
    check(
        &with_sids(
            "0 f1 @127.0.0.1 >127.0.0.1:80 POST /login -> 9 set-cookie.sid=$A
             2 f2 @127.0.0.1 >127.0.0.1:8080 POST /login -> 7 set-cookie.sid=$A
             20 f3 @127.0.0.1 >127.0.0.1:80 GET /me cookie.sid=$A -> 29",
        ),
        expect![[r#"
            A cookie: f1.0 f2.0 f3.0
        "#]],
    );
}

#[test]
fn what_began_before_the_capture_is_marked() {
    check(
        &with_sids(
            "0 f1 GET /me cookie.sid=$A -> 2
             10 f2 !began GET / -> 12
             20 f3 GET / cookie._ga=GA1.2.1234567890.1700000000 -> 22
             30 f4 GET / -> 32",
        ),
        expect![[r#"
            A cookie: f1.0 began before
            B flow: f2.0 began before
            C cookie: f3.0
            D flow: f4.0
        "#]],
    );
}

#[test]
fn names_are_made_of_the_identity() {
    let text = with_sids("0 f1 GET / cookie.sid=$A -> 2\n10 f2 GET / -> 12");
    let plan = plan_of(&capture(&text), &PlanOptions::default());
    let names: Vec<&str> = plan.sessions.iter().map(|s| s.id.as_str()).collect();
    let tag = format!("{:016x}", crate::dsl::tag_of(SID_A).0);
    assert_eq!(names[0], format!("s-{}", &tag[..12]));
    assert!(names[1].starts_with("s-") && names[1].len() == 14);
}
