//! The suite's markdown: headings, a line of JSON, the input, and the log of callbacks.

use std::path::Path;

/// Which message the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    /// A request target alone.
    Url,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// File, line of the input, and heading.
    pub name: String,
    pub kind: Kind,
    /// The suite runs it with a check switched off.
    pub is_lenient: bool,
    /// The suite's application says that no body follows.
    pub skips_body: bool,
    pub input: Vec<u8>,
    pub messages: Vec<Expected>,
    pub error: Option<Failure>,
    /// Of a target alone.
    pub host: Option<String>,
}

/// One message by the suite's log.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub method: String,
    pub url: String,
    pub version: String,
    pub status: Option<u16>,
    pub reason: String,
    pub fields: Vec<(String, String)>,
    pub trailers: Vec<(String, String)>,
    pub body: String,
    /// Names and values, in the order of the log.
    pub extensions: String,
    pub has_head: bool,
    pub is_complete: bool,
}

/// The error that ends a log.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: u32,
    pub reason: String,
    /// The last message was not over.
    pub within_message: bool,
}

/// All cases below a folder, in the order of files and lines.
pub fn read(suite: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in ["request", "response", ""] {
        let mut files: Vec<_> = std::fs::read_dir(suite.join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|name| name == "md"))
            .collect();
        files.sort();
        for path in files {
            let text = std::fs::read_to_string(&path).expect("a text");
            let file = path.file_name().expect("a name").to_string_lossy();
            let name = match folder {
                "" => file.into_owned(),
                _ => format!("{folder}/{file}"),
            };
            read_file(&name, &text, &mut cases);
        }
    }
    cases
}

fn read_file(file: &str, text: &str, cases: &mut Vec<Case>) {
    let (mut heading, mut meta) = (String::new(), String::new());
    let mut input = None;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        } else if line.starts_with("<!-- meta=") {
            meta = line.replace(' ', "");
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| !line.starts_with("```"))
                .collect();
            match language {
                "http" | "url" => input = Some((number + 1, language, block.join("\n"))),
                "log" => {
                    let (line, language, input) = input.take().expect("an input before its log");
                    let name = format!("{file}:{line} {heading}");
                    cases.push(case(
                        name,
                        language,
                        &std::mem::take(&mut meta),
                        &input,
                        &block,
                    ));
                }
                other => panic!("{file}:{number}: a block of {other}"),
            }
        }
    }
}

fn case(name: String, language: &str, meta: &str, input: &str, log: &[&str]) -> Case {
    let kind = match language {
        "url" => Kind::Url,
        _ if meta.contains("\"type\":\"request") => Kind::Request,
        _ => Kind::Response,
    };
    let mut case = Case {
        name,
        kind,
        is_lenient: meta.contains("-lenient-"),
        skips_body: meta.contains("skipBody"),
        input: unescape(input).into_bytes(),
        messages: Vec::new(),
        error: None,
        host: None,
    };
    let mut field = None;
    for line in log {
        let what = line.split_once(' ').map_or("", |(_, rest)| rest);
        let what = match what.strip_prefix("len=") {
            Some(rest) => rest.split_once(' ').map_or("", |(_, rest)| rest),
            None => what,
        };
        callback(&mut case, what, &mut field);
    }
    case
}

fn callback(case: &mut Case, what: &str, field: &mut Option<(String, String)>) {
    if what == "message begin" {
        case.messages.push(Expected::default());
        *field = None;
        return;
    }
    if let Some(error) = what.strip_prefix("error code=") {
        let (code, reason) = error.split_once(' ').expect("a reason");
        let reason = reason.trim_start_matches("reason=").trim_matches('"');
        case.error = Some(Failure {
            code: code.parse().expect("a number"),
            reason: reason.to_owned(),
            within_message: case.messages.last().is_some_and(|last| !last.is_complete),
        });
        return;
    }
    if let Some(host) = what.strip_prefix("span[url.host]=") {
        case.host = Some(host.trim_matches('"').to_owned());
        return;
    }
    let Some(message) = case.messages.last_mut() else {
        assert!(case.kind == Kind::Url, "{}: {what}", case.name);
        return;
    };
    if let Some((span, value)) = what
        .strip_prefix("span[")
        .and_then(|rest| rest.split_once("]="))
    {
        let value = match value {
            "cr" => "\r".to_owned(),
            "lf" => "\n".to_owned(),
            quoted => quoted
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .expect("quotes")
                .replace("\\t", "\t")
                .replace("\\f", "\u{c}"),
        };
        match span {
            "method" => message.method.push_str(&value),
            "url" => message.url.push_str(&value),
            "protocol" => message.version.push_str(&value),
            "version" => message.version.push_str(&format!("/{value}")),
            "status" => message.reason.push_str(&value),
            "body" => message.body.push_str(&value),
            "header_field" => field.get_or_insert_default().0.push_str(&value),
            "header_value" => field.get_or_insert_default().1.push_str(&value),
            "chunk_extension_name" => message.extensions.push_str(&format!(";{value}")),
            "chunk_extension_value" => message.extensions.push_str(&format!("={value}")),
            other => panic!("{}: a span of {other}", case.name),
        }
    } else if let Some(rest) = what.strip_prefix("headers complete") {
        message.has_head = true;
        let status = rest
            .split(' ')
            .find_map(|part| part.strip_prefix("status="));
        message.status = status.map(|status| status.parse().expect("a number"));
    } else if what == "header_value complete" {
        let (name, value) = field.take().expect("a field");
        let fields = match message.has_head {
            true => &mut message.trailers,
            false => &mut message.fields,
        };
        fields.push((name, value));
    } else if what == "message complete" {
        message.is_complete = true;
    }
}

/// Newlines, escapes and `\` at a line's end, as the suite writes them.
fn unescape(input: &str) -> String {
    let input = input.replace("\\\n", "").replace('\n', "\r\n");
    let mut text = String::new();
    let mut rest = input.as_str();
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut used = 1;
        match rest.chars().next() {
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('f') => text.push('\u{c}'),
            Some('x') => {
                let digits: String = rest[1..]
                    .chars()
                    .take_while(char::is_ascii_hexdigit)
                    .collect();
                let code = u32::from_str_radix(&digits, 16).expect("hex digits");
                text.push(char::from_u32(code).expect("a character"));
                used += digits.len();
            }
            Some(digit @ '0'..='7') => {
                let digits: String = rest.chars().take(3).take_while(|c| c.is_digit(8)).collect();
                assert!(digits.starts_with(digit));
                let code = u32::from_str_radix(&digits, 8).expect("octal digits");
                text.push(char::from_u32(code).expect("a character"));
                used = digits.len();
            }
            _ => {
                text.push('\\');
                used = 0;
            }
        }
        rest = &rest[used..];
    }
    text.push_str(rest);
    text
}
