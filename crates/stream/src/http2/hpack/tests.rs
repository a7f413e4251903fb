use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use super::*;

/// Decodes blocks, one a line in hexadecimal digits, and renders fields, what is wrong, and the
/// size of the table.
#[track_caller]
fn check_with(mut decoder: Decoder, blocks: &str, expected: Expect) {
    let mut text = String::new();
    for line in blocks
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let block = decoder.decode(&unhex(line), Some(4096), 4096);
        render(&block, &mut text);
        let _ = writeln!(text, "table {}", decoder.cost());
    }
    expected.assert_eq(&text);
}

#[track_caller]
fn check(blocks: &str, expected: Expect) {
    check_with(Decoder::new(1 << 16), blocks, expected);
}

fn render(block: &Block, text: &mut String) {
    for (place, field) in block.fields.iter().enumerate() {
        if block.unknown_at == Some(place) {
            text.push_str("?\n");
        }
        let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let _ = writeln!(text, "{}: {}", part(&field.name), part(&field.value));
    }
    if block.unknown_at == Some(block.fields.len()) {
        text.push_str("?\n");
    }
    for flag in block.flags.names() {
        let _ = writeln!(text, "[{flag}]");
    }
    if block.is_cut {
        text.push_str("cut\n");
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(u8::is_ascii_hexdigit)
        .map(|digit| (digit as char).to_digit(16).expect("a digit") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[test]
fn single_fields_of_appendix_c_2() {
    check(
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        expect![[r#"
            custom-key: custom-header
            table 55
        "#]],
    );
    check(
        "040c 2f73 616d 706c 652f 7061 7468",
        expect![[r#"
            :path: /sample/path
            table 0
        "#]],
    );
    check(
        "1008 7061 7373 776f 7264 0673 6563 7265 74",
        expect![[r#"
            password: secret
            table 0
        "#]],
    );
    check(
        "82",
        expect![[r#"
            :method: GET
            table 0
        "#]],
    );
}

/// Appendix C.3, and C.4 with the Huffman code.
#[test]
fn requests_of_appendix_c() {
    let plain = "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d
        8286 84be 5808 6e6f 2d63 6163 6865
        8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65";
    let coded = "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff
        8286 84be 5886 a8eb 1064 9cbf
        8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf";
    for blocks in [plain, coded] {
        check(
            blocks,
            expect![[r#"
                :method: GET
                :scheme: http
                :path: /
                :authority: www.example.com
                table 57
                :method: GET
                :scheme: http
                :path: /
                :authority: www.example.com
                cache-control: no-cache
                table 110
                :method: GET
                :scheme: https
                :path: /index.html
                :authority: www.example.com
                custom-key: custom-value
                table 164
            "#]],
        );
    }
}

/// Appendix C.5, and C.6 with the Huffman code: a table of 256 octets, so that entries are evicted.
#[test]
fn responses_of_appendix_c() {
    let plain = "3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d
        4803 3330 37c1 c0bf
        88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31";
    let coded = "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3
        4883 640e ffc1 c0bf
        88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07";
    for blocks in [plain, coded] {
        check(
            blocks,
            expect![[r#"
                :status: 302
                cache-control: private
                date: Mon, 21 Oct 2013 20:13:21 GMT
                location: https://www.example.com
                table 222
                :status: 307
                cache-control: private
                date: Mon, 21 Oct 2013 20:13:21 GMT
                location: https://www.example.com
                table 222
                :status: 200
                cache-control: private
                date: Mon, 21 Oct 2013 20:13:22 GMT
                location: https://www.example.com
                content-encoding: gzip
                set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1
                table 215
            "#]],
        );
    }
}

#[test]
fn what_is_broken_stops_the_block_and_forgets_the_table() {
    check(
        // A literal that is added, an index that isn't there, then one that was known before.
        "4001 6101 62
        82ff00
        be",
        expect![[r#"
            a: b
            table 34
            :method: GET
            [hpack_index]
            table 0
            ?
            table 0
        "#]],
    );
    check(
        "80",
        expect![[r#"
            [hpack_index]
            table 0
        "#]],
    );
    check(
        "82 0003 61",
        expect![[r#"
            :method: GET
            [hpack_truncated]
            table 0
        "#]],
    );
    check(
        "ffffffffff7f",
        expect![[r#"
            [hpack_integer]
            table 0
        "#]],
    );
    check(
        "ff8080808000",
        expect![[r#"
            [hpack_index]
            table 0
        "#]],
    );
    check(
        "00 01 61 84ffffffff",
        expect![[r#"
            [hpack_huffman]
            table 0
        "#]],
    );
    check(
        "82 20",
        expect![[r#"
            :method: GET
            [hpack_late_resize]
            table 0
        "#]],
    );
}

#[test]
fn a_table_that_was_missed_becomes_known_again() {
    let late = || Decoder::mid_stream(1 << 16);
    // What was added since is known at its place, what lies beyond is not.
    check_with(
        late(),
        "82 be
        4001 6101 62 4001 6301 64 be bf c0",
        expect![[r#"
            :method: GET
            ?
            table 0
            a: b
            c: d
            c: d
            a: b
            ?
            table 68
        "#]],
    );
    // A literal whose name is unknown has a place.
    check_with(
        late(),
        "7e 0162 4001 6301 64 bf be",
        expect![[r#"
            ?
            c: d
            c: d
            table 67
        "#]],
    );
    // A table of no entries is known.
    check_with(
        late(),
        "20 3fe11f 82 be",
        expect![[r#"
            :method: GET
            [hpack_index]
            table 0
        "#]],
    );
    // What was added fills the table: nothing can be beyond it.
    check_with(
        late(),
        "3f22 4001 6101 62 bf
        bf",
        expect![[r#"
            a: b
            [hpack_index]
            table 0
            ?
            table 0
        "#]],
    );
}

#[test]
fn a_large_table_is_held_in_part() {
    // No more than 70 octets are held; the peers agreed on 4096.
    check_with(
        Decoder::new(70),
        "4001 6101 62 4001 6301 64
        4001 6501 66 be bf c0",
        expect![[r#"
            a: b
            c: d
            table 68
            e: f
            e: f
            c: d
            ?
            table 68
        "#]],
    );
}

#[test]
fn a_smaller_size_must_be_taken_up() {
    let mut decoder = Decoder::new(1 << 16);
    decoder.allow(100);
    let text = |decoder: &mut Decoder, block| {
        let mut text = String::new();
        render(&decoder.decode(&unhex(block), Some(100), 4096), &mut text);
        text
    };
    assert_eq!(
        text(&mut decoder, "82"),
        ":method: GET\n[missing_table_resize]\n"
    );
    decoder.allow(50);
    assert_eq!(text(&mut decoder, "3f13 82"), ":method: GET\n");
    assert_eq!(
        text(&mut decoder, "3fe11f 82"),
        ":method: GET\n[table_too_large]\n"
    );
}

#[test]
fn a_small_block_can_not_become_large() {
    // An entry of 3000 octets, and a reference to it over and over.
    let mut bytes = vec![0x40, 1, b'a', 0x7f, 0xb9, 0x16];
    bytes.extend([b'x'; 3000]);
    bytes.extend([0xbe; 100_000]);
    let mut decoder = Decoder::new(1 << 16);
    let block = decoder.decode(&bytes, None, 10_000);
    assert_eq!((block.fields.len(), block.is_cut), (3, true));
    assert_eq!(block.fault, None);
    assert_eq!(decoder.cost(), 3033);
}

#[test]
fn all_cases_of_the_corpus() {
    let Some(corpus) = corpus() else { return };
    let mut cases = 0;
    for maker in ["nghttp2", "swift-nio-hpack-huffman"] {
        let folder = corpus.join("conformance/hpack").join(maker);
        let stories = std::fs::read_dir(&folder).expect("a folder of the corpus");
        for story in stories {
            let path = story.expect("a file of the folder").path();
            cases += check_story(&path);
        }
    }
    println!("{cases} header blocks equal");
    assert!(cases > 1000, "only {cases} header blocks");
}

fn check_story(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).expect("a story");
    let story: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases = story["cases"].as_array().expect("an array");
    let mut decoder = Decoder::new(1 << 16);
    for case in cases {
        if let Some(size) = case["header_table_size"].as_u64() {
            decoder.allow(u32::try_from(size).expect("a size"));
        }
        let wire = unhex(case["wire"].as_str().expect("a text"));
        let block = decoder.decode(&wire, None, 1 << 20);
        let found: Vec<(String, String)> = block
            .fields
            .iter()
            .map(|field| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(&field.name), text(&field.value))
            })
            .collect();
        let expected: Vec<(String, String)> = case["headers"]
            .as_array()
            .expect("an array")
            .iter()
            .flat_map(|field| field.as_object().expect("an object"))
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").to_owned()))
            .collect();
        assert_eq!(found, expected, "{} {}", path.display(), case["seqno"]);
        assert_eq!((block.fault, block.unknown_at), (None, None));
    }
    cases.len()
}

fn corpus() -> Option<PathBuf> {
    let path = match std::env::var_os("TWINTAP_CORPUS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
    };
    if path.join("conformance/hpack").exists() {
        return Some(path);
    }
    twintap_tests::skip("hpack", &format!("no corpus at {}", path.display()));
    None
}
