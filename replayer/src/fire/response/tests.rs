//! Reading answers, whole and in pieces.

use proptest::prelude::*;

use super::super::capture::CaptureLimits;
use super::*;

fn reader() -> ResponseReader {
    ResponseReader::new(Capture::new(CaptureLimits::new(1024, 1 << 20, None)))
}

/// Feeds `bytes` in pieces that end at `cuts`, and gives the answers in short.
fn read(method: &str, bytes: &[u8], cuts: &[usize]) -> Result<Vec<String>, Garbage> {
    let mut reader = reader();
    reader.begin(method.as_bytes());
    let mut seen = Vec::new();
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    bounds.push(bytes.len());
    bounds.sort_unstable();
    let mut at = 0;
    for bound in bounds {
        let mut piece = &bytes[at..bound];
        at = bound;
        while let Some(answer) = reader.feed(&mut piece)? {
            seen.push(short(&answer));
            reader.begin(method.as_bytes());
        }
    }
    match reader.end() {
        AtEnd::Nothing => {}
        AtEnd::Whole(answer) => seen.push(short(&answer)),
        AtEnd::Cut(place) => seen.push(format!("cut {place}")),
    }
    Ok(seen)
}

fn short(answer: &RawAnswer) -> String {
    let body = match &answer.body {
        RawBody::Whole(body) => String::from_utf8_lossy(body).into_owned(),
        RawBody::Digest { bytes, .. } => format!("<{bytes} bytes>"),
    };
    format!(
        "{} {:?} alive={} interim={} {body}",
        answer.head.status, answer.framing, answer.keeps_alive, answer.interim
    )
}

#[track_caller]
fn check(method: &str, bytes: &[u8], expected: &[&str]) {
    assert_eq!(read(method, bytes, &[]).expect("an answer"), expected);
    let each_byte: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(
        read(method, bytes, &each_byte).expect("an answer"),
        expected
    );
}

#[test]
fn content_length_ends_the_body() {
    check(
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        &[
            "200 Length alive=true interim=0 hello",
            "404 Length alive=true interim=0 ",
        ],
    );
}

#[test]
fn chunks_are_joined_and_trailers_read() {
    check(
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nDigest: x\r\n\r\n",
        &["200 Chunked alive=true interim=0 abc0123456789"],
    );
}

#[test]
fn the_connection_s_end_ends_the_body() {
    check(
        "GET",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        &["200 Close alive=false interim=0 until the end"],
    );
}

#[test]
fn answers_without_bodies() {
    check(
        "HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
        &["200 None alive=true interim=0 "],
    );
    check(
        "GET",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        &["304 None alive=true interim=0 "],
    );
}

#[test]
fn interim_answers_come_before_the_final_one() {
    check(
        "POST",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        &["201 Length alive=false interim=2 ok"],
    );
}

#[test]
fn a_cut_answer_says_where() {
    check(
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        &["cut in the head"],
    );
    check(
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
        &["cut in the body"],
    );
    check(
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        &["cut in the body"],
    );
}

#[test]
fn garbage_is_named() {
    let cases: [(&[u8], Garbage); 6] = [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Garbage::StatusLine),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", Garbage::StatusLine),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Garbage::FieldLine),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\n",
            Garbage::Length,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            Garbage::Chunk,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            Garbage::Chunk,
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read("GET", bytes, &[]), Err(expected));
    }
}

#[test]
fn a_head_without_end_is_garbage() {
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    while bytes.len() <= MAX_HEAD_BYTES {
        bytes.extend_from_slice(b"A: b\r\n");
    }
    assert_eq!(read("GET", &bytes, &[]), Err(Garbage::TooLong));
}

#[test]
fn a_large_body_keeps_its_length_alone() {
    let body = "x".repeat(2000);
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{body}");
    check(
        "GET",
        bytes.as_bytes(),
        &["200 Length alive=true interim=0 <2000 bytes>"],
    );
}

#[test]
fn heads_are_kept_as_they_were_spelled() {
    let block = b"HTTP/1.1 200\nX-Odd:value  \r\nEmpty:\r\nFold: a\r\n b\r\nUsual: yes\r\n\n";
    let head = parse_head(&Bytes::from_static(block)).expect("a head");
    assert_eq!(head.to_wire().as_ref(), block);
    assert_eq!(head.fields[0].value.as_ref(), b"value");
    assert_eq!(head.fields[2].value.as_ref(), b"a\r\n b");
    assert!(head.fields[3].spelling.is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec(0usize..200, 0..5),
    ) {
        let whole = read("GET", &bytes, &[]);
        prop_assert_eq!(read("GET", &bytes, &cuts), whole);
    }

    #[test]
    fn mended_answers_read_the_same_however_cut(
        start in 0usize..4,
        flips in proptest::collection::vec((0usize..120, any::<u8>()), 0..3),
        cuts in proptest::collection::vec(0usize..200, 0..5),
    ) {
        let starts: [&[u8]; 4] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nSet-Cookie: a=b\r\n\r\nhello, world",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"\r\nHTTP/1.0 302 Found\nLocation: /x\n\nrest of it",
        ];
        let mut bytes = starts[start].to_vec();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        let whole = read("GET", &bytes, &[]);
        prop_assert_eq!(read("GET", &bytes, &cuts), whole);
    }

    #[test]
    fn what_is_parsed_is_written_again(
        lines in proptest::collection::vec("[A-Za-z-]{1,8}:[ \t]{0,2}[!-9;-~]{0,6}( [a-z]{1,3})?[ \t]{0,2}", 0..5),
    ) {
        let block = format!("HTTP/1.1 200 Fine\r\n{}\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
        let block = Bytes::from(block);
        let head = parse_head(&block).expect("a head");
        prop_assert_eq!(head.to_wire(), block);
    }
}
