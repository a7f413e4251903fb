//! Where something may begin: one automaton over all first characters.
//!
//! A pattern matches no more than what tells a thing from other text, and its
//! length is bounded; a reader of its own takes the rest. So each text is
//! scanned once, however long the things in it are.

use std::ops::Range;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use super::kind::Kind;

/// What may begin at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `-----BEGIN ... PRIVATE KEY-----`.
    Pem,
    /// The head of a JSON Web Token.
    Jwt,
    /// The token of a known issuer; the match is all of it, but for a tail of the same characters.
    Issued(Kind),
    /// A word such as `password`, a sign that gives it a value, and the value's first character.
    Assignment,
    /// `://`, perhaps before a user and a password.
    Authority,
    /// `@` and the first character of a host.
    At,
    /// Ethereum's form, all of it.
    Hex40,
    /// Bech32's prefix and some of its data.
    Bech32,
    /// Base58, all of it.
    Base58,
    /// A hardware address, all of it.
    Mac,
    /// Hexadecimal groups with colons: the begin of an IPv6 address, or a time.
    Colons,
    /// Two decimal fractions with a comma between.
    Pair,
    /// A date with the month's name, all of it.
    NamedDate,
    /// The begin of an IBAN.
    Iban,
    /// An Italian fiscal code, all of it.
    FiscalCode,
    /// A Spanish DNI or NIE, all of it.
    Dni,
    /// A British national insurance number, all of it.
    Nino,
    /// A Finnish identity code, all of it.
    Finnish,
    /// A form of address or a known given name, and the first letter of what follows.
    Person,
    /// House number and street, all of it.
    Street,
    /// The first digit of a number, or the `+` or `(` before it.
    Number,
}

/// Case-sensitive, ASCII alone; where two begin at one place, the first in the list wins.
const ANCHORS: &[(Shape, &str)] = &[
    (Shape::Pem, r"-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY"),
    (Shape::Jwt, r"\beyJ[A-Za-z0-9_-]{6}"),
    (
        Shape::Issued(Kind::CloudKey),
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    ),
    (Shape::Issued(Kind::CloudKey), r"\bAIza[A-Za-z0-9_-]{35}"),
    (Shape::Issued(Kind::CloudKey), r"\bLTAI[A-Za-z0-9]{12}"),
    (
        Shape::Issued(Kind::CloudKey),
        r"\b(?:dop|doo|dor)_v1_[0-9a-f]{64}",
    ),
    (Shape::Issued(Kind::Token), r"\bgh[opsur]_[A-Za-z0-9]{36}"),
    (Shape::Issued(Kind::Token), r"\bgithub_pat_[A-Za-z0-9_]{22}"),
    (
        Shape::Issued(Kind::Token),
        r"\bgl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20}",
    ),
    (
        Shape::Issued(Kind::Token),
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10}",
    ),
    (
        Shape::Issued(Kind::Token),
        r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16}",
    ),
    (Shape::Issued(Kind::Token), r"\bwhsec_[A-Za-z0-9+/]{24}"),
    (
        Shape::Issued(Kind::Token),
        r"\bsk-(?:proj-|ant-|svcacct-)?[A-Za-z0-9_-]{20}",
    ),
    (
        Shape::Issued(Kind::Token),
        r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{20}",
    ),
    (Shape::Issued(Kind::Token), r"\bnpm_[A-Za-z0-9]{36}"),
    (Shape::Issued(Kind::Token), r"\bpypi-AgE[A-Za-z0-9_-]{30}"),
    (Shape::Issued(Kind::Token), r"\bhf_[A-Za-z0-9]{30}"),
    (Shape::Issued(Kind::Token), r"\bhv[sbr]\.[A-Za-z0-9_-]{24}"),
    (Shape::Issued(Kind::Token), r"\bdapi[0-9a-f]{32}"),
    (
        Shape::Issued(Kind::Token),
        r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    ),
    (Shape::Issued(Kind::Token), r"\bya29\.[A-Za-z0-9_-]{20}"),
    (
        Shape::Issued(Kind::Token),
        r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    ),
    (
        Shape::Issued(Kind::PrivateKey),
        r"\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    ),
    (
        Shape::Assignment,
        r#"(?i:passw(?:or)?d|passwort|pwd|passphrase|secret|token|(?:api|access|account|auth|private|signing|encryption)[_ -]?key)["']?(?: ?(?::=|=>|[:=]) ?| is )["']?[!-~]"#,
    ),
    (Shape::Assignment, r"\b(?i:bearer) [A-Za-z0-9._~+/-]"),
    (Shape::Authority, r"://"),
    (Shape::At, r"@[A-Za-z0-9]"),
    (Shape::Hex40, r"\b0x[0-9a-fA-F]{40}\b"),
    (Shape::Bech32, r"\b(?:bc|tb|ltc)1[02-9ac-hj-np-z]{20}"),
    (Shape::Base58, r"\b[13LMD][1-9A-HJ-NP-Za-km-z]{25,34}\b"),
    (
        Shape::Mac,
        r"\b[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\b|\b[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}\b|\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b",
    ),
    (
        Shape::Colons,
        r"\b[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{0,4}:|::[0-9A-Fa-f]{1,4}\b",
    ),
    (
        Shape::Pair,
        r"[+-]?\b[0-9]{1,2}\.[0-9]{3,15} ?, ?[+-]?[0-9]{1,3}\.[0-9]{3,15}\b",
    ),
    (
        Shape::NamedDate,
        r"\b[0-9]{1,2}(?:st|nd|rd|th|\.)? (?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6},? (?:19|20)[0-9]{2}\b|\b(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6} [0-9]{1,2}(?:st|nd|rd|th)?,? (?:19|20)[0-9]{2}\b",
    ),
    (
        Shape::Nino,
        r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
    ),
    (Shape::Iban, r"\b[A-Za-z]{2}[0-9]{2} ?[A-Za-z0-9]{4}"),
    (
        Shape::FiscalCode,
        r"\b(?i:[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z])\b",
    ),
    (
        Shape::Dni,
        r"\b(?:[0-9]{8}|[XYZ]-?[0-9]{7})[ -]?[A-HJ-NP-TV-Z]\b",
    ),
    (
        Shape::Finnish,
        r"\b[0-3][0-9][01][0-9]{3}[-+ABCDEFYXWVU][0-9]{3}[0-9A-FHJ-NPR-Y]\b",
    ),
    (
        Shape::Street,
        r"\b[0-9]{1,5}[A-Za-z]? (?:[A-Z][a-z]{1,15} ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Boulevard|Blvd|Way|Court|Ct|Place|Square|Terrace)\b|\b[A-Z][a-z]{2,20}(?:strasse|straat|vej|weg|gasse|gatan) [0-9]{1,4}\b",
    ),
    (
        Shape::Person,
        r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme|Sra?)\.? [A-Z]",
    ),
    (Shape::Number, r"[+(]?\b[0-9]|[+(]{1,2}[0-9]"),
];

/// Something may begin here.
#[derive(Clone, Debug)]
pub(super) struct Anchor {
    pub(super) shape: Shape,
    pub(super) span: Range<usize>,
}

/// The automaton.
#[derive(Debug)]
pub(super) struct Anchors {
    automaton: Regex,
    /// By pattern.
    shapes: Vec<Shape>,
}

impl Anchors {
    /// Builds it. `given_names` are words that begin a person's name.
    pub(super) fn new(given_names: &[&str]) -> Anchors {
        let names = format!(r"\b(?:{})\b", given_names.join("|"));
        let number = ANCHORS.len() - 1;
        let mut patterns: Vec<&str> = ANCHORS.iter().map(|(_, pattern)| *pattern).collect();
        let mut shapes: Vec<Shape> = ANCHORS.iter().map(|(shape, _)| *shape).collect();
        patterns.insert(number, &names);
        shapes.insert(number, Shape::Person);
        let automaton = Regex::builder()
            .syntax(syntax::Config::new().unicode(false))
            .build_many(&patterns)
            .expect("the patterns are constants, and tests build them");
        Anchors { automaton, shapes }
    }

    /// The next place at or after `from`.
    pub(super) fn next(&self, text: &str, from: usize) -> Option<Anchor> {
        let input = Input::new(text).range(from..).anchored(Anchored::No);
        let found = self.automaton.find(input)?;
        Some(Anchor {
            shape: self.shapes[found.pattern().as_usize()],
            span: found.range(),
        })
    }
}
