//! Traffic of databases from a capture file to the archive and back.

use std::collections::BTreeMap;
use std::path::Path;

use twintap_archive::{Options, Reader, StoredBody};
use twintap_replayer::import::import;
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_stream::Direction::{self, Client, Server};
use twintap_stream::message::{MessageState, Protocol};

/// What must not be found in the archive.
const SEEDS: [&str; 5] = [
    "Zebediah",
    "zebediah@mail.example.org",
    "Xylophone Lane",
    "Tr0ub4dor",
    "4929123412341234",
];

#[test]
fn a_capture_of_three_databases_is_stored_without_its_values() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("databases.pcap");
    std::fs::write(&file, capture()).expect("a capture is written");
    let archive = directory.path().join("archive");
    let scrubber = Scrubber::new(Policy::default_policy(), &Key::from_bytes([7; 32]));
    let summary = import(&file, &archive, scrubber, Options::default(), |_| ()).expect("an import");
    let ledger = &summary.ledger;
    assert!(ledger.closes(), "{ledger:?}");
    assert!(ledger.discarded.is_empty(), "{ledger:?}");

    let reader = Reader::open(&archive).expect("a reader");
    let mut counts = BTreeMap::new();
    let mut said = String::new();
    for stored in reader.exchanges() {
        let stored = stored.expect("an exchange");
        let exchange = stored.exchange();
        *counts.entry(exchange.protocol.name()).or_insert(0) += 1;
        assert_eq!(exchange.request.state, MessageState::Complete);
        for body in [&stored.request_body, &stored.response_body] {
            let StoredBody::Inline(body) = body else {
                continue;
            };
            let json: serde_json::Value = serde_json::from_slice(body).expect("JSON");
            said.push_str(&json.to_string());
        }
        assert_ne!(exchange.protocol, Protocol::Opaque);
    }
    let expected = BTreeMap::from([("mysql", 2), ("postgres", 2), ("redis", 2)]);
    assert_eq!(counts, expected);
    assert_eq!(ledger.stored, 6, "{ledger:?}");
    for shown in [
        "INSERT INTO users (name, email) VALUES (",
        "SELECT street FROM users",
        "street",
    ] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    without_seeds(&archive);
    for seed in SEEDS {
        assert!(!said.contains(seed), "{seed}: {said}");
    }
}

/// No file of the archive has a seed in its bytes.
fn without_seeds(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            without_seeds(&path);
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        for seed in SEEDS {
            let found = bytes
                .windows(seed.len())
                .any(|bytes| bytes == seed.as_bytes());
            assert!(!found, "{seed} in {}", path.display());
        }
    }
}

/// A capture file (pcap, raw IP packets) of a connection to each database.
fn capture() -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0xffff, 101] {
        file.extend(word.to_le_bytes());
    }
    for (client_port, server_port, turns) in [
        (40_001, 6379, redis()),
        (40_002, 5432, postgres()),
        (40_003, 3306, mysql()),
    ] {
        let mut talk = Talk {
            file: &mut file,
            ports: (client_port, server_port),
            sent: [1, 1],
        };
        talk.packet(Client, 0x02, 0, b"");
        talk.packet(Server, 0x12, 0, b"");
        for (direction, bytes) in turns {
            let offset = talk.sent[direction as usize];
            talk.packet(direction, 0x18, offset, &bytes);
            talk.sent[direction as usize] += bytes.len() as u32;
        }
        for direction in [Client, Server] {
            let offset = talk.sent[direction as usize];
            talk.packet(direction, 0x11, offset, b"");
            talk.sent[direction as usize] += 1;
        }
    }
    file
}

struct Talk<'a> {
    file: &'a mut Vec<u8>,
    ports: (u16, u16),
    sent: [u32; 2],
}

impl Talk<'_> {
    fn packet(&mut self, direction: Direction, flags: u8, sequence: u32, payload: &[u8]) {
        let (from, to, addresses) = match direction {
            Client => (self.ports.0, self.ports.1, [[10, 0, 0, 1], [10, 0, 0, 2]]),
            Server => (self.ports.1, self.ports.0, [[10, 0, 0, 2], [10, 0, 0, 1]]),
        };
        let acknowledged = self.sent[1 - direction as usize];
        let length = (40 + payload.len()) as u16;
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        packet.extend(addresses.concat());
        packet.extend(from.to_be_bytes());
        packet.extend(to.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(acknowledged.to_be_bytes());
        packet.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        packet.extend(payload);
        let seconds = self.file.len() as u32;
        for word in [seconds, 0, packet.len() as u32, packet.len() as u32] {
            self.file.extend(word.to_le_bytes());
        }
        self.file.extend(packet);
    }
}

type Turns = Vec<(Direction, Vec<u8>)>;

fn redis() -> Turns {
    let command = |words: &[&str]| {
        let words = words
            .iter()
            .map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let words: Vec<String> = words.collect();
        format!("*{}\r\n{}", words.len(), words.concat()).into_bytes()
    };
    vec![
        (Client, command(&["AUTH", "Zebediah", "Tr0ub4dor"])),
        (Server, b"+OK\r\n".to_vec()),
        (
            Client,
            command(&["HGET", "user:zebediah@mail.example.org", "street"]),
        ),
        (Server, b"$17\r\n17 Xylophone Lane\r\n".to_vec()),
    ]
}

fn message(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32 + 4).to_be_bytes();
    [&[tag], &length[..], content].concat()
}

fn postgres() -> Turns {
    let startup = b"\0\0\0\x17\0\x03\0\0user\0Zebediah\0\0";
    let insert =
        "INSERT INTO users (name, email) VALUES ('Zebediah', 'zebediah@mail.example.org')\0";
    vec![
        (Client, startup.to_vec()),
        (
            Server,
            [message(b'R', &[0; 4]), message(b'Z', b"I")].concat(),
        ),
        (Client, message(b'Q', insert.as_bytes())),
        (
            Server,
            [message(b'C', b"INSERT 0 1\0"), message(b'Z', b"I")].concat(),
        ),
    ]
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}

fn mysql() -> Turns {
    let text = |text: &[u8]| [&[text.len() as u8], text].concat();
    let greeting = b"\x0a8.0.36\0\x01\0\0\0saltsalt\0\x08\x82\xff\x02\0\0\0\x15\0\0\0\0\0\0\0\0\0\0saltsaltsalt\0caching_sha2_password\0";
    let login = [
        &b"\x08\x82\0\0\0\0\0\x01\xff"[..],
        &[0; 23],
        b"zeb\0\x04hash",
        b"shop\0caching_sha2_password\0",
    ]
    .concat();
    let names = [
        &b"def"[..],
        b"shop",
        b"users",
        b"users",
        b"street",
        b"street",
    ]
    .map(text);
    let column = [&names.concat()[..], b"\x0c\xff\0\x09\0\0\0\xfd\0\0\0\0\0"].concat();
    let eof = b"\xfe\0\0\x02\0";
    let row = [text(b"17 Xylophone Lane")].concat();
    let query = "\x03SELECT street FROM users WHERE card = '4929123412341234'";
    let rows = [&[1][..], &column, eof, &row, eof];
    let rows = rows
        .iter()
        .zip(1..)
        .map(|(payload, number)| packet(number, payload));
    vec![
        (Server, packet(0, greeting)),
        (Client, packet(1, &login)),
        (Server, packet(2, &[0, 0, 0, 2, 0, 0, 0])),
        (Client, packet(0, query.as_bytes())),
        (Server, rows.collect::<Vec<_>>().concat()),
    ]
}
