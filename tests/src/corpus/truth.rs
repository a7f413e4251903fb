//! The tables of messages in `truth/`: what tshark shows of a capture.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use twintap_stream::message::Protocol;

use super::items::{Items, Kind};

/// What the rows tell of that are compared: `1` HTTP/1 messages, `2` HTTP/2 streams, `ws` frames
/// of a WebSocket.
const COMPARED: &[&str] = &["1", "2", "ws"];

/// All messages of a table, spelled as [`super::items`] spells ours.
pub fn read(path: &Path) -> Result<Items> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let mut items = Items::default();
    let mut sockets = Sockets::default();
    for line in String::from_utf8_lossy(&bytes).lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let row = Row(&cells);
        if !COMPARED.contains(&row.cell(0)) {
            continue;
        }
        match row.cell(0) {
            "1" => row.http1(&mut items),
            "2" => row.http2(&mut items),
            "ws" => sockets.frame(&row, &mut items),
            _ => {}
        }
    }
    Ok(items)
}

struct Row<'a>(&'a [&'a str]);

impl Row<'_> {
    fn cell(&self, index: usize) -> &str {
        self.0.get(index).copied().unwrap_or("")
    }

    fn ends(&self) -> String {
        format!("{}>{}", self.cell(3), self.cell(4))
    }

    /// The length of the body, without its content codings.
    fn length(&self) -> &str {
        self.cell(13)
    }

    fn http1(&self, items: &mut Items) {
        let (ends, length) = (self.ends(), self.length());
        let (kind, text) = match self.cell(5) {
            "req" => (
                Kind::Request,
                format!(
                    "req {ends} {} {} {} {length}",
                    self.cell(6),
                    self.cell(7),
                    self.cell(8)
                ),
            ),
            "resp" => (
                Kind::Response,
                format!("resp {ends} {} {length}", self.cell(9)),
            ),
            _ => return,
        };
        items.add(Protocol::Http1, kind, &ends, text);
    }

    /// What one side sent on one stream.
    fn http2(&self, items: &mut Items) {
        let (ends, length) = (self.ends(), self.length());
        let declared = match self.cell(10) {
            "" => String::new(),
            length => format!(" content-length={length}"),
        };
        let (kind, text) = match self.cell(5) {
            "req" => (
                Kind::Request,
                format!(
                    "h2req {ends} {} {} {}{declared} {length}",
                    self.cell(6),
                    self.cell(7),
                    self.cell(8)
                ),
            ),
            "resp" => {
                let grpc = match self.cell(11) {
                    "" => String::new(),
                    status => format!(" {status}"),
                };
                let status = self.cell(9);
                (
                    Kind::Response,
                    format!("h2resp {ends} {status}{declared}{grpc} {length}"),
                )
            }
            _ => return,
        };
        items.add(Protocol::Http2, kind, &ends, text);
    }
}

/// Puts the frames of WebSockets together to messages, as ours are.
#[derive(Default)]
struct Sockets {
    /// By connection and ends: the message that goes on, its opcode and its bytes so far.
    open: BTreeMap<(String, String), (String, u64)>,
}

impl Sockets {
    fn frame(&mut self, row: &Row<'_>, items: &mut Items) {
        let ends = row.ends();
        let bytes: u64 = row.cell(13).parse().unwrap_or(0);
        let (code, is_last) = (row.cell(5), row.cell(6) == "fin=1");
        let is_control = matches!(code, "op=8" | "op=9" | "op=10");
        let key = (row.cell(2).to_owned(), ends.clone());
        let (code, bytes) = match self.open.remove(&key) {
            Some(open) if is_control => {
                self.open.insert(key.clone(), open);
                (code.to_owned(), bytes)
            }
            Some((code, before)) => (code, before + bytes),
            None => (code.to_owned(), bytes),
        };
        if is_last {
            let text = format!("ws {ends} {code} {bytes}");
            items.add(Protocol::Http1, Kind::Part, &ends, text);
        } else {
            self.open.insert(key, (code, bytes));
        }
    }
}
