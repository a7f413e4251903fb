//! Content codings: what they decode to in whatever chunks, and what is said of what is wrong.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;
use twintap_stream::Field;
use twintap_stream::content::{Coding, Codings, DecodeLimits, Decoder, Fault, decode};

use crate::hostile;

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(raw).expect("memory");
    encoder.finish().expect("memory")
}

fn zlib(raw: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(raw).expect("memory");
    encoder.finish().expect("memory")
}

fn bare(raw: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(raw).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(raw: &[u8]) -> Vec<u8> {
    zstd::encode_all(raw, 3).expect("memory")
}

fn hex(digits: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// What [`fox`] is by another implementation of brotli.
fn brotli_fox() -> Vec<u8> {
    hex(
        "1b0707882c0e78d3d0955d9710bb172ba9cad092cc8cad415ce6f236c8199e9e0a7b830d387048206f24bf41a7\
         15ce1c1e27aa2938c2a9749f0603",
    )
}

fn fox() -> Vec<u8> {
    "The quick brown fox jumps over the lazy dog. "
        .repeat(40)
        .into_bytes()
}

fn codings(names: &str) -> Codings {
    Codings::of(&[Field::new("Content-Encoding", names.to_owned())]).expect("known codings")
}

/// Decodes at once, and again in chunks of one and of seven bytes; all must agree.
#[track_caller]
fn decoded(names: &str, body: &[u8], limits: DecodeLimits) -> (Vec<u8>, Option<Fault>) {
    let codings = codings(names);
    let whole = decode(&Bytes::copy_from_slice(body), &codings, limits);
    for size in [1, 7] {
        let mut decoder = Decoder::new(&codings, limits);
        let mut bytes = Vec::new();
        let result = body
            .chunks(size)
            .try_for_each(|chunk| decoder.push(chunk, |out| bytes.extend_from_slice(out)))
            .and_then(|()| decoder.finish());
        assert_eq!(result.clone().err(), whole.fault);
        if !matches!(whole.fault, Some(Fault::Corrupt { .. })) {
            assert_eq!(bytes, whole.bytes);
        }
        assert_eq!(decoder.finish(), result);
    }
    (whole.bytes.to_vec(), whole.fault)
}

#[track_caller]
fn check(names: &str, body: &[u8], bytes: &[u8], fault: Option<Fault>) {
    let (found, found_fault) = decoded(names, body, DecodeLimits::default());
    assert_eq!(found_fault, fault);
    assert_eq!(found, bytes);
}

#[test]
fn each_coding() {
    check("gzip", &gzip(&fox()), &fox(), None);
    check("X-GZip", &gzip(&fox()), &fox(), None);
    check("deflate", &zlib(&fox()), &fox(), None);
    check("deflate", &bare(&fox()), &fox(), None);
    check("br", &brotli_fox(), &fox(), None);
    check("zstd", &zstd(&fox()), &fox(), None);
    check("identity", b"as it is", b"as it is", None);
    check("", b"as it is", b"as it is", None);
    for names in ["gzip", "deflate", "br", "zstd", "gzip, zstd"] {
        check(names, b"", b"", None);
    }
    check("gzip", &gzip(b""), b"", None);
    check("br", &hex("3b"), b"", None);
}

#[test]
fn several_in_a_row() {
    let both = zstd(&gzip(&fox()));
    check("gzip, zstd", &both, &fox(), None);
    check("identity, gzip,, ZSTD", &both, &fox(), None);
    let both = hex("8b0b801f8b08000000000000034bca2fc900001139dafb0400000003");
    check("gzip, br", &both, b"both", None);
    let corrupt = Fault::Corrupt {
        coding: Coding::Gzip,
    };
    check("br, gzip", &both, b"", Some(corrupt));
    check("deflate, deflate", &zlib(&bare(&fox())), &fox(), None);
}

#[test]
fn codings_in_several_fields() {
    let fields = [
        Field::new("content-encoding", "gzip"),
        Field::new("Content-Encoding", "br"),
    ];
    let found = Codings::of(&fields).expect("known codings");
    assert_eq!(found.as_slice(), [Coding::Gzip, Coding::Brotli]);
    let unknown = Codings::named([&b"gzip"[..], b" sdch "]);
    let name = "sdch".to_owned();
    assert_eq!(unknown, Err(Fault::Unknown { name }));
    assert_eq!(Codings::named([&b"gzip"[..]; 5]), Err(Fault::TooMany));
}

#[test]
fn members_in_a_row() {
    let members = [gzip(b"one"), gzip(b""), gzip(b"two")].concat();
    check("gzip", &members, b"onetwo", None);
    let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    let frames = [zstd(b"one"), skippable.clone(), zstd(b"two"), skippable].concat();
    check("zstd", &frames, b"onetwo", None);
}

#[test]
fn gzip_heads_with_all_fields() {
    let encoder = GzBuilder::new()
        .extra(&b"extra"[..])
        .filename("name")
        .comment("comment")
        .mtime(7);
    let mut encoder = encoder.write(Vec::new(), Compression::fast());
    encoder.write_all(b"body").expect("memory");
    let body = encoder.finish().expect("memory");
    check("gzip", &body, b"body", None);
    let mut with_checksum = gzip(b"body");
    with_checksum[3] = 0x02;
    with_checksum.splice(10..10, *b"cs");
    check("gzip", &with_checksum, b"body", None);
    let mut with_empty_extra = gzip(b"body");
    with_empty_extra[3] = 0x04;
    with_empty_extra.splice(10..10, [0, 0]);
    check("gzip", &with_empty_extra, b"body", None);
    let mut reserved = gzip(b"body");
    reserved[3] = 0x20;
    let coding = Coding::Gzip;
    check("gzip", &reserved, b"", Some(Fault::Corrupt { coding }));
}

#[test]
fn truncated_is_not_trailing() {
    for (coding, body) in [
        (Coding::Gzip, gzip(&fox())),
        (Coding::Deflate, zlib(&fox())),
        (Coding::Deflate, bare(&fox())),
        (Coding::Brotli, brotli_fox()),
        (Coding::Zstd, zstd(&fox())),
    ] {
        for cut in 1..body.len() {
            let (bytes, fault) = decoded(coding.name(), &body[..cut], DecodeLimits::default());
            assert_eq!(
                fault,
                Some(Fault::Truncated { coding }),
                "{coding} cut at {cut}"
            );
            assert!(fox().starts_with(&bytes));
        }
        for trailing in [&b"\0"[..], b"\x1f", b"\x28\xb5", b"and more"] {
            let body = [&body, trailing].concat();
            let bytes = trailing.len() as u64;
            let fault = Fault::Trailing { coding, bytes };
            check(coding.name(), &body, &fox(), Some(fault));
        }
    }
    // A second member that breaks off.
    let coding = Coding::Gzip;
    let body = [gzip(b"one"), gzip(b"two")[..9].to_vec()].concat();
    check("gzip", &body, b"one", Some(Fault::Truncated { coding }));
}

#[test]
fn corrupt() {
    for (coding, mut body) in [
        (Coding::Gzip, gzip(b"sum")),
        (Coding::Deflate, zlib(b"sum")),
    ] {
        *body.last_mut().expect("a checksum") ^= 1;
        let (_, fault) = decoded(coding.name(), &body, DecodeLimits::default());
        assert_eq!(fault, Some(Fault::Corrupt { coding }));
    }
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        let body = b"\xff\xffno such thing";
        check(coding.name(), body, b"", Some(Fault::Corrupt { coding }));
    }
}

#[test]
fn a_window_that_is_too_large() {
    // A frame whose window is 16 MiB (RFC 8878, section 3.1.1.1.2).
    let coding = Coding::Zstd;
    let frame = b"\x28\xb5\x2f\xfd\x00\x70\x01\0\0";
    check("zstd", frame, b"", Some(Fault::Corrupt { coding }));
    let frame = b"\x28\xb5\x2f\xfd\x00\x68\x01\0\0";
    check("zstd", frame, b"", None);
}

#[test]
fn expansion_is_limited() {
    let spaces = vec![b' '; 4 << 20];
    let limit_bytes = (4 << 20) - 1;
    let too_large = Fault::TooLarge { limit_bytes };
    // 16 MiB of zeros by another implementation of brotli.
    let zeros = hex("cbffff3ff82700e2b14020f7fe2ffffffff04f00c4611180eefd1f");
    for (names, body) in [
        ("gzip", gzip(&spaces)),
        ("deflate", bare(&spaces)),
        ("zstd", zstd(&spaces)),
        ("gzip, gzip", gzip(&gzip(&spaces))),
        ("br", zeros.clone()),
    ] {
        let codings = codings(names);
        let body = Bytes::from(body);
        let limits = DecodeLimits::bytes(limit_bytes);
        let found = decode(&body, &codings, limits);
        assert_eq!(found.fault, Some(too_large.clone()), "{names}");
        assert!(found.bytes.len() as u64 <= limit_bytes);
        let limits = DecodeLimits {
            ratio: 200,
            ..DecodeLimits::default()
        };
        let fault = decode(&body, &codings, limits).fault;
        assert_eq!(fault, Some(Fault::TooDense { limit: 200 }), "{names}");
    }
    let limits = DecodeLimits::bytes(4 << 20);
    let whole = decode(&gzip(&spaces).into(), &codings("gzip"), limits);
    assert_eq!(whole.sound(), Ok(spaces.into()));
    let found = decode(&zeros.into(), &codings("br"), DecodeLimits::default());
    assert_eq!(found.fault, Some(Fault::TooDense { limit: 1100 }));
}

#[test]
fn codings_are_limits_of_their_own() {
    // What the first coding expands to counts, though next to nothing is left of it.
    let noise = vec![7; 3 << 20];
    let body = zstd(&[gzip(b"small"), noise].concat());
    let limits = DecodeLimits::bytes(1 << 20);
    let found = decode(&body.into(), &codings("gzip, zstd"), limits);
    assert_eq!(&found.bytes[..], b"small");
    let limit_bytes = 1 << 20;
    assert_eq!(found.fault, Some(Fault::TooLarge { limit_bytes }));
}

proptest! {
    #[test]
    fn what_is_coded_decodes_to_itself(raw in prop::collection::vec(any::<u8>(), 0..3000), cut in 0_usize..4000) {
        for (names, body) in [
            ("gzip", gzip(&raw)),
            ("deflate", zlib(&raw)),
            ("deflate", bare(&raw)),
            ("zstd", zstd(&raw)),
            ("deflate, gzip, zstd", zstd(&gzip(&bare(&raw)))),
        ] {
            let codings = codings(names);
            let mut decoder = Decoder::new(&codings, DecodeLimits::default());
            let mut bytes = Vec::new();
            let (first, second) = body.split_at(cut.min(body.len()));
            decoder.push(first, |out| bytes.extend_from_slice(out)).expect("sound");
            decoder.push(second, |out| bytes.extend_from_slice(out)).expect("sound");
            decoder.finish().expect("sound");
            prop_assert_eq!(&bytes, &raw);
        }
    }

    #[test]
    fn anything_is_no_panic(data in prop::collection::vec(any::<u8>(), 0..400)) {
        hostile::content(&data);
    }

    #[test]
    fn damage_is_no_panic(at in 0_usize..2000, bit in 0_u8..8, names in 0_usize..5) {
        let bodies = [gzip(&fox()), zlib(&fox()), bare(&fox()), brotli_fox(), zstd(&fox())];
        let mut data = bodies[names].clone();
        let at = at % data.len();
        data[at] ^= 1 << bit;
        hostile::content(&[&[[0, 1, 1, 2, 3][names]], &data[..]].concat());
    }
}
