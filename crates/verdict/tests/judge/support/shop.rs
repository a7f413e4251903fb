//! Three shops that get the same requests, and what users do.

use serde_json::{Value, json};
use twintap_verdict::stats;

use super::{Call, Reply};

/// A source of chance, so that each seed is one history.
#[derive(Clone, Debug)]
pub struct Chance(stats::Chance);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(stats::Chance::new(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0.bits()
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    fn uuid(&mut self) -> String {
        let digits = self.hex();
        format!(
            "{}-{}-4{}-a{}-{}",
            &digits[..8],
            &digits[8..12],
            &digits[13..16],
            &digits[17..20],
            &digits[20..]
        )
    }

    fn token(&mut self) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..20)
            .map(|_| char::from(LETTERS[self.below(64) as usize]))
            .collect()
    }
}

/// A fault of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Utf8Error,
    Rounding,
    Slow,
    HeaderGone,
    TypeChange,
    FieldGone,
    Reset,
}

pub const FAULTS: [Fault; 7] = [
    Fault::Utf8Error,
    Fault::Rounding,
    Fault::Slow,
    Fault::HeaderGone,
    Fault::TypeChange,
    Fault::FieldGone,
    Fault::Reset,
];

/// One of the three, in one session.
struct Shop<'a> {
    chance: Chance,
    /// Milliseconds since 1970.
    now: u64,
    faults: &'a [Fault],
}

impl Shop<'_> {
    fn instant(&mut self) -> String {
        self.now += self.chance.below(300);
        let (day, seconds) = (self.now / 86_400_000 % 28 + 1, self.now / 1000 % 86_400);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match self.now % 1000 {
            0 => format!("2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
            ms => format!("2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Mostly quick, sometimes held up for long: two busy cores.
    fn reply(&mut self, reply: Reply) -> Reply {
        let usual = 2.0 + 3.0 * self.chance.unit();
        let stall = if self.chance.below(12) == 0 {
            400.0 * self.chance.unit() * self.chance.unit()
        } else {
            0.0
        };
        let date = format!("Sun, 22 Nov 2026 10:{:02}:00 GMT", self.now / 60_000 % 60);
        let request_id = self.chance.uuid();
        reply
            .with("Date", &date)
            .with("X-Request-Id", &request_id)
            .after_ms(usual + stall)
    }

    fn json(&mut self, status: u16, body: &Value) -> Reply {
        let reply = Reply::json(status, body).with("Cache-Control", "private");
        self.reply(reply)
    }
}

/// What one user does; the same for all three.
#[derive(Clone, Copy)]
struct User {
    product: u64,
    has_umlaut: bool,
    buys: bool,
    searches: u64,
}

/// A run of `sessions` users, at a candidate with `faults`.
pub fn run(seed: u64, sessions: usize, faults: &[Fault]) -> Vec<Call> {
    let mut chance = Chance::new(seed);
    let mut calls = Vec::new();
    for index in 0..sessions {
        let user = User {
            product: chance.below(60),
            has_umlaut: chance.below(4) == 0,
            buys: chance.below(3) != 0,
            searches: 1 + chance.below(3),
        };
        let mut act = |now: u64, faults: &[Fault]| {
            let mut shop = Shop {
                chance: Chance::new(chance.next()),
                now,
                faults,
            };
            visit(&mut shop, user)
        };
        let later = 86_400_000 * 3;
        let production = act(1_763_000_000_000, &[]);
        let baseline = act(1_763_000_000_000 + later, &[]);
        let candidate = act(1_763_000_000_000 + later, faults);
        let together = production.into_iter().zip(baseline).zip(candidate);
        for ((production, baseline), candidate) in together {
            let mut call = Call::new(
                &format!("s-{index:04}"),
                production.method,
                &production.target,
                production.reply,
            );
            call = call.baseline(baseline.reply).candidate(candidate.reply);
            for path in production.produced {
                call = call.produces(path);
            }
            calls.push(call);
        }
    }
    calls
}

struct Visit {
    method: &'static str,
    target: String,
    reply: Reply,
    produced: Vec<&'static str>,
}

fn visit(shop: &mut Shop<'_>, user: User) -> Vec<Visit> {
    let mut visits = Vec::new();
    let mut add = |method, target: String, reply, produced: &[&'static str]| {
        visits.push(Visit {
            method,
            target,
            reply,
            produced: produced.to_vec(),
        });
    };
    let product = |index: u64| json!({"id": format!("prd-{index:04}"), "name": format!("Thing {index}"), "price_cents": 995 + index, "stock": index % 9});
    let items: Vec<Value> = (0..4)
        .map(|index| product((user.product + index) % 60))
        .collect();
    let mut list = shop.json(200, &json!({"items": items, "total": 60}));
    if shop.has(Fault::HeaderGone) {
        list = list.without("Cache-Control");
    }
    add(
        "GET",
        format!("/products?page={}", user.product % 6),
        list,
        &[],
    );

    let mut shown = product(user.product);
    if shop.has(Fault::TypeChange) {
        shown["stock"] = json!(shown["stock"].to_string());
    }
    let reply = shop.json(200, &shown);
    add(
        "GET",
        format!("/products/prd-{:04}", user.product),
        reply,
        &[],
    );

    for search in 0..user.searches {
        let took_us = shop.chance.below(900);
        let found = json!({"query": "thing", "hits": [product(search)], "took_us": took_us});
        let mut reply = shop.json(200, &found);
        if shop.has(Fault::Slow) {
            reply.latency_ms += 40.0;
        }
        add("GET", format!("/search?q=thing{search}"), reply, &[]);
    }

    let token = shop.chance.token();
    let sid = shop.chance.hex();
    let reply = shop
        .json(200, &json!({"user": {"name": "ann"}, "csrf_token": token}))
        .with_leaf("Set-Cookie", "sid=", &sid, "set-cookie.sid");
    add(
        "POST",
        "/login".to_owned(),
        reply,
        &["json./csrf_token", "set-cookie.sid"],
    );

    let changed = shop.instant();
    let name = if user.has_umlaut { "Jörg" } else { "Ann" };
    let reply = if user.has_umlaut && shop.has(Fault::Utf8Error) {
        shop.json(500, &json!({"error": "internal"}))
    } else {
        shop.json(200, &json!({"name": name, "changed_at": changed}))
    };
    add("PUT", "/profile".to_owned(), reply, &[]);

    let mut profile = json!({"name": name, "changed_at": changed, "email": "a@example.org"});
    if shop.has(Fault::FieldGone) {
        profile
            .as_object_mut()
            .map(|members| members.remove("email"));
    }
    let reply = shop.json(200, &profile);
    add("GET", "/profile".to_owned(), reply, &[]);

    if user.buys {
        let order = format!("ord_{}", shop.chance.hex());
        let created = shop.instant();
        let wrong = i64::from(shop.has(Fault::Rounding) && user.product.is_multiple_of(2));
        let total = 1184 + user.product as i64 - wrong;
        let body = json!({"id": order, "created_at": created, "totals": {"subtotal_cents": 995, "total_cents": total}});
        let reply =
            shop.json(201, &body)
                .with_leaf("Location", "/orders/", &order, "location.path.1");
        add(
            "POST",
            "/checkout".to_owned(),
            reply,
            &["json./id", "location.path.1"],
        );
        let reply = shop.json(200, &body);
        add(
            "GET",
            "/orders/ord_9f86d081884c7d659a2feaa0c55ad015".to_owned(),
            reply,
            &[],
        );
        let seen_by = shop.chance.below(90);
        let page = format!(
            "<html><body><h1>Thanks</h1><p>Order <b>{order}</b> at {created}</p><p>Visitors {seen_by}</p></body></html>"
        );
        let reply = Reply::text(200, "text/html", &page);
        let reply = shop.reply(reply);
        add("GET", "/thanks".to_owned(), reply, &[]);
    }

    let reply = if shop.has(Fault::Reset) && user.product.is_multiple_of(5) {
        Reply::error("reset")
    } else {
        let bytes = vec![0xff; 64 + user.product as usize];
        let reply = Reply::bytes(200, "image/png", bytes);
        shop.reply(reply)
    };
    add(
        "GET",
        format!("/products/prd-{:04}/image", user.product),
        reply,
        &[],
    );
    visits
}
