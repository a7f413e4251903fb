//! Twins whose values are their own, in every place that values have.

use std::path::Path;

use base64::Engine as _;
use tempfile::TempDir;
use twintap_replayer::fire::RunControl;
use twintap_replayer::run::{RunFile, execute};
use twintap_verdict::{Report, Verdict};

use crate::recording::{Recorded, record};
use crate::twins::{Reply, Seen, TwinServer};

/// One step of a conversation: a request and its response, in which `{1}`, `{2}` and
/// so on stand for values that the service makes. A request goes through only with
/// the values of the twin that it is sent to.
struct Step {
    request: String,
    response: String,
}

/// The values of production and of each twin: same kinds, other letters.
fn values(who: &str) -> [String; 4] {
    [1, 2, 3, 4].map(|number| format!("{who}{number}Kq8Zr2LmX7vKc{number}Pd"))
}

fn filled(text: &str, who: &str) -> String {
    let mut text = text.to_owned();
    for (index, value) in values(who).iter().enumerate() {
        text = text.replace(&format!("{{{}}}", index + 1), value);
    }
    // What is in base64 is written in the text as `<base64:...>`.
    while let Some((before, rest)) = text.split_once("<base64:") {
        let (inside, after) = rest.split_once('>').expect("an end");
        let encoded = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(inside);
        text = format!("{before}{encoded}{after}");
    }
    text
}

fn request(line: &str, fields: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n{body}")
}

/// The head says the body's length once that is known.
fn with_length(text: &str) -> String {
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn answer(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")
}

fn archive(steps: &[Step]) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let texts: Vec<(String, String)> = steps
        .iter()
        .map(|step| {
            (
                with_length(&filled(&step.request, "prod")),
                with_length(&filled(&step.response, "prod")),
            )
        })
        .collect();
    let exchanges: Vec<Recorded<'_>> = texts
        .iter()
        .enumerate()
        .map(|(index, (request, response))| Recorded {
            flow: 1,
            at_ms: index as u64 * 10,
            request,
            response,
        })
        .collect();
    record(directory.path(), &exchanges);
    directory
}

/// A twin that answers a step only if the request carries its own values wherever
/// the recorded one carried production's.
fn twin(who: &'static str, steps: &[Step]) -> TwinServer {
    let steps: Vec<(String, String, String)> = steps
        .iter()
        .map(|step| {
            let request = with_length(&filled(&step.request, who));
            let (head, body) = request.split_once("\r\n\r\n").expect("a head");
            let response = with_length(&filled(&step.response, who));
            (head.to_owned(), body.to_owned(), response)
        })
        .collect();
    TwinServer::start(move |seen: &Seen| {
        let is_it = |(head, body, _): &&(String, String, String)| {
            let fields = |head: &str| -> Vec<String> {
                let lines = head
                    .lines()
                    .filter(|line| !line.starts_with("Content-Length"));
                lines.map(str::to_owned).collect()
            };
            fields(head) == fields(&seen.head) && *body == seen.body
        };
        Reply::Text(match steps.iter().find(is_it) {
            Some((.., response)) => response.clone(),
            None => with_length(
                &answer("", &format!("no: {}", seen.line)).replace("200 OK", "400 Bad Request"),
            ),
        })
    })
}

fn run(directory: &Path, twins: &[TwinServer; 2]) -> Report {
    run_with(directory, twins, "")
}

fn run_with(directory: &Path, twins: &[TwinServer; 2], more: &str) -> Report {
    let [candidate, baseline] = twins.each_ref().map(|twin| twin.address);
    let text = format!(
        "version: 1\narchive: archive\noutput: results\ntargets:\n  candidate: {{address: '{candidate}'}}\n  \
         baseline: {{address: '{baseline}'}}\nallow: ['{candidate}', '{baseline}']\n{more}"
    );
    let path = directory.join("run.yaml");
    std::fs::write(&path, text).expect("a directory to write to");
    let file = RunFile::read(&path).expect("a sound run file");
    let control = RunControl::new().expect("an eventfd");
    execute(&file, &control, &mut |_| {}).expect("a run")
}

/// Replays the steps at twins with values of their own, all scrubbed.
#[track_caller]
fn check(steps: &[Step]) {
    let directory = archive(steps);
    let twins = [twin("cand", steps), twin("base", steps)];
    let report = run(directory.path(), &twins);
    let correlation = &report.correlation;
    let received = twins[1].received().join("\n----\n");
    assert_eq!(
        report.fidelity, 1.0,
        "{:?} {correlation:?}\n{received}",
        report.fidelity_detail
    );
    assert_eq!(correlation.other["baseline_fired_unbound"], 0, "{received}");
}

#[test]
fn tokens_of_pages_go_into_forms_and_headers() {
    let html = "Content-Type: text/html\r\n";
    check(&[
        Step {
            request: request("GET /page", "", ""),
            response: answer(
                html,
                "<meta name=csrf-token content=\"{1}\"><script>window.config = {csrfToken: '{2}'};</script>\
                 <form action=/save><input type=hidden name=state value=\"{3}\"></form>\
                 <a href=\"/next?cursor={4}&amp;page=2\">more</a>",
            ),
        },
        Step {
            request: request(
                "POST /save",
                "Content-Type: application/x-www-form-urlencoded\r\nX-CSRF-Token: {1}\r\nX-Other-Token: {2}\r\n",
                "state={3}",
            ),
            response: answer("", ""),
        },
        Step {
            request: request("GET /next?cursor={4}&page=2", "", ""),
            response: answer("", ""),
        },
    ]);
}

#[test]
fn values_go_into_json_in_texts_and_base64() {
    let json = "Content-Type: application/json\r\n";
    check(&[
        Step {
            request: request("POST /login", "", ""),
            response: answer(
                json,
                r#"{"token":"{1}","next":"https://shop/carts/{2}?key={3}","state":"{\"id\":\"{4}\"}"}"#,
            ),
        },
        Step {
            request: request(
                "POST /use?state=<base64:{\"n\":1,\"csrf\":\"{1}\"}>",
                json,
                r#"{"inner":"{\"cart\":\"{2}\",\"kind\":true}","link":"/carts/{2}?key={3}"}"#,
            ),
            response: answer("", ""),
        },
        Step {
            request: request(
                "GET /states/{4}",
                "Cookie: prefs=%7B%22id%22%3A%22{4}%22%7D\r\n",
                "",
            ),
            response: answer("", ""),
        },
    ]);
}

#[test]
fn values_go_through_xml_and_forms_in_parts() {
    check(&[
        Step {
            request: request("POST /orders", "", ""),
            response: answer(
                "Content-Type: application/xml\r\n",
                "<order id=\"{1}\"><token>{2}</token></order>",
            ),
        },
        Step {
            request: request(
                "POST /pay",
                "Content-Type: multipart/form-data; boundary=xyz\r\n",
                "--xyz\r\nContent-Disposition: form-data; name=\"order\"\r\n\r\n{1}\r\n--xyz--\r\n",
            ),
            response: answer("", ""),
        },
        Step {
            request: request(
                "POST /confirm",
                "Content-Type: text/xml\r\n",
                "<confirm><order id=\"{1}\"/><token>{2}</token></confirm>",
            ),
            response: answer("", ""),
        },
    ]);
}

#[test]
fn what_a_twin_gives_no_value_for_is_unbound_and_no_regression() {
    let json = "Content-Type: application/json\r\n";
    let steps = |name: &str| {
        vec![
            Step {
                request: request("POST /login", "", ""),
                response: answer(json, &format!(r#"{{"{name}":"{{1}}","hello":1}}"#)),
            },
            Step {
                request: request("POST /orders", "X-Auth-Token: {1}\r\n", ""),
                response: answer(json, r#"{"id":"{2}"}"#),
            },
            Step {
                request: request("GET /orders/{2}", "", ""),
                response: answer(json, r#"{"id":"{2}"}"#),
            },
        ]
    };
    let directory = archive(&steps("token"));
    let twins = [
        twin("cand", &steps("ticket")),
        twin("base", &steps("token")),
    ];
    let report = run(directory.path(), &twins);
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
    let unbound = |method: &str| -> u64 {
        let endpoints = report.scope.endpoints.iter();
        let of_method = endpoints.filter(|endpoint| endpoint.endpoint.contains(method));
        of_method.map(|endpoint| endpoint.unbound).sum()
    };
    assert_eq!((unbound("/login"), unbound("/orders")), (0, 2));
    let correlation = &report.correlation.other;
    assert_eq!(correlation["candidate_fired_unbound"], 2);
    let record = std::fs::read_to_string(directory.path().join("results/run.json"));
    let record: serde_json::Value =
        serde_json::from_str(&record.expect("the run wrote it")).expect("JSON");
    let missing = &record["fired"]["candidate"]["missing"];
    assert_eq!(
        missing["header.x-auth-token <- json./token"], 1,
        "{missing}"
    );
    assert_ne!(report.verdict, Verdict::Pass);
    let is_of_login = report
        .findings
        .iter()
        .all(|finding| finding.endpoint.contains("/login"));
    assert!(is_of_login, "{:?}", report.findings);
}

#[test]
fn times_are_moved_and_tokens_signed_anew() {
    let part = |json: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(json);
    let token = format!(
        "{}.{}.c2ln",
        part(r#"{"alg":"HS256"}"#),
        part(r#"{"sub":"u-17","exp":1700003600}"#)
    );
    let fields = format!("Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n");
    let steps = [Step {
        request: request("POST /notes", &fields, r#"{"at":"2023-11-14T22:13:20Z"}"#),
        response: answer("", ""),
    }];
    let directory = archive(&steps);
    std::fs::write(directory.path().join("secret"), "a secret").expect("a place to write");
    let twins = [twin("cand", &steps), twin("base", &steps)];
    let more = "times: shift\njwt: [{header: Authorization, alg: HS256, key: secret}]\n";
    let report = run_with(directory.path(), &twins, more);
    assert_eq!(report.correlation.unbound, 0);
    let received = twins[1].received().join("");
    assert!(!received.contains("2023-11-14"), "{received}");
    let sent = received.split("Bearer ").nth(1).expect("a token");
    let sent = sent.lines().next().expect("a line");
    let claims = sent.split('.').nth(1).expect("claims");
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(claims)
        .expect("base64");
    let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
    assert!(claims["exp"].as_u64() > Some(1_700_003_600), "{claims}");
    assert_ne!(sent.rsplit('.').next(), token.rsplit('.').next());
}

#[test]
fn copies_sign_up_as_somebody_of_their_own() {
    let json = "Content-Type: application/json\r\n";
    let steps = [
        Step {
            request: request("POST /signup", json, r#"{"email":"ada17@example.org"}"#),
            response: answer(json, "{}"),
        },
        Step {
            request: request("POST /login", json, r#"{"email":"ada17@example.org"}"#),
            response: answer(json, "{}"),
        },
    ];
    let directory = archive(&steps);
    let twins = [twin("cand", &steps), twin("base", &steps)];
    run_with(directory.path(), &twins, "scale: 3\n");
    let received = twins[1].received().join("");
    let emails: Vec<&str> = received
        .split("\"email\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(emails.len(), 6, "{received}");
    let distinct: std::collections::BTreeSet<&str> = emails.iter().copied().collect();
    // Each copy logs in as who it signed up.
    assert_eq!(distinct.len(), 3, "{emails:?}");
}
