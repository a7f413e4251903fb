//! Which exchanges are internal.

use expect_test::{Expect, expect};
use twintap_plan::{EntryRule, PlanOptions};

use crate::dsl::{capture, plan_of, render};

#[track_caller]
fn check(entry: EntryRule, text: &str, expected: Expect) {
    let options = PlanOptions {
        entry,
        ..PlanOptions::default()
    };
    expected.assert_eq(&render(&plan_of(&capture(text), &options)));
}

/// A gateway at 10.0.0.1 that asks a service at 10.0.0.2.
const CHAIN: &str = "0 f1 @192.0.2.7 >10.0.0.1:80 GET /shop -> 20
    5 f2 @10.0.0.1 >10.0.0.2:8080 GET /stock -> 15
    50 f3 @10.0.0.1 >10.0.0.2:8080 GET /timer -> 55";

#[test]
fn a_call_within_an_exchange_is_internal() {
    check(
        EntryRule::Auto,
        CHAIN,
        expect![[r#"
        0 0ms f1.0 A
        1 5ms f2.0 B filtered internal
        2 50ms f3.0 C
    "#]],
    );
}

#[test]
fn all_is_entry_where_the_rule_says_so() {
    check(
        EntryRule::All,
        CHAIN,
        expect![[r#"
        0 0ms f1.0 A
        1 5ms f2.0 B
        2 50ms f3.0 C
    "#]],
    );
}

#[test]
fn clients_can_be_excluded_by_network() {
    let networks = vec!["10.0.0.0/8".parse().expect("a network")];
    check(
        EntryRule::ExcludeClients(networks),
        CHAIN,
        expect![[r#"
        0 0ms f1.0 A
        1 5ms f2.0 B filtered internal
        2 50ms f3.0 C filtered internal
    "#]],
    );
}

#[test]
fn one_host_tells_nothing() {
    check(
        EntryRule::Auto,
        "0 f1 @127.0.0.1 >127.0.0.1:80 GET /a -> 20
         5 f2 @127.0.0.1 >127.0.0.1:8080 GET /b -> 15
         30 f3 @10.0.0.1 >10.0.0.1:80 GET /a -> 50
         35 f4 @10.0.0.1 >10.0.0.1:8080 GET /b -> 45",
        expect![[r#"
            0 0ms f1.0 A
            1 5ms f2.0 B
            2 30ms f3.0 C
            3 35ms f4.0 D
        "#]],
    );
}

#[test]
fn an_internal_leg_is_no_evidence() {
    // The service's own token rides on every internal call, and the internal leg
    // repeats what the entry leg says.
    check(
        EntryRule::Auto,
        "0 f1 @192.0.2.7 >10.0.0.1:80 POST /login -> 20 set-cookie.sid=a1b2c3d4e5f60718
         5 f2 @10.0.0.1 >10.0.0.2:8080 POST /login header.authorization.bearer=svc-0123456789abcdef -> 15 json./sid=a1b2c3d4e5f60718
         30 f3 @192.0.2.8 >10.0.0.1:80 POST /login -> 50 set-cookie.sid=1b2c3d4e5f60718a
         35 f4 @10.0.0.1 >10.0.0.2:8080 POST /login header.authorization.bearer=svc-0123456789abcdef -> 45 json./sid=1b2c3d4e5f60718a
         60 f5 @192.0.2.7 >10.0.0.1:80 GET /me cookie.sid=a1b2c3d4e5f60718 -> 80
         65 f6 @10.0.0.1 >10.0.0.2:8080 GET /me header.authorization.bearer=svc-0123456789abcdef cookie.sid=a1b2c3d4e5f60718 -> 75
         90 f7 @192.0.2.8 >10.0.0.1:80 GET /me cookie.sid=1b2c3d4e5f60718a -> 99",
        expect![[r#"
            0 0ms f1.0 A
            1 5ms f2.0 B filtered internal
            2 30ms f3.0 C
            3 35ms f4.0 B filtered internal
            4 60ms f5.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            5 65ms f6.0 A filtered internal
            6 90ms f7.0 C after 2(binding) cookie.sid<-2:set-cookie.sid
        "#]],
    );
}
