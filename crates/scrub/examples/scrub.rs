//! How fast whole exchanges are scrubbed by the default policy: JSON lines of
//! `{metric, bytes, value}`, on one thread.
//!
//! MiB are those of JSON bodies; time is the thread's on the processor, so that a busy machine
//! changes little. Warm is a scrubber that has seen every value before, cold one that has seen
//! none, which is made anew for each exchange.

use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_stream::{Direction, Exchange, Field, Message, RequestHead, ResponseHead};

const MIB: f64 = 1_048_576.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mib: usize = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 64,
    };
    let key = Key::from_bytes([7; 32]);
    let plain = "{version: 1, second_look: {look_at: nothing}}";
    for body_bytes in [512, 16 << 10, 1 << 20] {
        let bodies = bodies(body_bytes, (1 << 20) / body_bytes);
        for (look, yaml) in [("", plain), (", second look", "version: 1")] {
            let policy = Policy::from_yaml(yaml, "bench")?;
            let warm = Scrubber::new(policy.clone(), &key);
            pass(&bodies, || warm.clone())?;
            let of_each_round: usize = bodies.iter().map(Bytes::len).sum();
            let rounds = (mib << 20).div_ceil(of_each_round);
            let mut rate = 0.0_f64;
            for _ in 0..3 {
                let mut seconds = 0.0;
                for _ in 0..rounds.div_ceil(3) {
                    seconds += pass(&bodies, || warm.clone())?;
                }
                let scrubbed = of_each_round * rounds.div_ceil(3);
                rate = rate.max(scrubbed as f64 / MIB / seconds);
            }
            print(&format!("warm{look}"), body_bytes, rate);
            let few = &bodies[..bodies.len().min(64)];
            let seconds = pass(few, || Scrubber::new(policy.clone(), &key))?;
            let of_few: usize = few.iter().map(Bytes::len).sum();
            let rate = of_few as f64 / MIB / seconds;
            print(&format!("cold{look}"), body_bytes, rate);
        }
    }
    pseudonyms(&key);
    Ok(())
}

fn print(metric: &str, body_bytes: usize, value: f64) {
    let line = json!({"metric": metric, "bytes": body_bytes, "value": value});
    println!("{line}");
}

/// Scrubs each body as a response; the seconds it took, scrubbers' making apart.
fn pass(bodies: &[Bytes], scrubber: impl Fn() -> Scrubber) -> Result<f64, Box<dyn Error>> {
    let waiting: Vec<_> = bodies
        .iter()
        .map(|body| (scrubber(), exchange(body.len()), body.clone()))
        .collect();
    let mut is_sound = true;
    let start = processor_seconds();
    for (scrubber, exchange, body) in waiting {
        let mut scrubbing = scrubber.exchange();
        if let Some(head) = &exchange.request.head {
            scrubbing.request_head(head);
        }
        if let Some(head) = &exchange.response.head {
            scrubbing.response_head(head);
        }
        black_box(scrubbing.body(Direction::Server, body));
        let finished = black_box(scrubbing.finish(exchange));
        is_sound &= finished.response_rest.is_some();
    }
    let seconds = processor_seconds() - start;
    match is_sound {
        true => Ok(seconds),
        false => Err("a body was not scrubbed, or was quarantined".into()),
    }
}

/// Makes the value with a number.
type MakeValue = fn(u64) -> String;

/// What one pseudonym costs that was not made before, in nanoseconds.
fn pseudonyms(key: &Key) {
    const MANY: u64 = 20_000;
    let scrubber = Scrubber::new(Policy::default_policy(), key);
    let kinds: [(&str, MakeValue); 4] = [
        ("card", |n| format!("4{n:015}")),
        ("email", |n| format!("person{n}@mail.example.org")),
        ("uuid", |n| format!("0f0e0d0c-0b0a-4900-8800-{n:012x}")),
        ("word", |n| format!("word{n}")),
    ];
    for (name, value) in kinds {
        let values: Vec<String> = (0..MANY).map(value).collect();
        let start = processor_seconds();
        for value in &values {
            black_box(scrubber.pseudonym(value.as_bytes()));
        }
        let seconds = processor_seconds() - start;
        let value = seconds * 1e9 / MANY as f64;
        print(&format!("pseudonym of a new {name}"), 0, value);
    }
}

/// Seconds that this thread was on a processor.
fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Lists of orders as shops answer with, of about so many bytes.
fn bodies(bytes: usize, count: usize) -> Vec<Bytes> {
    const NAMES: [&str; 8] = [
        "Ada", "Grace", "Edsger", "Barbara", "Alan", "Tony", "Frances", "Ken",
    ];
    let mut random = 42_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    // The default policy drops what has more than 1 MiB; an order has some 260 bytes.
    let enough = bytes.min((1 << 20) - 512) - 130;
    let mut bodies = Vec::with_capacity(count);
    for _ in 0..count {
        let mut body = String::with_capacity(bytes + 512);
        body.push_str(r#"{"page":1,"orders":["#);
        while body.len() < enough || body.ends_with('[') {
            if !body.ends_with('[') {
                body.push(',');
            }
            let name = NAMES[next(8) as usize];
            // Writing to a String can't fail.
            let _ = write!(
                body,
                r#"{{"id":"ord_{:010}","customer":{{"name":"{name} {:04}","email":"{name}.{:04}@mail.example.org","phone":"+4930{:07}"}},"total_cents":{},"paid":{},"status":"in_transit","placed_at":"2025-{:02}-{:02}T12:00:00Z","note":"leave it at the door"}}"#,
                next(1_000_000_000),
                next(10_000),
                next(10_000),
                next(10_000_000),
                next(100_000),
                next(2) == 0,
                next(12) + 1,
                next(28) + 1,
            );
        }
        body.push_str("]}");
        bodies.push(Bytes::from(body));
    }
    bodies
}

fn exchange(body_bytes: usize) -> Exchange {
    let request = RequestHead {
        method: Bytes::from_static(b"GET"),
        target: Bytes::from_static(b"/orders?page=1"),
        version: Bytes::from_static(b"HTTP/1.1"),
        fields: vec![
            Field::new("host", "shop.example"),
            Field::new("user-agent", "bench/1.0"),
            Field::new("accept", "application/json"),
            Field::new("cookie", "sid=0123456789abcdef0123456789abcdef"),
        ],
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    let response = ResponseHead {
        version: Bytes::from_static(b"HTTP/1.1"),
        status: 200,
        reason: Bytes::from_static(b"OK"),
        fields: vec![
            Field::new("content-type", "application/json"),
            Field::new("content-length", body_bytes.to_string()),
            Field::new("date", "Mon, 05 May 2025 12:00:00 GMT"),
        ],
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    Exchange::of_no_flow(Message::whole(request), Message::whole(response))
}
