//! Anything as a part: reading and recovery come back, and hold no more than a block.
//! Under the fuzzer checksums are taken as they come, so that it gets past them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twintap_archive::{Archive, Options, Reader};

fuzz_target!(|input: &[u8]| {
    let Some((kind, part)) = input.split_first() else {
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    drop(Archive::open(path, Options::default()).expect("a new archive"));
    let name = if kind & 1 == 0 { "00000001.part" } else { "00000001.open" };
    std::fs::write(path.join(name), part).expect("the part is written");
    if let Ok(reader) = Reader::open(path) {
        for stored in reader.exchanges().flatten().take(64) {
            let _ = reader.read_body(&stored.request_body, 1 << 20);
            let _ = reader.read_body(&stored.response_body, 1 << 20);
            let _ = reader.get(stored.id());
        }
        let _ = reader.checkpoint();
        let _ = reader.verify();
    }
    let _ = Archive::open(path, Options::default());
});
