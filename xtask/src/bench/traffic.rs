//! Generated capture files: HTTP/1.1 over TCP in Ethernet frames.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// What a generated capture is made of.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// MiB of the file, about.
    pub mib: u64,
    /// Bytes of each response's body.
    pub body_bytes: usize,
    /// Keep-alive exchanges of each flow.
    pub exchanges_per_flow: u32,
    /// Payload of the largest segments.
    pub segment_bytes: usize,
}

/// Requests at an even pace over connections that stay open, in turn.
#[derive(Clone, Copy, Debug)]
pub struct Paced {
    /// Connections, all opened first.
    pub flows: u32,
    /// Exchanges, the next always on the next connection.
    pub exchanges: u32,
    /// From one request to the next; at least 10, which one exchange takes.
    pub spacing_us: u64,
    /// The whole of every response.
    pub response: &'static [u8],
}

/// What one frame of Ethernet carries.
pub const SEGMENT: usize = 1448;

impl Traffic {
    /// Writes a pcap of it, flow by flow; returns the exchanges in it.
    pub fn write(&self, path: &Path) -> Result<u64> {
        let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
        let mut out = Writer::begin(file, self.segment_bytes)?;
        let body: Vec<u8> = (0..self.body_bytes)
            .map(|i| b'a' + (i * 7 % 26) as u8)
            .collect();
        let mut number = 0u32;
        while out.written < self.mib << 20 {
            out.flow(number, self.exchanges_per_flow, &body)?;
            number += 1;
        }
        out.out.flush()?;
        Ok(u64::from(number) * u64::from(self.exchanges_per_flow))
    }
}

impl Paced {
    /// Writes a pcap of it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
        let mut out = Writer::begin(file, SEGMENT)?;
        let mut flows: Vec<[Side; 2]> = (0..self.flows).map(Side::both).collect();
        for [client, server] in &mut flows {
            out.segment(client, server, SYN, &[])?;
            out.segment(server, client, SYN_ACK, &[])?;
        }
        let start_us = out.time_us + 1_000;
        for exchange in 0..self.exchanges {
            let flow = exchange % self.flows;
            let [client, server] = &mut flows[flow as usize];
            out.time_us = start_us + u64::from(exchange) * self.spacing_us;
            let request = request(flow, exchange);
            out.segment(client, server, PSH_ACK, request.as_bytes())?;
            for chunk in self.response.chunks(SEGMENT) {
                out.segment(server, client, PSH_ACK, chunk)?;
            }
        }
        for [client, server] in &mut flows {
            out.segment(client, server, FIN_ACK, &[])?;
            out.segment(server, client, FIN_ACK, &[])?;
        }
        out.out.flush()?;
        Ok(())
    }
}

fn request(flow: u32, exchange: u32) -> String {
    format!(
        "GET /items/{flow}/{exchange} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: generated\r\nAccept: */*\r\n\r\n"
    )
}

struct Writer {
    out: BufWriter<File>,
    written: u64,
    time_us: u64,
    segment_bytes: usize,
}

/// One side's next sequence number.
struct Side {
    client: bool,
    /// The client's.
    host: u8,
    port: u16,
    sequence: u32,
}

const FIN_ACK: u8 = 0x11;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const PSH_ACK: u8 = 0x18;

impl Side {
    /// The client's and the server's of a flow.
    fn both(number: u32) -> [Side; 2] {
        let side = |client: bool, factor: u32| Side {
            client,
            host: 3 + (number / 60_000) as u8,
            port: 1024 + (number % 60_000) as u16,
            sequence: number.wrapping_mul(factor),
        };
        [side(true, 7_919), side(false, 104_729)]
    }
}

impl Writer {
    fn begin(file: File, segment_bytes: usize) -> Result<Writer> {
        let mut writer = Writer {
            out: BufWriter::with_capacity(1 << 20, file),
            written: 0,
            time_us: 1_700_000_000_000_000,
            segment_bytes,
        };
        writer.header()?;
        Ok(writer)
    }

    fn header(&mut self) -> Result<()> {
        self.out.write_all(&0xa1b2_c3d4u32.to_le_bytes())?;
        self.out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        self.out.write_all(&262_144u32.to_le_bytes())?;
        self.out.write_all(&1u32.to_le_bytes())?;
        Ok(())
    }

    fn flow(&mut self, number: u32, exchanges: u32, body: &[u8]) -> Result<()> {
        let [mut client, mut server] = Side::both(number);
        self.segment(&mut client, &server, SYN, &[])?;
        self.segment(&mut server, &client, SYN_ACK, &[])?;
        for exchange in 0..exchanges {
            let request = request(number, exchange);
            self.segment(&mut client, &server, PSH_ACK, request.as_bytes())?;
            let mut response = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes();
            response.extend_from_slice(body);
            for chunk in response.chunks(self.segment_bytes) {
                self.segment(&mut server, &client, PSH_ACK, chunk)?;
            }
        }
        self.segment(&mut client, &server, FIN_ACK, &[])?;
        self.segment(&mut server, &client, FIN_ACK, &[])
    }

    fn segment(&mut self, from: &mut Side, to: &Side, flags: u8, payload: &[u8]) -> Result<()> {
        self.time_us += 3;
        let length = 14 + 20 + 20 + payload.len();
        let (seconds, micros) = (self.time_us / 1_000_000, self.time_us % 1_000_000);
        self.out.write_all(&(seconds as u32).to_le_bytes())?;
        self.out.write_all(&(micros as u32).to_le_bytes())?;
        self.out.write_all(&(length as u32).to_le_bytes())?;
        self.out.write_all(&(length as u32).to_le_bytes())?;
        self.out
            .write_all(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00])?;

        let (client, server) = ([10, 0, 0, from.host], [10, 0, 0, 2]);
        let (source, destination) = if from.client {
            (client, server)
        } else {
            (server, client)
        };
        let mut ip = [0u8; 20];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&((40 + payload.len()) as u16).to_be_bytes());
        ip[8] = 64;
        ip[9] = 6;
        ip[12..16].copy_from_slice(&source);
        ip[16..20].copy_from_slice(&destination);
        let sum: u32 = ip
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        let checksum = !(((sum & 0xffff) + (sum >> 16)) as u16);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        self.out.write_all(&ip)?;

        let (source, destination) = if from.client {
            (from.port, 80)
        } else {
            (80, from.port)
        };
        let mut tcp = [0u8; 20];
        tcp[0..2].copy_from_slice(&source.to_be_bytes());
        tcp[2..4].copy_from_slice(&destination.to_be_bytes());
        tcp[4..8].copy_from_slice(&from.sequence.to_be_bytes());
        if flags & 0x10 != 0 {
            tcp[8..12].copy_from_slice(&to.sequence.to_be_bytes());
        }
        tcp[12] = 5 << 4;
        tcp[13] = flags;
        tcp[14..16].copy_from_slice(&[0xff, 0xff]);
        self.out.write_all(&tcp)?;
        self.out.write_all(payload)?;
        from.sequence = from
            .sequence
            .wrapping_add(payload.len() as u32 + u32::from(flags & 0x03 != 0));
        self.written += 16 + length as u64;
        Ok(())
    }
}
