//! What the names of leaves say about their part in a conversation.

use twintap_scrub::split_path;

use crate::created::kind_of;
use crate::model::CreatedKind;

/// What is known of a leaf from its path alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameFacts {
    /// Which kind of identity a request shows in it.
    pub identity: Option<IdentityKind>,
    /// A request's value there may be replaced by one that a response produced.
    pub uses: bool,
    /// A response's value there may be used by later requests.
    pub produces: bool,
    /// A server makes such values: session cookies, bearer tokens, CSRF tokens.
    pub token: bool,
    /// It signs the URL that it is a parameter of.
    pub signature: bool,
    /// What a client creates in it.
    pub creates: Option<CreatedKind>,
    /// A script in the page makes it, as analytics do.
    pub script: bool,
    /// Array positions in the path: each makes it depend on what else there is.
    pub positions: u8,
}

/// The kinds of identity, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum IdentityKind {
    Cookie,
    Authorization,
    Key,
}

/// The facts of the leaf path `path`.
pub(crate) fn facts_of(path: &str) -> NameFacts {
    match split_path(path) {
        Some((container, inside)) => facts_inside(path, container, inside),
        None => facts_outside(path),
    }
}

/// The facts of a leaf inside of another's value.
fn facts_inside(path: &str, container: &str, inside: &str) -> NameFacts {
    let outer = facts_outside(container);
    let is_message = container.starts_with("grpc.");
    let is_set_cookie = container.starts_with("set-cookie.");
    NameFacts {
        identity: None,
        // What a token says is signed: it is the whole that is bound.
        uses: (outer.uses || is_message) && !inside.contains("jwt."),
        produces: outer.produces || is_message || is_set_cookie,
        token: says_forgery(inside),
        signature: says_signature(path),
        creates: None,
        script: false,
        positions: path
            .split('>')
            .map(positions_in)
            .fold(0, u8::saturating_add),
    }
}

fn facts_outside(path: &str) -> NameFacts {
    let mut facts = NameFacts {
        uses: true,
        produces: true,
        token: says_forgery(path),
        signature: says_signature(path),
        creates: kind_of(path),
        positions: positions_in(path),
        ..NameFacts::default()
    };
    if let Some(name) = path.strip_prefix("cookie.") {
        facts.identity = Some(IdentityKind::Cookie);
        facts.script = SCRIPT_COOKIES
            .iter()
            .any(|prefix| name.to_ascii_lowercase().starts_with(prefix));
        facts.token = !facts.script && (facts.token || says_session(name));
        facts.produces = false;
    } else if let Some(name) = path.strip_prefix("header.") {
        let name = name.split('#').next().unwrap_or(name);
        let field = name.split('.').next().unwrap_or(name);
        facts.uses = !PROTOCOL_HEADERS.contains(&field) && !field.starts_with("sec-");
        facts.produces = facts.uses;
        if field == "authorization" {
            let scheme = name.split('.').nth(1).unwrap_or_default();
            // A signature is another with each request, and tells nobody apart.
            let signs = SIGNING_SCHEMES
                .iter()
                .any(|signing| scheme.contains(signing));
            facts.identity = (!signs).then_some(IdentityKind::Authorization);
            // Basic carries what the client knows, not what a server made (RFC 7617).
            facts.token = !signs && scheme != "basic";
        } else if TOKEN_HEADERS.contains(&field) {
            facts.identity = Some(IdentityKind::Authorization);
            facts.token = true;
        } else if KEY_HEADERS.contains(&field) {
            facts.identity = Some(IdentityKind::Key);
        }
    } else if path.starts_with("set-cookie.") {
        facts.uses = false;
    } else if path.starts_with("grpc.") {
        // A message as a whole; the fields inside are leaves of their own.
        facts.uses = false;
        facts.produces = false;
    } else if path.starts_with("referer.") {
        // It follows what other leaves say.
        facts.token = false;
    }
    facts
}

/// True when a name says that its value guards against forged requests.
fn says_forgery(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [
        "csrf",
        "xsrf",
        "authenticity_token",
        "requestverificationtoken",
    ]
    .iter()
    .any(|word| path.contains(word))
}

/// True when a parameter's name says that it signs its URL, which holds as a whole.
pub(crate) fn says_signature(path: &str) -> bool {
    let Some((_, name)) = path.rsplit_once("query.") else {
        return false;
    };
    let name = name.split('#').next().unwrap_or(name).to_ascii_lowercase();
    matches!(
        name.as_str(),
        "sig" | "sign" | "signature" | "hmac" | "x-amz-signature" | "x-goog-signature"
    )
}

/// True when a cookie's name says that a server keeps a session or a login by it.
fn says_session(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| {
            word.starts_with("sess")
                || [
                    "sid",
                    "session",
                    "sessid",
                    "sessionid",
                    "token",
                    "auth",
                    "jwt",
                    "login",
                    "remember",
                ]
                .iter()
                .any(|end| word.ends_with(end))
        })
}

fn positions_in(path: &str) -> u8 {
    if let Some(index) = path.strip_prefix("grpc.") {
        return u8::from(index != "0");
    }
    let Some(pointer) = path.strip_prefix("json.") else {
        let named = !path.starts_with("html.")
            || path.starts_with("html.input.")
            || path.starts_with("html.script")
            || path.starts_with("html.meta.");
        return u8::from(!named || path.contains('#'));
    };
    let count = pointer
        .split('/')
        .filter(|step| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()))
        .count();
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// Names of cookies that scripts of the page set, by their beginning.
const SCRIPT_COOKIES: [&str; 15] = [
    "_ga",
    "_gid",
    "_gat",
    "_gcl",
    "_fbp",
    "_hj",
    "__utm",
    "_pk_",
    "_cl",
    "_uet",
    "ajs_",
    "amp_",
    "mp_",
    "optanon",
    "intercom-",
];

/// Authorization schemes whose value is made anew for each request or connection.
const SIGNING_SCHEMES: [&str; 8] = [
    "digest",
    "hmac",
    "oauth",
    "hawk",
    "signature",
    "negotiate",
    "ntlm",
    "dpop",
];

/// Header fields that name an application rather than a login.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "api-key", "apikey"];

/// Header fields that services use where others use Authorization.
const TOKEN_HEADERS: [&str; 3] = ["x-auth-token", "x-access-token", "x-session-token"];

/// Header fields that are the protocol's business: their values are never
/// carried from a response into a request.
const PROTOCOL_HEADERS: [&str; 47] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "access-control-request-headers",
    "access-control-request-method",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-security-policy",
    "content-type",
    "cookie",
    "date",
    "dnt",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "x-forwarded-for",
    "x-requested-with",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let facts = facts_of(path);
        let mut words = Vec::new();
        match facts.identity {
            Some(IdentityKind::Cookie) => words.push("cookie"),
            Some(IdentityKind::Authorization) => words.push("authorization"),
            Some(IdentityKind::Key) => words.push("key"),
            None => {}
        }
        for (set, word) in [
            (facts.uses, "uses"),
            (facts.produces, "produces"),
            (facts.token, "token"),
            (facts.signature, "signature"),
            (facts.script, "script"),
            (facts.positions > 0, "positions"),
        ] {
            if set {
                words.push(word);
            }
        }
        assert_eq!(words.join(" "), expected, "{path}");
    }

    #[test]
    fn names_tell_their_part() {
        check("cookie.sid", "cookie uses token");
        check("cookie.JSESSIONID", "cookie uses token");
        check("cookie.accessToken", "cookie uses token");
        check("cookie.connect.sid", "cookie uses token");
        check("cookie.theme", "cookie uses");
        check("cookie.residence", "cookie uses");
        check("cookie._ga_X1", "cookie uses script");
        check("cookie._hjSessionUser_1", "cookie uses script");
        check(
            "header.authorization.bearer",
            "authorization uses produces token",
        );
        check("header.authorization.basic", "authorization uses produces");
        check("header.authorization.aws4-hmac-sha256", "uses produces");
        check("html.input.csrf_token", "uses produces token");
        check("html.attribute.href", "uses produces positions");
        check("referer.query.csrf", "uses produces");
        check("header.x-api-key", "key uses produces");
        check("header.x-auth-token", "authorization uses produces token");
        check("header.x-csrf-token", "uses produces token");
        check("header.content-type", "");
        check("header.sec-fetch-mode", "");
        check("header.etag", "uses produces");
        check("form.authenticity_token", "uses produces token");
        check("set-cookie.sid", "produces");
        check("json./items/0/id", "uses produces positions");
        check("json./id", "uses produces");
        check("json./state>json./csrf", "uses produces token");
        check("json./items/0/next>uri.path.1", "uses produces positions");
        check("header.authorization.bearer>jwt./sub", "produces");
        check("set-cookie.s>percent>json./id", "produces");
        check("cookie.s>percent>json./id", "uses");
        check("grpc.0", "");
        check("grpc.0>proto./1/2", "uses produces");
        check("grpc.3>proto./1/2", "uses produces positions");
        check("html.script>js.csrfToken", "uses produces token");
        check("html.attribute.href>uri.path.1", "uses produces positions");
        check("multipart.file", "uses produces");
        check("xml./order/id#1", "uses produces positions");
        check("query.x-amz-signature", "uses produces signature");
        check("json./url>uri.query.sig", "uses produces signature");
    }
}
