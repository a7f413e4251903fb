//! Nothing that a policy does not allow is stored, whatever comes in.

use bytes::Bytes;
use proptest::prelude::*;
use twintap_scrub::{Encoding, encode};
use twintap_stream::{Field, RequestHead, ResponseHead};

use crate::support::{Scrubbed, exchange, response, scrub_in_chunks, scrubber};

/// Something that nobody would allow and that no chance repeats.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-f0-9]{31}[a-f]",
        "[A-Za-z0-9]{24}[A-Z][a-z][0-9]{3}",
        "[A-Z][a-z]{6,12} [A-Z][a-z]{6,12}",
        "[a-z]{5,9}[0-9]{4}@[a-z]{6}\\.org",
        "[1-9][0-9]{11,20}",
        "[àéîõü]{3}[а-я]{5}[一-十]{3}",
        "[A-Za-z0-9]{6} [\"\\\\<&%+;=,/?#]{3} [A-Za-z0-9]{8}",
    ]
}

/// Bodies around a secret, sound and unsound.
fn body(secret: String) -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let json = json_escaped(&secret);
    let form = String::from_utf8_lossy(&encode(secret.as_bytes(), Encoding::Form)).into_owned();
    let html =
        String::from_utf8_lossy(&encode(secret.as_bytes(), Encoding::HtmlAttribute)).into_owned();
    let bodies = vec![
        ("application/json", format!("{{\"name\":\"{json}\"}}")),
        (
            "application/json",
            format!("[[1,\"{json}\"],{{\"{json}\":[true]}}]"),
        ),
        (
            "application/json",
            format!("{{\"a\":{{\"{json}\":\"{json}\"}}}}"),
        ),
        ("application/json", format!("{{\"a\": {json}")),
        ("application/hal+json", format!("\"{json}\"")),
        (
            "application/x-ndjson",
            format!("{{\"a\":\"x\"}}\n\"{json}\"\n"),
        ),
        (
            "application/x-www-form-urlencoded",
            format!("a={form}&b=2&{form}=1&{form}"),
        ),
        ("application/x-www-form-urlencoded", form.clone()),
        ("text/plain", format!("hello {secret}!")),
        (
            "text/html",
            format!("<p>{html}</p><a href=\"/a/{form}?b={form}#{form}\">x</a>"),
        ),
        (
            "text/html",
            format!(
                "<input name=a value=\"{html}\"><input name=\"{html}\"><div title='{html}' class=\"{html}\">"
            ),
        ),
        (
            "text/html",
            format!(
                "<script>var a = \"{html}\";</script><!-- {html} --><!{html}><b {html}=\"{html}\">"
            ),
        ),
        ("text/html", format!("<p title=\"{html}")),
        ("text/xml", format!("<a>{html}</a>")),
        (
            "text/event-stream",
            format!(
                ": {json}\n{json}\n{json}: {json}\nid: {json}\nevent: {json}\nretry:{json}\n\n"
            ),
        ),
        (
            "text/event-stream",
            format!(
                "data: {json}\ndata: {{\"{json}\": [\"{json}\"]}}\r\n\r\ndata: {{\"a\": \"{json}\"}}"
            ),
        ),
        (
            "text/event-stream",
            format!("data: {{\"{json}\": {{\"b\": \"{json}\"}}}}\n\n{json}"),
        ),
        ("image/png", secret.clone()),
        ("", secret),
    ];
    (0..bodies.len()).prop_map(move |index| {
        let (media_type, body) = bodies[index].clone();
        (media_type, body.into_bytes())
    })
}

fn json_escaped(secret: &str) -> String {
    String::from_utf8_lossy(&encode(secret.as_bytes(), Encoding::JsonString)).into_owned()
}

/// Fields that carry a secret.
fn fields(secret: &str) -> Vec<Field> {
    let percent = encode(secret.as_bytes(), Encoding::Percent);
    let percent = String::from_utf8_lossy(&percent);
    [
        ("authorization", format!("Bearer {secret}")),
        ("authorization", secret.to_owned()),
        ("proxy-authorization", format!("Basic {secret}")),
        (
            "cookie",
            format!("a={percent}; b=\"{percent}\"; {percent}; {percent}=1"),
        ),
        (
            "set-cookie",
            format!("a={percent}; Path=/; Wrong={percent}"),
        ),
        (
            "location",
            format!("https://{percent}@shop.example/a/{percent}?q={percent}&{percent}#{percent}"),
        ),
        ("referer", format!("mailto:{percent}")),
        ("x-anything", secret.to_owned()),
        ("content-length", secret.to_owned()),
        ("transfer-encoding", secret.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| Field::new(name, value))
    .collect()
}

/// Looks for the secret in every way it could have been written.
fn leaked(scrubbed: &Scrubbed, secret: &str) -> bool {
    let stored = scrubbed.stored();
    [
        Encoding::Plain,
        Encoding::Percent,
        Encoding::Form,
        Encoding::JsonString,
        Encoding::HtmlAttribute,
    ]
    .into_iter()
    .any(|encoding| {
        let written = encode(secret.as_bytes(), encoding);
        memchr::memmem::find(&stored, &written).is_some()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_secret_is_stored(
        (secret, (media_type, body)) in secret().prop_flat_map(|secret| (Just(secret.clone()), body(secret))),
        chunk_bytes in 1..64_usize,
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let percent = encode(secret.as_bytes(), Encoding::Percent);
        let percent = String::from_utf8_lossy(&percent);
        let mut body = body;
        if let Some((at, byte)) = damage {
            // A body that breaks off or goes wrong somewhere.
            let at = at.index(body.len());
            body.insert(at, byte);
        }
        let request = RequestHead {
            method: Bytes::from_static(b"POST"),
            target: format!("/orders/{percent}/x?q={percent}&{percent}=1&{percent}").into(),
            version: Bytes::from_static(b"HTTP/1.1"),
            fields: fields(&secret),
            line_spelling: Some(Box::new([
                Bytes::from(secret.clone()),
                Bytes::from_static(b"\t"),
                Bytes::from_static(b"\n"),
            ])),
            end: secret.clone().into(),
        };
        let mut response: ResponseHead = response(200, &secret, &[]);
        response.fields = fields(&secret);
        response.fields.push(Field::new("content-type", media_type));
        let mut before = exchange(request, response.clone());
        before.response.trailers = fields(&secret);
        before.interim = vec![response];
        let scrubbed = scrub_in_chunks(&scrubber(), before, b"", &body, chunk_bytes);
        scrubbed.request_values();
        scrubbed.response_values();
        prop_assert!(!leaked(&scrubbed, &secret), "{}", scrubbed.table());
        for part in [&scrubbed.exchange.response.trailers, &scrubbed.exchange.interim[0].fields] {
            for field in part {
                prop_assert!(memchr::memmem::find(&field.value, secret.as_bytes()).is_none());
            }
        }
    }

    #[test]
    fn any_bytes_are_taken(
        target in any::<Vec<u8>>(),
        name in any::<Vec<u8>>(),
        value in any::<Vec<u8>>(),
        markup in "[<>/!a-c=\"' &;-]{0,60}",
        json in "[\\[\\]{}:,\"\\\\a0-9. -]{0,60}",
        events in "(data|id|event|:|x|\\{\"a\":1\\}|\\[|\\]| |\r|\n){0,60}",
        chunk_bytes in 1..64_usize,
    ) {
        for (media_type, body) in [
            ("text/html", markup.as_bytes()),
            ("application/json", json.as_bytes()),
            ("application/x-ndjson", json.as_bytes()),
            ("application/x-www-form-urlencoded", &value),
            ("text/plain", &value),
            ("text/event-stream", events.as_bytes()),
            ("application/grpc", &value),
        ] {
            let known = ["cookie", "set-cookie", "location", "authorization", "content-type"]
                .map(|name| Field::new(name, value.clone()));
            let mut request = crate::support::request("GET /", &[("content-type", media_type)]);
            request.target = target.clone().into();
            request.fields.extend(known);
            request.fields.push(Field::new(name.clone(), value.clone()));
            let mut response = response(200, "OK", &[("content-type", media_type)]);
            response.fields.extend(request.fields[1..6].to_vec());
            let before = exchange(request, response);
            let once = scrub_in_chunks(&scrubber(), before.clone(), body, body, chunk_bytes);
            once.request_values();
            once.response_values();
            let again = scrub_in_chunks(&scrubber(), before, body, body, 1 << 20);
            prop_assert_eq!(once.stored(), again.stored());
        }
    }
}
