//! A twin's own place in what it answers, and production's put back.
//!
//! Where [`Rewrite`] told a twin that it lives elsewhere, the twin says so: in redirects,
//! links, cookies' domains, what it allows to which origin. Each twin says another place, so
//! that two of one build would differ.

use std::cmp::Reverse;

use bytes::Bytes;
use memchr::memmem;
use twintap_stream::content::{Codings, DecodeLimits, decode};
use twintap_stream::{Field, RequestHead, ResponseHead};

use super::options::Target;
use super::rewrite::{Rewrite, authority_span};

/// What a twin was told in place of what was recorded, as both may be spelled in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// What is put in the place of what, the longest first.
    pairs: Vec<[Vec<u8>; 2]>,
    /// The same for the domain of a cookie, which has no port.
    domain: Option<[Vec<u8>; 2]>,
}

impl Echo {
    /// What a twin at `target` may echo of the request that was recorded with `head`.
    pub fn of(rewrite: &Rewrite, head: &RequestHead, target: &Target) -> Echo {
        let mut echo = Echo::default();
        let (told_host, told_origin) = (rewrite.host_at(target), rewrite.origin_at(target));
        if told_host.is_none() && told_origin.is_none() {
            return echo;
        }
        let origin = recorded_origin(head);
        if let (Some(told), Some(origin)) = (told_origin, &origin) {
            echo.add(told.as_bytes(), origin);
        }
        if let (Some(told), Some(recorded)) = (told_host, &head.authority()) {
            // A twin over plain HTTP makes links of its own scheme.
            let of_recorded = origin.as_deref().filter(|origin| {
                origin
                    .strip_suffix(&recorded[..])
                    .is_some_and(|scheme| scheme.ends_with(b"://"))
            });
            if let Some(origin) = of_recorded {
                let scheme = if target.tls.is_some() {
                    "https"
                } else {
                    "http"
                };
                echo.add(format!("{scheme}://{told}").as_bytes(), origin);
            }
            echo.add(told.as_bytes(), recorded);
            let domains = [told.as_bytes(), recorded].map(|place| without_port(place).to_vec());
            echo.domain = (domains[0] != domains[1]).then_some(domains);
        }
        echo
    }

    fn add(&mut self, told: &[u8], recorded: &[u8]) {
        if told.is_empty() || told == recorded {
            return;
        }
        for spell in [plain, in_json, in_query] {
            let told = spell(told);
            if self.pairs.iter().all(|[known, _]| *known != told) {
                self.pairs.push([told, spell(recorded)]);
            }
        }
        // Stable, so that of two as long the one that was there first stays first.
        self.pairs.sort_by_key(|[told, _]| Reverse(told.len()));
    }

    /// True where the twin was told nothing.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Puts production's place back into the values of a head.
    pub fn mend_head(&self, head: &mut ResponseHead) {
        if self.is_empty() {
            return;
        }
        for field in &mut head.fields {
            if let Some(value) = self.mended(&field.value) {
                field.value = value;
            }
            if field.is("set-cookie") {
                self.mend_domain(field);
            }
        }
    }

    /// The domain of a cookie (RFC 6265, section 5.2.3).
    fn mend_domain(&self, cookie: &mut Field) {
        let Some([told, recorded]) = &self.domain else {
            return;
        };
        let attributes = cookie.value.split(|byte| *byte == b';').map(|attribute| {
            let Some(equals) = attribute.iter().position(|byte| *byte == b'=') else {
                return attribute.to_vec();
            };
            let (name, value) = (&attribute[..equals], attribute[equals + 1..].trim_ascii());
            let bare = value.strip_prefix(b".").unwrap_or(value);
            let is_told = bare.eq_ignore_ascii_case(told);
            if !name.trim_ascii().eq_ignore_ascii_case(b"domain") || !is_told {
                return attribute.to_vec();
            }
            let dot = &value[..value.len() - bare.len()];
            [name, b"=", dot, recorded].concat()
        });
        let attributes: Vec<Vec<u8>> = attributes.collect();
        cookie.value = attributes.join(&b';').into();
    }

    /// A body of text with production's place in it, and the content codings that were undone
    /// for it, which the head loses; none where nothing of the twin's place is in it.
    pub fn mend_body(&self, head: &mut ResponseHead, body: &Bytes) -> Option<(Bytes, Codings)> {
        if self.is_empty() || body.is_empty() {
            return None;
        }
        let codings = Codings::of(&head.fields).ok()?;
        let decoded = decode(body, &codings, DecodeLimits::default());
        let decoded = decoded.sound().ok()?;
        // Lengths within what is no text would not hold any more.
        let is_text = !decoded.contains(&0) && std::str::from_utf8(&decoded).is_ok();
        let mended = is_text.then(|| self.mended(&decoded))??;
        if !codings.is_identity() {
            head.fields.retain(|field| !field.is("content-encoding"));
        }
        for field in &mut head.fields {
            if field.is("content-length") {
                field.value = mended.len().to_string().into();
            }
        }
        Some((mended, codings))
    }

    /// Puts production's place back into a message of a WebSocket.
    pub fn mend_message(&self, payload: &mut Bytes) {
        if !self.is_empty() && std::str::from_utf8(payload).is_ok() {
            *payload = self.mended(payload).unwrap_or_else(|| payload.clone());
        }
    }

    /// A text that tells of the twin's place, with production's in it.
    fn mended(&self, text: &[u8]) -> Option<Bytes> {
        let mut out = Vec::new();
        let mut done = 0;
        let mut at = 0;
        let next = |[told, _]: &[Vec<u8>; 2], at: usize| {
            let place = memmem::find(&text[at..], told)?;
            Some(at + place)
        };
        let mut places: Vec<Option<usize>> = self.pairs.iter().map(|pair| next(pair, 0)).collect();
        loop {
            for (place, pair) in places.iter_mut().zip(&self.pairs) {
                if place.is_some_and(|place| place < at) {
                    *place = next(pair, at);
                }
            }
            let found = places.iter().zip(&self.pairs);
            let found = found.filter_map(|(place, pair)| Some(((*place)?, pair)));
            let Some((start, [told, recorded])) = found.min_by_key(|(place, _)| *place) else {
                break;
            };
            if !stands_alone(text, start, told) {
                at = start + 1;
                continue;
            }
            out.extend_from_slice(&text[done..start]);
            out.extend_from_slice(recorded);
            done = start + told.len();
            at = done;
        }
        (done > 0).then(|| {
            out.extend_from_slice(&text[done..]);
            out.into()
        })
    }
}

/// Whether the place that `text` has at `start` is no part of a longer name. One without a dot
/// or a port may be any word: it counts after slashes alone.
fn stands_alone(text: &[u8], start: usize, told: &[u8]) -> bool {
    let (before, after) = (&text[..start], &text[start + told.len()..]);
    let is_escape = |tail: &[u8]| tail[0] == b'%' && tail[1..].iter().all(u8::is_ascii_hexdigit);
    let follows_escape = before.last_chunk::<3>().is_some_and(|tail| is_escape(tail));
    let is_inside = before.last().is_some_and(|byte| is_of_place(*byte)) && !follows_escape;
    let is_word = !told.iter().any(|byte| b".:%".contains(byte));
    let slashes: [&[u8]; 3] = [b"//", b"\\/\\/", b"%2F%2F"];
    let follows_slashes = || slashes.iter().any(|slashes| before.ends_with(slashes));
    !is_inside && !goes_on(after) && (!is_word || follows_slashes())
}

/// Whether what follows a place is part of it: more of the name, or its port.
fn goes_on(after: &[u8]) -> bool {
    let port = after.strip_prefix(b":").or(after.strip_prefix(b"%3A"));
    if port.is_some_and(|port| port.first().is_some_and(u8::is_ascii_digit)) {
        return true;
    }
    after.first().is_some_and(|byte| is_of_place(*byte)) && !is_full_stop(after)
}

/// A byte that can go on a host's name or its port.
fn is_of_place(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// Whether a sentence ends here.
fn is_full_stop(text: &[u8]) -> bool {
    text[0] == b'.' && !text.get(1).is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn plain(place: &[u8]) -> Vec<u8> {
    place.to_vec()
}

/// As some writers of JSON have it.
fn in_json(place: &[u8]) -> Vec<u8> {
    escaped(place, b'/', b"\\/")
}

/// As in the query of a URL, or in a form.
fn in_query(place: &[u8]) -> Vec<u8> {
    escaped(&escaped(place, b':', b"%3A"), b'/', b"%2F")
}

fn escaped(place: &[u8], byte: u8, escape: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = place.split(|other| *other == byte).collect();
    parts.join(escape)
}

/// The origin that the client named: Origin's, or that of Referer.
fn recorded_origin(head: &RequestHead) -> Option<Bytes> {
    let value = |name: &str| head.fields.iter().find(|field| field.is(name));
    let of_origin = value("origin").filter(|field| field.value.as_ref() != b"null");
    if let Some(field) = of_origin {
        return Some(field.value.clone());
    }
    let referer = &value("referer")?.value;
    let (start, len) = authority_span(referer)?;
    Some(referer.slice(..start + len))
}

fn without_port(place: &[u8]) -> &[u8] {
    let end = match place.first() {
        Some(b'[') => place
            .iter()
            .position(|byte| *byte == b']')
            .map(|end| end + 1),
        _ => place.iter().position(|byte| *byte == b':'),
    };
    &place[..end.unwrap_or(place.len())]
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::Place;
    use super::*;

    fn echo(fields: &[(&str, &str)]) -> Echo {
        echo_of(Place::Target, fields)
    }

    fn echo_of(host: Place, fields: &[(&str, &str)]) -> Echo {
        let rewrite = Rewrite {
            host,
            origin: Place::Target,
            ..Rewrite::default()
        };
        let head = RequestHead {
            method: Bytes::from_static(b"GET"),
            target: Bytes::from_static(b"/"),
            version: Bytes::from_static(b"HTTP/1.1"),
            fields: fields
                .iter()
                .map(|(name, value)| Field::new(name.to_string(), value.to_string()))
                .collect(),
            line_spelling: None,
            end: Bytes::from_static(b"\r\n"),
        };
        let twin = Target::plain(([127, 0, 0, 1], 80).into(), "127.0.0.1:80".to_owned());
        Echo::of(&rewrite, &head, &twin)
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], said: &str, expected: &str) {
        let mended = echo(fields).mended(said.as_bytes());
        let mended = mended.as_deref().unwrap_or(said.as_bytes());
        assert_eq!(String::from_utf8_lossy(mended), expected);
    }

    const HOST: (&str, &str) = ("Host", "shop.example");
    const ORIGIN: (&str, &str) = ("Origin", "https://shop.example");

    #[test]
    fn the_recorded_authority_comes_back() {
        check(
            &[HOST],
            "http://127.0.0.1:80/cart, see 127.0.0.1:80.",
            "http://shop.example/cart, see shop.example.",
        );
    }

    #[test]
    fn so_it_does_from_a_query() {
        check(
            &[HOST],
            "/login?next=http%3A%2F%2F127.0.0.1%3A80%2Fcart",
            "/login?next=http%3A%2F%2Fshop.example%2Fcart",
        );
    }

    #[test]
    fn what_was_put_back_is_not_looked_at_again() {
        let fields = [("Host", "shop.example:8080")];
        let echo = echo_of(Place::Text("shop.example".to_owned()), &fields);
        let mended = echo.mended(b"shop.example, shop.example:8080 and %2F%2Fshop.example");
        let mended = mended.expect("two places");
        let expected = "shop.example:8080, shop.example:8080 and %2F%2Fshop.example:8080";
        assert_eq!(String::from_utf8_lossy(&mended), expected);
    }

    #[test]
    fn a_word_is_a_place_in_a_url_alone() {
        let echo = echo_of(Place::Text("shop".to_owned()), &[HOST]);
        let mended = echo.mended(b"the shop at http://shop/cart");
        let mended = mended.expect("a place");
        assert_eq!(&mended[..], b"the shop at http://shop.example/cart");
    }

    #[test]
    fn with_an_origin_the_scheme_comes_back_too() {
        for fields in [
            &[HOST, ORIGIN],
            &[HOST, ("Referer", "https://shop.example/cart?a=1")],
        ] {
            check(
                fields,
                r#"{"a":"http://127.0.0.1:80/x","b":"http:\/\/127.0.0.1:80\/x","c":"?u=http%3A%2F%2F127.0.0.1%3A80%2Fx"}"#,
                r#"{"a":"https://shop.example/x","b":"https:\/\/shop.example\/x","c":"?u=https%3A%2F%2Fshop.example%2Fx"}"#,
            );
        }
    }

    #[test]
    fn an_origin_elsewhere_says_nothing_of_the_hosts_scheme() {
        check(
            &[HOST, ("Origin", "https://app.example")],
            "127.0.0.1:80",
            "shop.example",
        );
    }

    #[test]
    fn a_longer_name_is_another_place() {
        let said = "127.0.0.1:8080 1127.0.0.1:80 a.127.0.0.1:80 127.0.0.1:80.example";
        check(&[HOST], said, said);
    }

    fn answered(fields: Vec<Field>) -> ResponseHead {
        ResponseHead {
            version: Bytes::from_static(b"HTTP/1.1"),
            status: 200,
            reason: Bytes::new(),
            fields,
            line_spelling: None,
            end: Bytes::new(),
        }
    }

    #[test]
    fn a_cookies_domain_has_no_port() {
        let cookie = "domain=127.0.0.1; Path=/; DOMAIN=.127.0.0.1; HttpOnly";
        let mut head = answered(vec![
            Field::new("Set-Cookie", cookie),
            Field::new("X", cookie),
        ]);
        echo(&[HOST]).mend_head(&mut head);
        let mended = b"domain=shop.example; Path=/; DOMAIN=.shop.example; HttpOnly";
        assert_eq!(head.fields[0].value.as_ref(), mended);
        assert_eq!(head.fields[1].value.as_ref(), cookie.as_bytes());
    }

    #[test]
    fn what_is_no_text_stays_as_it_is() {
        let mut head = answered(Vec::new());
        let echo = echo(&[HOST]);
        let framed = Bytes::from_static(b"\0\0\0\0\x0c127.0.0.1:80");
        assert_eq!(echo.mend_body(&mut head, &framed), None);
        let text = framed.slice(5..);
        let mended = echo.mend_body(&mut head, &text).expect("a place");
        assert_eq!(mended.0.as_ref(), b"shop.example");
        head.fields.push(Field::new("Content-Encoding", "gzip"));
        assert_eq!(echo.mend_body(&mut head, &text), None, "no gzip");
    }
}
