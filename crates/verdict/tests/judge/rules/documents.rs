//! Pages, XML, forms and texts by what they are made of.

use super::*;

fn page(body: &str) -> Reply {
    Reply::text(200, "text/html; charset=utf-8", body)
}

#[track_caller]
fn page_change(from: &str, to: &str, expected: Expect) {
    check(&one_in_many(&page(from), page(to)), expected);
}

fn xml(body: &str) -> Reply {
    Reply::text(200, "application/xml", body)
}

#[track_caller]
fn xml_change(from: &str, to: &str, expected: Expect) {
    check(&one_in_many(&xml(from), xml(to)), expected);
}

fn plain(body: &str) -> Reply {
    Reply::text(200, "text/plain", body)
}

#[test]
fn what_browsers_do_not_tell_apart_is_the_same() {
    page_change(
        r#"<ul class="a b"><li id=x title="t">One<li>Two &amp; three</ul><!-- 1 -->"#,
        "<html><body>\n <ul class='b  a'>\n<li title=t id='x'> One </li><LI>Two & three</LI>\n</ul></body>",
        expect![""],
    );
}

#[test]
fn places_in_pages_are_selectors() {
    let shop = |price: &str, link: &str| {
        format!(
            "<main><h1>Tea</h1><ul class=products><li>Green<li>Black</ul>\
             <table><tr><th>Price<td>{price}<td>each</table><a href={link}>more</a></main>"
        )
    };
    page_change(
        &shop("12.99", "/a"),
        &shop("12.98", "/a"),
        expect![[r#"
            GET /a body_changed html > body > main > table > tbody > tr > td:nth-child(2) after "Price" x1
        "#]],
    );
    page_change(
        &shop("12.99", "/a"),
        &shop("12.99", "/b"),
        expect![[r#"
            GET /a body_changed html > body > main > a@href x1
        "#]],
    );
}

#[test]
fn elements_that_come_go_or_move_make_no_other_differ() {
    let list = |names: &[&str]| {
        let items: Vec<String> = names
            .iter()
            .map(|name| format!("<li class=item><b>{name}</b> <i>in stock</i></li>"))
            .collect();
        format!("<ul>{}</ul>", items.concat())
    };
    page_change(
        &list(&["Ada", "Bea", "Cleo"]),
        &list(&["Zoe", "Ada", "Bea", "Cleo"]),
        expect![[r#"
            GET /a body_added html > body > ul > li.item x1
        "#]],
    );
    page_change(
        &list(&["Ada", "Bea", "Cleo"]),
        &list(&["Ada", "Cleo"]),
        expect![[r#"
            GET /a body_missing html > body > ul > li.item x1
        "#]],
    );
    page_change(
        &list(&["Ada", "Bea", "Cleo"]),
        &list(&["Cleo", "Ada", "Bea"]),
        expect![[r#"
            GET /a body_order html > body > ul (order) x1
        "#]],
    );
    page_change(
        "<p>a</p><input name=q required>",
        "<p>a</p><input name=q>",
        expect![[r#"
            GET /a body_missing html > body > input[name=q]@required x1
        "#]],
    );
}

#[test]
fn tokens_of_a_form_are_made_up_anew() {
    let form = |token: &str| {
        page(&format!(
            "<form><input type=hidden name=csrf value={token}><script nonce={token}>var t=\"{token}\";</script></form>"
        ))
    };
    let tokens = ["kE9Rz2qwX7bT0aLm", "pQ8Rz2qwX7bT0aLx", "mW3Yt9plC5vN1sKd"];
    let calls = repeated(12, |index, session| {
        let candidate = match index {
            5 => form("none"),
            _ => form(tokens[2]),
        };
        vec![
            Call::new(session, "GET", "/a", form(tokens[0]))
                .baseline(form(tokens[1]))
                .candidate(candidate),
        ]
    });
    check(
        &calls,
        expect![[r#"
            GET /a body_changed html > body > form > input[name=csrf]@value x1
              also body_changed html > body > form > script after "t"
              also body_changed html > body > form > script@nonce
        "#]],
    );
}

#[test]
fn noise_in_one_part_of_a_page_hides_no_other() {
    let shown = |visitors: usize, price: &str| {
        page(&format!(
            "<p>Visitors <b>{visitors}</b></p><p>Price <b>{price}</b></p>"
        ))
    };
    let calls = repeated(12, |index, session| {
        let price = if index == 7 { "9.98" } else { "9.99" };
        vec![
            Call::new(session, "GET", "/a", shown(index * 7, "9.99"))
                .baseline(shown(index * 7 + 3, "9.99"))
                .candidate(shown(index * 7 + 5, price)),
        ]
    });
    check(
        &calls,
        expect![[r#"
            GET /a body_changed html > body > p > b after "Price" x1
        "#]],
    );
}

#[test]
fn prefixes_and_white_space_of_xml_say_nothing() {
    xml_change(
        r#"<?xml version="1.0"?><o:order xmlns:o="urn:o" id="7" o:x="1"><o:item>Tea</o:item></o:order>"#,
        "<order xmlns=\"urn:o\" xmlns:p=\"urn:o\" p:x='1' id='7'>\n  <item>Tea</item><!-- ok -->\n</order>",
        expect![""],
    );
    xml_change(
        "<order xmlns=\"urn:o\"><item>Tea</item></order>",
        "<order xmlns=\"urn:p\"><item>Tea</item></order>",
        expect![[r#"
            GET /a body_missing /order x1
              also body_added /order
        "#]],
    );
}

#[test]
fn xml_is_compared_by_elements_and_attributes() {
    let order = |id: &str, items: &[&str], total: &str| {
        let items: Vec<String> = items
            .iter()
            .map(|name| format!("<item><name>{name}</name></item>"))
            .collect();
        format!(
            "<order id=\"{id}\">{}<total>{total}</total></order>",
            items.concat()
        )
    };
    let agreed = order("7", &["Tea", "Milk"], "9.99");
    xml_change(
        &agreed,
        &order("8", &["Tea", "Milk"], "9.99"),
        expect!["GET /a body_changed /order/@id x1\n"],
    );
    xml_change(
        &agreed,
        &order("7", &["Tea", "Milk"], "10.99"),
        expect!["GET /a body_changed /order/total x1\n"],
    );
    xml_change(
        &agreed,
        &order("7", &["Cup", "Tea", "Milk"], "9.99"),
        expect!["GET /a body_added /order/item x1\n"],
    );
    xml_change(
        &agreed,
        &agreed[..agreed.len() - 9],
        expect!["GET /a body_type body x1\n"],
    );
}

#[test]
fn forms_are_compared_by_field() {
    let form = |text: &str| Reply::text(200, "application/x-www-form-urlencoded", text);
    check(
        &one_in_many(&form("a=1&b=x+y"), form("b=x%20y&a=1")),
        expect![""],
    );
    check(
        &one_in_many(&form("a=1&b=2"), form("a=1&b=3")),
        expect!["GET /a body_changed /b/* x1\n"],
    );
}

#[test]
fn texts_are_compared_line_by_line() {
    let log = "first line\nsecond line\nthird line\n";
    check(
        &one_in_many(&plain(log), plain(&log.replace("second", "other"))),
        expect![[r#"
            GET /a body_changed text x1
        "#]],
    );
    check(
        &one_in_many(&plain(log), plain(&format!("a new line\n{log}"))),
        expect!["GET /a body_added text/* x1\n"],
    );
    check(
        &one_in_many(&plain(log), plain("third line\nfirst line\nsecond line\n")),
        expect!["GET /a body_order text (order) x1\n"],
    );
}

#[test]
fn an_order_that_varies_is_noise_and_what_stands_in_it_is_none() {
    let list = |seed: usize, odd: bool| {
        let names: Vec<Value> = (0..5)
            .map(|index| json!({"name": (index + seed) % 5, "price": if odd { 2 } else { 1 }}))
            .collect();
        ok(json!({"items": names}))
    };
    let calls = |odd: Option<usize>| {
        repeated(12, |index, session| {
            vec![
                Call::new(session, "GET", "/a", list(index, false))
                    .baseline(list(index * 3 + 1, false))
                    .candidate(list(index * 2 + 2, odd == Some(index))),
            ]
        })
    };
    check(&calls(None), expect![""]);
    check(
        &calls(Some(4)),
        expect!["GET /a body_changed /items/*/price x1\n"],
    );
}

#[test]
fn arrays_are_sets_or_sequences_where_that_is_said() {
    let options = |pattern: &str, how: &str| {
        let text = json!({"arrays": {pattern: how}}).to_string();
        serde_json::from_str::<Options>(&text).expect("options")
    };
    let calls = one_in_many(
        &ok(json!({"tags": ["a", "b", "c"]})),
        ok(json!({"tags": ["c", "a", "b"]})),
    );
    let found = |options: Options| {
        lines(&judge_with(
            options,
            RunFacts::default(),
            observations(&calls),
        ))
    };
    assert_eq!(
        found(Options::default()),
        ["GET /a body_order /tags (order) x1"]
    );
    for pattern in ["/tags", "GET /a /tags", "GET /* /t*"] {
        assert!(found(options(pattern, "set")).is_empty(), "{pattern}");
    }
    assert_eq!(
        found(options("POST /a /tags", "set")),
        ["GET /a body_order /tags (order) x1"]
    );
    assert_eq!(
        found(options("/tags", "sequence")),
        ["GET /a body_changed /tags/* x1"]
    );
}

#[test]
fn compressed_bodies_are_compared_as_what_they_are() {
    let zipped = |body: &str, level| {
        let mut encoder =
            flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        std::io::Write::write_all(&mut encoder, body.as_bytes()).expect("it is memory");
        Reply::bytes(
            200,
            "application/json",
            encoder.finish().expect("it is memory"),
        )
        .with("Content-Encoding", "gzip")
    };
    let body = r#"{"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b": 1}"#;
    check(&one_in_many(&zipped(body, 1), zipped(body, 0)), expect![""]);
    check(
        &one_in_many(&zipped(body, 1), zipped(&body.replace('1', "2"), 1)),
        expect!["GET /a body_changed /b x1\n"],
    );
}

/// A reply of a database, whose rows have an order or none.
fn rows(names: [&str; 2], has_order: bool) -> Reply {
    let [first, second] = names;
    let unordered = match has_order {
        true => "",
        false => r#","unordered":true"#,
    };
    let body = format!(
        r#"{{"results":[{{"columns":["name"],"rows":[{{"name":"{first}"}},{{"name":"{second}"}}]{unordered}}}]}}"#
    );
    Reply::text(200, twintap_stream::document::CONTENT_TYPE, &body)
}

#[test]
fn rows_have_an_order_where_the_statement_asked_for_one() {
    let (one, other) = (["tea", "milk"], ["milk", "tea"]);
    check(
        &one_in_many(&rows(one, false), rows(other, false)),
        expect![""],
    );
    check(
        &one_in_many(&rows(one, true), rows(other, true)),
        expect![[r#"
            GET /a body_order /results/*/rows (order) x1
        "#]],
    );
    check(
        &one_in_many(&rows(one, false), rows(["milk", "coffee"], false)),
        expect![[r#"
            GET /a body_changed /results/*/rows/*/name x1
        "#]],
    );
}
