//! Sentences of the corpus and generated ones, as values in JSON, forms, XML and SQL.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Case, Span, generate};

/// A kind with fewer examples than this in the corpus gets as many generated ones.
const EXAMPLES: usize = 20;

/// All values to search.
pub fn all(sentences: &Path) -> Result<Vec<Case>> {
    let text = fs::read_to_string(sentences).with_context(|| sentences.display().to_string())?;
    let sentences: Vec<Sentence> = serde_json::from_str(&text)?;
    let mut cases = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for sentence in &sentences {
        let truth = sentence.truth();
        for span in &truth {
            *counts.entry(span.kind.clone()).or_default() += 1;
        }
        for wrapping in WRAPPINGS {
            let case = Case {
                name: wrapping.name.to_owned(),
                text: (wrapping.there_and_back)(&sentence.full_text)?,
                truth: truth.clone(),
            };
            ensure!(
                case.text == sentence.full_text,
                "{} changed a value",
                wrapping.name
            );
            cases.push(case);
        }
    }
    let generated = generate::cases(|kind| {
        let count = counts.get(kind).copied().unwrap_or(0);
        if count < EXAMPLES { EXAMPLES } else { 0 }
    });
    for (number, mut case) in generated.into_iter().enumerate() {
        let wrapping = &WRAPPINGS[number % WRAPPINGS.len()];
        case.text = (wrapping.there_and_back)(&case.text)?;
        if case.name.is_empty() {
            wrapping.name.clone_into(&mut case.name);
        }
        cases.push(case);
    }
    Ok(cases)
}

#[derive(Deserialize)]
struct Sentence {
    full_text: String,
    spans: Vec<Labelled>,
}

/// A span in characters.
#[derive(Deserialize)]
struct Labelled {
    entity_type: String,
    start_position: usize,
    end_position: usize,
}

impl Sentence {
    /// What of its labels is measured, in bytes.
    fn truth(&self) -> Vec<Span> {
        let byte = |character: usize| {
            let mut borders = self.full_text.char_indices().map(|(at, _)| at);
            borders.nth(character).unwrap_or(self.full_text.len())
        };
        let spans = self.spans.iter().filter_map(|label| {
            let (start, end) = (byte(label.start_position), byte(label.end_position));
            let kind = match label.entity_type.as_str() {
                "CREDIT_CARD" => "card",
                "DATE_TIME" if self.full_text[..start].contains("born") => "birth-date",
                "DATE_TIME" if self.full_text[..start].contains("birth") => "birth-date",
                "EMAIL_ADDRESS" => "email",
                "IBAN_CODE" => "iban",
                "IP_ADDRESS" => "ip-address",
                "PERSON" => "person-name",
                "PHONE_NUMBER" => "phone",
                "STREET_ADDRESS" => "street-address",
                "US_SSN" => "us-ssn",
                _ => return None,
            };
            Some(Span {
                start,
                end,
                kind: kind.to_owned(),
            })
        });
        spans.collect()
    }
}

/// A format that carries a value: the value is written and read again.
struct Wrapping {
    /// The name of the field; empty for a plain value.
    name: &'static str,
    there_and_back: fn(&str) -> Result<String>,
}

const WRAPPINGS: &[Wrapping] = &[
    Wrapping {
        name: "",
        there_and_back: |text| Ok(text.to_owned()),
    },
    Wrapping {
        name: "message",
        there_and_back: |text| {
            let json = serde_json::json!({ "message": text }).to_string();
            let value: serde_json::Value = serde_json::from_str(&json)?;
            Ok(value["message"].as_str().context("no text")?.to_owned())
        },
    },
    Wrapping {
        name: "comment",
        there_and_back: |text| {
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("comment", text)
                .finish();
            let (_, value) = form_urlencoded::parse(form.as_bytes())
                .next()
                .context("no pair")?;
            Ok(value.into_owned())
        },
    },
    Wrapping {
        name: "note",
        there_and_back: |text| {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
            let xml = format!("<note>{escaped}</note>");
            let document = roxmltree::Document::parse(&xml)?;
            Ok(document.root_element().text().unwrap_or("").to_owned())
        },
    },
    Wrapping {
        name: "description",
        there_and_back: |text| {
            let sql = format!(
                "INSERT INTO t (description) VALUES ('{}')",
                text.replace('\'', "''")
            );
            let (_, literal) = sql.split_once("('").context("no literal")?;
            let literal = literal.strip_suffix("')").context("no end of it")?;
            Ok(literal.replace("''", "'"))
        },
    },
];
