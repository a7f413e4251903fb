//! Whole exchanges before and after, under the policies that ship.

use expect_test::{Expect, expect};
use twintap_scrub::{Policy, Scrubber};
use twintap_stream::{RequestHead, ResponseHead};

use crate::support::{demo, exchange, key, request, response, scrub};

#[track_caller]
fn check(
    policy: Policy,
    request: (RequestHead, &str),
    response: (ResponseHead, &str),
    expected: Expect,
) {
    let scrubbed = scrub(
        &Scrubber::new(policy, &key()),
        exchange(request.0, response.0),
        request.1.as_bytes(),
        response.1.as_bytes(),
    );
    expected.assert_eq(&scrubbed.table());
}

#[test]
fn a_login_under_the_default_policy() {
    check(
        Policy::default_policy(),
        (
            request(
                "POST /v1/users/17/login?next=%2Fcart&page=2&token=kJ8x+Q2mW",
                &[
                    ("Host", "shop.example"),
                    ("Authorization", "Bearer kJ8xQ2mW9pL4vT7z"),
                    ("Cookie", "sid=0123456789abcdef; theme=dark"),
                    ("Content-Type", "application/json; charset=utf-8"),
                    ("Content-Length", "78"),
                    ("X-Forwarded-For", "203.0.113.9, 10.0.0.1"),
                    ("Referer", "https://shop.example/users/Ada?q=blue"),
                    ("Origin", "https://shop.example"),
                    ("X-Request-Id", "7d3f"),
                ],
            ),
            r#"{"username": "ada@shop.example", "password":"sésame \"1\"", "remember" : true }"#,
        ),
        (
            response(
                201,
                "Created",
                &[
                    ("Content-Type", "application/json"),
                    ("Set-Cookie", "sid=kJ8xQ2mW9pL4vT7z; Path=/; HttpOnly"),
                    (
                        "Location",
                        "/users/0f0e0d0c-0b0a-4900-8800-070605040302/orders?page=1#top",
                    ),
                    ("Cache-Control", "no-store"),
                ],
            ),
            r#"{"id":17,"token":"kJ8xQ2mW9pL4vT7z","email":"ada@shop.example","cards":[{"number":4111111111111111,"brand":"visa"}],"balance":-12.50,"at":"2024-05-01T12:00:00Z","ada@shop.example":null,"id":18}"#,
        ),
        expect![[r#"
            POST /v1/users/50/login?next=%2Fcart&page=2&token=cB2a+Z9cC HTTP/1.1
            Host: shop.example
            Authorization: Bearer b9gtupzbgB0eo-Sx
            Cookie: sid=742dd95b628876ca; theme=oyxs
            Content-Type: application/json; charset=utf-8
            Content-Length: 92
            X-Forwarded-For: 10.147.42.201, 10.108.224.89
            Referer: https://shop.example/users/Hvi?q=cius
            Origin: https://shop.example
            X-Request-Id: 3v9y

            {"username": "fsr@cfbw-dcjhlou.example.com", "password":"oüulcy \"7\"", "remember" : true }
            => Scrubbed
            = path.0 %: v1
            = path.1 %: users
            ~ path.2 %: 50
            = path.3 %: login
            ~ query.next %: %2Fcart
            ~ query.next>uri.path.0 %: %2Fcart
            = query.page %: 2
            ~ query.token +: cB2a+Z9cC
            = header.host: shop.example
            ~ header.authorization.bearer: b9gtupzbgB0eo-Sx
            ~ cookie.sid: 742dd95b628876ca
            ~ cookie.theme: oyxs
            = header.content-type: application/json; charset=utf-8
            = header.content-length: 92
            ~ header.x-forwarded-for: 10.147.42.201
            ~ header.x-forwarded-for#1: 10.108.224.89
            = referer.path.0 %: users
            ~ referer.path.1 %: Hvi
            ~ referer.query.q %: cius
            ~ header.x-request-id: 3v9y
            ~ json./username ": fsr@cfbw-dcjhlou.example.com
            ~ json./password ": oüulcy \"7\"
            = json./remember 0: true
            ----
            HTTP/1.1 201 Created
            Content-Type: application/json
            Set-Cookie: sid=b9gtupzbgB0eo-Sx; Path=/; HttpOnly
            Location: /users/65928857-65c6-473b-8881-4dc2f8c101f3/orders?page=1#ooz
            Cache-Control: no-store

            {"id":50,"token":"b9gtupzbgB0eo-Sx","email":"fsr@cfbw-dcjhlou.example.com","cards":[{"number":1352140412361616,"brand":"rqau"}],"balance":-12.50,"at":"2024-05-01T12:00:00Z","fsr@cfbw-dcjhlou.example.com":null,"id":67}
            => Scrubbed
            = header.content-type: application/json
            ~ set-cookie.sid: b9gtupzbgB0eo-Sx
            = location.path.0 %: users
            ~ location.path.1 %: 65928857-65c6-473b-8881-4dc2f8c101f3
            = location.path.2 %: orders
            = location.query.page %: 1
            ~ location.fragment %: ooz
            = header.cache-control: no-store
            ~ json./id 0: 50
            ~ json./token ": b9gtupzbgB0eo-Sx
            ~ json./email ": fsr@cfbw-dcjhlou.example.com
            ~ json./cards/0/number 0: 1352140412361616
            ~ json./cards/0/brand ": rqau
            = json./balance 0: -12.50
            = json./at ": 2024-05-01T12:00:00Z
            = json./fsr@cfbw-dcjhlou.example.com 0: null
            ~ json./id#1 0: 67
        "#]],
    );
}

#[test]
fn a_form_and_its_page_under_the_default_policy() {
    check(
        Policy::default_policy(),
        (
            request(
                "POST /products/p-0001-blue/reviews",
                &[
                    ("Content-Type", "application/x-www-form-urlencoded"),
                    ("Transfer-Encoding", "chunked"),
                ],
            ),
            "csrf_token=kJ8xQ2mW9pL4vT7z&rating=5&body=so+gut%21&tag=a&tag=b&ok",
        ),
        (
            response(
                200,
                "Ada's page",
                &[("Content-Type", "text/html; charset=utf-8")],
            ),
            concat!(
                "<!DOCTYPE html><html lang=en><head><title>Ada</title><style>p{color:red}</style></head>",
                "<body data-user=\"Ada &amp; Co\"><!-- build 7 by ada --><form method=post action='/products/p-0001-blue/reviews'>",
                "<input type=hidden name=csrf_token value=kJ8xQ2mW9pL4vT7z></form>\n",
                "<a href=\"/orders/ord_8f3a61c07d?page=2\">3 < 4, Zoë</a><script>let user = \"Ada\";</script></body></html>",
            ),
        ),
        expect![[r#"
            POST /products/e-6396-npbf/reviews HTTP/1.1
            Content-Type: application/x-www-form-urlencoded
            Transfer-Encoding: chunked

            csrf_token=b9gtupzbgB0eo-Sx&rating=5&body=qi+kyr%21&tag=i&tag=h&ok
            => Scrubbed
            = path.0 %: products
            ~ path.1 %: e-6396-npbf
            = path.2 %: reviews
            = header.content-type: application/x-www-form-urlencoded
            = header.transfer-encoding: chunked
            ~ form.csrf_token +: b9gtupzbgB0eo-Sx
            = form.rating +: 5
            ~ form.body +: qi+kyr%21
            ~ form.tag +: i
            ~ form.tag#1 +: h
            ----
            HTTP/1.1 200 Ggt'o nior
            Content-Type: text/html; charset=utf-8

            <!DOCTYPE html><html lang=en><head><title>Hvi</title><style>p{color:red}</style></head><body data-user="Xwy &amp; Ki"><!-- kddhc 3 bl rme --><form method=post action='/products/e-6396-npbf/reviews'><input type=hidden name=csrf_token value=b9gtupzbgB0eo-Sx></form>
            <a href="/orders/ktc_23982ae57f?page=2">9 &lt; 1, Srë</a><script>hrw user = "Hvi";</script></body></html>
            => Scrubbed
            = header.content-type: text/html; charset=utf-8
            ~ html.text &: Hvi
            = html.style: p{color:red}
            ~ html.attribute.data-user &: Xwy &amp; Ki
            ~ html.comment &: kddhc 3 bl rme
            = html.action.path.0 %: products
            ~ html.action.path.1 %: e-6396-npbf
            = html.action.path.2 %: reviews
            ~ html.input.csrf_token &: b9gtupzbgB0eo-Sx
            = html.href.path.0 %: orders
            ~ html.href.path.1 %: ktc_23982ae57f
            = html.href.query.page %: 2
            ~ html.text#1 &: 9 &lt; 1, Srë
            ~ html.script: hrw user = "Hvi";
            ~ html.script>js.user: hrw user = "Hvi";
        "#]],
    );
}

#[test]
fn a_login_under_the_policy_of_the_demo() {
    check(
        demo(),
        (
            request(
                "POST /login",
                &[
                    ("Content-Type", "application/json"),
                    ("Content-Length", "46"),
                ],
            ),
            r#"{"username":"ada.0017","password":"pw-0a1b2c"}"#,
        ),
        (
            response(
                200,
                "OK",
                &[
                    ("Content-Type", "application/json"),
                    (
                        "Set-Cookie",
                        "sid=0123456789abcdef0123456789abcdef; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400",
                    ),
                ],
            ),
            r#"{"user":{"id":"0f0e0d0c-0b0a-4900-8800-070605040302","username":"ada.0017","display_name":"Zoë Ångström"},"csrf_token":"kJ8xQ2mW9pL4vT7zkJ8xQ2mW9pL4vT7zkJ8xQ2mW9pL"}"#,
        ),
        expect![[r#"
            POST /login HTTP/1.1
            Content-Type: application/json
            Content-Length: 46

            {"username":"ada.0017","password":"pw-0a1b2c"}
            => Scrubbed
            = path.0 %: login
            = header.content-type: application/json
            = header.content-length: 46
            = json./username ": ada.0017
            = json./password ": pw-0a1b2c
            ----
            HTTP/1.1 200 OK
            Content-Type: application/json
            Set-Cookie: sid=8ed7927096226c2dd67ae1d2c716a2da; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400

            {"user":{"id":"65928857-65c6-473b-8881-4dc2f8c101f3","username":"ada.0017","display_name":"Zoë Ångström"},"csrf_token":"vF3jF1pE5mL7pZ1qxX1hO5aM8kZ1dB4zjQ6mE3sU9pQ"}
            => Scrubbed
            = header.content-type: application/json
            ~ set-cookie.sid: 8ed7927096226c2dd67ae1d2c716a2da
            ~ json./user/id ": 65928857-65c6-473b-8881-4dc2f8c101f3
            = json./user/username ": ada.0017
            = json./user/display_name ": Zoë Ångström
            ~ json./csrf_token ": vF3jF1pE5mL7pZ1qxX1hO5aM8kZ1dB4zjQ6mE3sU9pQ
        "#]],
    );
}

#[test]
fn a_search_and_an_order_under_the_policy_of_the_demo() {
    check(
        demo(),
        (
            request("GET /search?q=blue+kettle", &[("Host", "shop.example")]),
            "",
        ),
        (
            response(200, "OK", &[("Content-Type", "application/json")]),
            r#"{"query":"blue kettle","items":[{"id":"p-0001-blue","name":"Blue kettle","price_cents":1299}]}"#,
        ),
        expect![[r#"
            GET /search?q=blue+kettle HTTP/1.1
            Host: shop.example


            => Empty
            = path.0 %: search
            = query.q +: blue+kettle
            = header.host: shop.example
            ----
            HTTP/1.1 200 OK
            Content-Type: application/json

            {"query":"blue kettle","items":[{"id":"p-0001-blue","name":"Blue kettle","price_cents":1299}]}
            => Scrubbed
            = header.content-type: application/json
            = json./query ": blue kettle
            = json./items/0/id ": p-0001-blue
            = json./items/0/name ": Blue kettle
            = json./items/0/price_cents 0: 1299
        "#]],
    );
    check(
        demo(),
        (
            request("POST /checkout", &[("Idempotency-Key", "k-17")]),
            "",
        ),
        (
            response(
                201,
                "Created",
                &[
                    ("Content-Type", "application/json"),
                    ("Location", "/orders/ord_0123456789abcdef0123456789abcdef"),
                ],
            ),
            r#"{"id":"ord_0123456789abcdef0123456789abcdef","status":"paid","items":[{"product_id":"p-0001-blue","quantity":2,"line_cents":2598}],"totals":{"total_cents":3092}}"#,
        ),
        expect![[r#"
            POST /checkout HTTP/1.1
            Idempotency-Key: c-70


            => Empty
            = path.0 %: checkout
            ~ header.idempotency-key: c-70
            ----
            HTTP/1.1 201 Created
            Content-Type: application/json
            Location: /orders/ord_8ed7927096226c2dd67ae1d2c716a2da

            {"id":"ord_8ed7927096226c2dd67ae1d2c716a2da","status":"paid","items":[{"product_id":"p-0001-blue","quantity":2,"line_cents":2598}],"totals":{"total_cents":3092}}
            => Scrubbed
            = header.content-type: application/json
            = location.path.0 %: orders
            ~ location.path.1 %: ord_8ed7927096226c2dd67ae1d2c716a2da
            ~ json./id ": ord_8ed7927096226c2dd67ae1d2c716a2da
            = json./status ": paid
            = json./items/0/product_id ": p-0001-blue
            = json./items/0/quantity 0: 2
            = json./items/0/line_cents 0: 2598
            = json./totals/total_cents 0: 3092
        "#]],
    );
}
