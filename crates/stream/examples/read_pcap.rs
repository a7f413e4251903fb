//! Prints each exchange of a capture file.
//!
//! `cargo run --release -p twintap-stream --example read_pcap -- FILE`

use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::sync::Arc;

use twintap_stream::{CaptureReader, EventKind, Limits, PacketDecoder, Streams, Timestamp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which capture file?")?;
    let mut decoder = PacketDecoder::new();
    let mut streams = Streams::new(Arc::from("example"), 1, Limits::default());
    let mut now = Timestamp::default();
    let mut out = BufWriter::new(stdout().lock());
    for packet in CaptureReader::new(File::open(path)?)? {
        let packet = packet?;
        now = now.max(packet.time);
        streams.handle_timeout(now);
        if let Some(segment) = decoder.decode(&packet, 0) {
            streams.handle_segment(segment);
        }
        print(&mut streams, &mut out)?;
    }
    streams.finish(now);
    print(&mut streams, &mut out)?;
    Ok(())
}

fn print(streams: &mut Streams, out: &mut impl Write) -> std::io::Result<()> {
    while let Some(event) = streams.poll_event() {
        match event.kind {
            EventKind::Exchange(exchange) => {
                let (request, response) = (&exchange.request, &exchange.response);
                if let Some(head) = &request.head {
                    out.write_all(&head.method)?;
                    out.write_all(b" ")?;
                    out.write_all(&head.target)?;
                }
                let status = response.head.as_ref().map_or(0, |head| head.status);
                writeln!(out, " -> {status}, {} bytes", response.body_bytes)?;
            }
            EventKind::Command(exchange) => {
                let name = exchange.request.head.as_ref().map(|head| &head.name);
                let kind = exchange.response.head.as_ref().map(|head| head.kind);
                writeln!(out, "{name:?} -> {kind:?}")?;
            }
            _ => {}
        }
    }
    Ok(())
}
