//! What a run changes in every request because the twin lives elsewhere.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use twintap_scrub::{Leaf, Part};
use twintap_stream::{RequestHead, ResponseHead};

use super::options::Target;
use super::wire::Edit;

/// What becomes of a value that names production's place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// It stays as recorded.
    #[default]
    Keep,
    /// The twin's own `host:port` (for Origin and Referer after `http://` or `https://`).
    Target,
    /// This text.
    Text(String),
}

/// The changes. Where one would meet a bound value, the bound value goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Host, `:authority`, and the authority of an absolute target.
    pub host: Place,
    /// Origin, and the origin in Referer.
    pub origin: Place,
    /// Fields whose value is replaced wherever the recorded request has them.
    pub replace: Vec<(String, String)>,
    /// `Secure` is taken out of every Set-Cookie before answers are compared: a
    /// twin reached over plain HTTP may leave it out where production sets it.
    pub drop_secure: bool,
}

impl Rewrite {
    /// The edits for `head` when it goes to `twin`.
    pub fn edits(&self, head: &RequestHead, twin: &Target) -> Vec<Edit> {
        let host = self.host_at(twin);
        let origin = self.origin_at(twin);
        let mut edits = Vec::new();
        if let (Some(host), Some((start, len))) = (host, authority_span(&head.target)) {
            edits.push(edit(Part::Target, start, len, host));
        }
        for (index, field) in (0..).zip(&head.fields) {
            let whole = field.value.len();
            let replaced = self
                .replace
                .iter()
                .find(|(name, _)| field.is(&name.to_ascii_lowercase()));
            let part = Part::Field(index);
            if let Some((_, value)) = replaced {
                edits.push(edit(part, 0, whole, value));
            } else if field.is("host") || field.is(":authority") {
                edits.extend(host.map(|host| edit(part, 0, whole, host)));
            } else if let Some(origin) = &origin {
                if field.is("origin") && field.value.as_ref() != b"null" {
                    edits.push(edit(part, 0, whole, origin));
                } else if field.is("referer")
                    && let Some((start, len)) = authority_span(&field.value)
                {
                    edits.push(edit(part, 0, start + len, origin));
                }
            }
        }
        edits
    }

    /// What `twin` is told to be its authority, where that is not the recorded one.
    pub(crate) fn host_at<'a>(&'a self, twin: &'a Target) -> Option<&'a str> {
        self.host.text(&twin.authority)
    }

    /// What `twin` is told that requests come from, where that is not as recorded.
    pub(crate) fn origin_at(&self, twin: &Target) -> Option<String> {
        match &self.origin {
            Place::Target => Some(twin.origin()),
            place => place.text(&twin.authority).map(str::to_owned),
        }
    }

    /// Changes an answer's head before it is compared, and moves its leaves along.
    pub fn mend_answer(&self, head: &mut ResponseHead, leaves: &mut [Leaf]) {
        if !self.drop_secure {
            return;
        }
        for (index, field) in (0..).zip(&mut head.fields) {
            if field.is("set-cookie") {
                while let Some((start, len)) = secure_span(&field.value) {
                    field.value = [&field.value[..start], &field.value[start + len..]]
                        .concat()
                        .into();
                    let after = |leaf: &&mut Leaf| {
                        leaf.part == Part::Field(index) && leaf.start as usize >= start + len
                    };
                    for leaf in leaves.iter_mut().filter(after) {
                        leaf.start -= u32::try_from(len).unwrap_or(leaf.start);
                    }
                }
            }
        }
    }
}

impl Place {
    fn text<'a>(&'a self, authority: &'a str) -> Option<&'a str> {
        match self {
            Place::Keep => None,
            Place::Target => Some(authority),
            Place::Text(text) => Some(text),
        }
    }
}

fn edit(part: Part, start: usize, len: usize, value: &str) -> Edit {
    // A head is far shorter than 4 GiB.
    let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Edit {
        part,
        start: short(start),
        len: short(len),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

/// Start and length of the authority in an absolute URL (RFC 3986, section 3.2).
pub(crate) fn authority_span(url: &[u8]) -> Option<(usize, usize)> {
    let scheme = url.windows(3).position(|window| window == b"://")?;
    if !url[..scheme].iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let start = scheme + 3;
    let len = url[start..]
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(url.len() - start);
    Some((start, len))
}

/// Where `; Secure` stands in a Set-Cookie (RFC 6265, section 5.2.5), the
/// semicolon before it included.
fn secure_span(value: &[u8]) -> Option<(usize, usize)> {
    let mut start = value.iter().position(|&byte| byte == b';')?;
    loop {
        let rest = &value[start + 1..];
        let len = rest
            .iter()
            .position(|&byte| byte == b';')
            .unwrap_or(rest.len());
        if rest[..len].trim_ascii().eq_ignore_ascii_case(b"secure") {
            return Some((start, len + 1));
        }
        start += len + 1;
        if start >= value.len() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use twintap_scrub::{Action, Encoding, LinkTag};
    use twintap_stream::Field;
    use twintap_stream::message::Framing;

    use super::super::wire::{Recorded, assemble};
    use super::*;

    #[track_caller]
    fn check(rewrite: &Rewrite, target: &str, fields: &[(&str, &str)], expected: &str) {
        let recorded = Recorded {
            head: RequestHead {
                method: Bytes::from_static(b"GET"),
                target: Bytes::copy_from_slice(target.as_bytes()),
                version: Bytes::from_static(b"HTTP/1.1"),
                fields: fields
                    .iter()
                    .map(|(name, value)| Field::new(name.to_string(), value.to_string()))
                    .collect(),
                line_spelling: None,
                end: Bytes::from_static(b"\r\n"),
            },
            framing: Framing::None,
            body: Bytes::new(),
            chunks: Vec::new(),
            timeline: Default::default(),
            script: None,
            trailers: Vec::new(),
            omitted: Vec::new(),
            edits: Vec::new(),
        };
        let twin = Target::plain(([127, 0, 0, 1], 8080).into(), "twin:8080".to_owned());
        let edits = rewrite.edits(&recorded.head, &twin);
        let wire = assemble(&recorded, &edits).expect("edits that fit");
        assert_eq!(String::from_utf8_lossy(&wire.concat()), expected);
    }

    #[test]
    fn nothing_is_rewritten_unasked() {
        check(
            &Rewrite::default(),
            "/",
            &[("HOST", "shop.example"), ("Origin", "https://shop.example")],
            "GET / HTTP/1.1\r\nHOST: shop.example\r\nOrigin: https://shop.example\r\n\r\n",
        );
    }

    #[test]
    fn places_become_the_target() {
        let rewrite = Rewrite {
            host: Place::Target,
            origin: Place::Target,
            ..Rewrite::default()
        };
        check(
            &rewrite,
            "http://shop.example/a?u=http://x/",
            &[
                ("HOST", "shop.example"),
                ("Origin", "https://shop.example"),
                ("referer", "https://shop.example/cart?x=1"),
            ],
            "GET http://twin:8080/a?u=http://x/ HTTP/1.1\r\nHOST: twin:8080\r\nOrigin: http://twin:8080\r\nreferer: http://twin:8080/cart?x=1\r\n\r\n",
        );
    }

    #[test]
    fn a_null_origin_and_a_relative_target_stay() {
        let rewrite = Rewrite {
            host: Place::Text("h".to_owned()),
            origin: Place::Text("https://o".to_owned()),
            ..Rewrite::default()
        };
        check(
            &rewrite,
            "/go?to=http://else.example/",
            &[
                ("Host", "a"),
                ("Origin", "null"),
                ("Referer", "about:blank"),
            ],
            "GET /go?to=http://else.example/ HTTP/1.1\r\nHost: h\r\nOrigin: null\r\nReferer: about:blank\r\n\r\n",
        );
    }

    #[test]
    fn named_fields_are_replaced() {
        let rewrite = Rewrite {
            replace: vec![("X-Forwarded-Proto".to_owned(), "http".to_owned())],
            ..Rewrite::default()
        };
        check(
            &rewrite,
            "/",
            &[("x-forwarded-proto", "https"), ("X-Other", "1")],
            "GET / HTTP/1.1\r\nx-forwarded-proto: http\r\nX-Other: 1\r\n\r\n",
        );
    }

    #[test]
    fn secure_goes_from_cookies_alone() {
        let rewrite = Rewrite {
            drop_secure: true,
            ..Rewrite::default()
        };
        let cookie = "secure=Secure; Path=/;Secure; HttpOnly; secure ";
        let mut head = ResponseHead {
            version: Bytes::from_static(b"HTTP/1.1"),
            status: 200,
            reason: Bytes::new(),
            fields: vec![Field::new("X", cookie), Field::new("Set-Cookie", cookie)],
            line_spelling: None,
            end: Bytes::new(),
        };
        let leaf = |part, start| Leaf {
            part,
            path: String::new(),
            start,
            len: 1,
            tag: LinkTag(0),
            encoding: Encoding::Plain,
            action: Action::Allowed,
            raw_chars: 1,
        };
        let mut leaves = [
            leaf(Part::Field(0), 30),
            leaf(Part::Field(1), 7),
            leaf(Part::Field(1), 30),
        ];
        rewrite.mend_answer(&mut head, &mut leaves);
        assert_eq!(head.fields[0].value.as_ref(), cookie.as_bytes());
        let mended = b"secure=Secure; Path=/; HttpOnly";
        assert_eq!(head.fields[1].value.as_ref(), mended);
        assert_eq!(leaves.map(|leaf| leaf.start), [30, 7, 23]);
    }
}
