//! One value, one pseudonym: in the traffic and in every snapshot.

use bytes::Bytes;
use twintap_scrub::SnapshotFormat;

use crate::hostile;
use crate::support::{request, response, scrubber};

const EMAIL: &str = "ada.lovelace@mail.example.org";
const ID: &str = "4711";
const CARD: &str = "4111 1111 1111 1111";

/// The three values, as an answer in JSON has them once it is scrubbed.
fn in_traffic() -> [String; 3] {
    let body = format!(r#"{{"email":"{EMAIL}","id":{ID},"card":"{CARD}"}}"#);
    let (_, body, _) = scrubber().scrub_response(
        &request("GET /users/4711", &[]),
        &response(200, "OK", &[("content-type", "application/json")]),
        Bytes::from(body),
    );
    let body = body.expect("a body is kept").into_inner();
    let body: serde_json::Value = serde_json::from_slice(&body).expect("it is still JSON");
    let text = |name: &str| match &body[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    [text("email"), text("id"), text("card")]
}

#[track_caller]
fn check(format: SnapshotFormat, write: impl Fn([&str; 3]) -> String) {
    let input = write([EMAIL, ID, CARD]);
    let out = hostile::in_pieces(&scrubber(), format, input.as_bytes(), input.len());
    let [email, id, card] = in_traffic();
    for (new, old) in [(&email, EMAIL), (&id, ID), (&card, CARD)] {
        assert_ne!(new, old);
    }
    let out = out.unwrap_or_else(|error| panic!("{error}"));
    let expected = write([&email, &id, &card]);
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn json_lines_have_the_pseudonyms_of_the_traffic() {
    check(SnapshotFormat::JsonLines, |[email, id, card]| {
        format!("{{\"id\":{id},\"email\":\"{email}\"}}\r\n\n{{\"to\": [{{\"card\": \"{card}\"}}]}}")
    });
}

#[test]
fn csv_has_the_pseudonyms_of_the_traffic() {
    check(SnapshotFormat::Csv, |[email, id, card]| {
        format!("id,e-mail,\"card no\"\n{id},{email},\"{card}\"\n")
    });
}

#[test]
fn postgres_has_the_pseudonyms_of_the_traffic() {
    check(SnapshotFormat::Postgres, |[email, id, card]| {
        format!(
            "COPY public.users (id, email, card) FROM stdin;\n{id}\t{email}\t{card}\n\\.\n\
             INSERT INTO public.users (email, card, id) VALUES ('{email}', $${card}$$, {id}), (E'{email}', '{card}', '{id}');\n"
        )
    });
}

#[test]
fn mysql_has_the_pseudonyms_of_the_traffic() {
    check(SnapshotFormat::Mysql, |[email, id, card]| {
        format!(
            "CREATE TABLE `users` (`id` int NOT NULL, `email` text, `card` text, PRIMARY KEY (`id`));\n\
             INSERT INTO `users` VALUES ({id},'{email}','{card}'),('{id}',\"{email}\",_utf8mb4'{card}');\n"
        )
    });
}

#[test]
fn redis_has_the_pseudonyms_of_the_traffic() {
    check(SnapshotFormat::Redis, |[email, id, card]| {
        let resp = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        format!(
            "HSET user:{id} email {email} card \"{card}\" id {id}\n*3\r\n{}{}{}",
            resp("SET"),
            resp(&format!("user:{id}:email")),
            resp(email)
        )
    });
}

#[test]
fn what_lies_in_a_value_has_the_pseudonyms_of_the_traffic() {
    check(SnapshotFormat::Postgres, |[email, id, card]| {
        format!(
            "INSERT INTO events (doc) VALUES ('{{\"user\": {{\"id\": {id}}}, \"email\": \"{email}\", \"card\": \"{card}\"}}');\n\
             COPY events (doc) FROM stdin;\n{{\"email\":\"{email}\", \"id\":{id}, \"card\":\"{card}\"}}\n\\.\n"
        )
    });
}

/// Where a JSON text is longer than what is looked into elsewhere, it is JSON all the same.
#[test]
fn long_json_in_a_column_stays_json() {
    check(SnapshotFormat::Postgres, |[email, id, card]| {
        let items = format!("{{\"id\": {id}, \"card\": \"{card}\"}}, ").repeat(3_000);
        format!("INSERT INTO events (doc) VALUES ('[{items}\"{email}\"]');\n",)
    });
}
