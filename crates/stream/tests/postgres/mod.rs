//! PostgreSQL: what is made of each shape of conversation, and what is said of it.

mod conversations;
mod corpus;
mod documents;
mod hostile;
mod laws;
mod losses;

use crate::common::{Talk, run};
use expect_test::Expect;
use twintap_stream::Limits;

/// A conversation in turns, the client first, then the end of both directions.
#[track_caller]
fn check(turns: &[&[Vec<u8>]], expect: Expect) {
    let limits = Limits {
        emit_opaque: true,
        ..Limits::default()
    };
    check_with(limits, turns, expect);
}

#[track_caller]
fn check_with(limits: Limits, turns: &[&[Vec<u8>]], expect: Expect) {
    let mut talk = Talk::new().handshake();
    for (index, turn) in turns.iter().enumerate() {
        talk = match index % 2 {
            0 => talk.ask(turn.concat()),
            _ => talk.answer(turn.concat()),
        };
    }
    expect.assert_eq(&run(talk.close().segments(), limits));
}

/// A message.
fn message(tag: char, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = vec![tag as u8];
    bytes.extend((content.len() as u32 + 4).to_be_bytes());
    bytes.extend(content);
    bytes
}

/// A packet without type.
fn untagged(code: u32, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32 + 8).to_be_bytes();
    [&length[..], &code.to_be_bytes(), content].concat()
}

fn startup() -> Vec<u8> {
    untagged(0x0003_0000, b"user\0ann\0database\0shop\0\0")
}

fn ssl_request() -> Vec<u8> {
    untagged(80_877_103, b"")
}

/// What a server says before the first query.
fn welcome() -> Vec<u8> {
    [
        message('R', 0_u32.to_be_bytes()),
        message('S', "server_version\x0017.2\0"),
        message('K', [0, 0, 0, 7, 1, 2, 3, 4]),
        ready('I'),
    ]
    .concat()
}

fn ready(status: char) -> Vec<u8> {
    message('Z', [status as u8])
}

fn query(text: &str) -> Vec<u8> {
    message('Q', format!("{text}\0"))
}

fn parse(name: &str, text: &str, types: &[u32]) -> Vec<u8> {
    let mut content = format!("{name}\0{text}\0").into_bytes();
    content.extend((types.len() as u16).to_be_bytes());
    types.iter().for_each(|id| content.extend(id.to_be_bytes()));
    message('P', content)
}

/// Parameters with their formats: 0 text, 1 binary.
fn bind(portal: &str, statement: &str, parameters: &[(u16, Option<&[u8]>)]) -> Vec<u8> {
    let mut content = format!("{portal}\0{statement}\0").into_bytes();
    content.extend((parameters.len() as u16).to_be_bytes());
    for (format, _) in parameters {
        content.extend(format.to_be_bytes());
    }
    content.extend((parameters.len() as u16).to_be_bytes());
    for (_, value) in parameters {
        match value {
            None => content.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                content.extend((value.len() as u32).to_be_bytes());
                content.extend(*value);
            }
        }
    }
    content.extend([0, 0]);
    message('B', content)
}

fn describe(what: &str) -> Vec<u8> {
    message('D', format!("{what}\0"))
}

fn execute(portal: &str, rows: u32) -> Vec<u8> {
    let content = [portal.as_bytes(), &[0], &rows.to_be_bytes()].concat();
    message('E', content)
}

fn close(what: &str) -> Vec<u8> {
    message('C', format!("{what}\0"))
}

/// A message without content.
fn bare(tag: char) -> Vec<u8> {
    message(tag, "")
}

fn columns(names: &[&str]) -> Vec<u8> {
    let mut content = (names.len() as u16).to_be_bytes().to_vec();
    for name in names {
        content.extend(name.as_bytes());
        content.extend([0; 19]);
    }
    message('T', content)
}

fn row(values: &[&str]) -> Vec<u8> {
    let mut content = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        content.extend((value.len() as u32).to_be_bytes());
        content.extend(value.as_bytes());
    }
    message('D', content)
}

fn types(ids: &[u32]) -> Vec<u8> {
    let mut content = (ids.len() as u16).to_be_bytes().to_vec();
    ids.iter().for_each(|id| content.extend(id.to_be_bytes()));
    message('t', content)
}

fn done(tag: &str) -> Vec<u8> {
    message('C', format!("{tag}\0"))
}

fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    message(
        'E',
        format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0"),
    )
}
