//! `twintap scrub`: from files and standard input, to files and standard output.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

const DUMP: &str = "COPY public.users (id, email) FROM stdin;\n7\tada@example.org\n\\.\n";

/// Runs the command in `directory`, where a key is, with `input` on standard input.
fn scrub(directory: &Path, args: &[&str], input: &[u8]) -> Output {
    fs::write(directory.join("key"), "2a".repeat(32)).expect("a key");
    let mut child = Command::new(env!("CARGO_BIN_EXE_twintap"))
        .args(["scrub", "--key", "key"])
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("twintap starts");
    // One that refuses its flags reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("twintap ends")
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

#[test]
fn pipes_files_and_gzip_give_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let piped = scrub(path, &["--format", "pgdump"], DUMP.as_bytes());
    let expected = String::from_utf8(piped.stdout).expect("a dump is text");
    let errors = String::from_utf8_lossy(&piped.stderr);
    assert!(piped.status.success(), "{errors}");
    assert!(errors.contains("2 pseudonyms"), "{errors}");
    assert!(expected.starts_with("COPY public.users (id, email) FROM stdin;\n"));
    assert!(expected.contains(".example.com\n\\.\n") && !expected.contains("ada@"));

    fs::write(path.join("dump.sql.gz"), packed(DUMP.as_bytes())).expect("a file");
    let args = ["--format", "pgdump", "dump.sql.gz", "-o", "twin.sql.gz"];
    assert!(scrub(path, &args, b"").status.success());
    let file = fs::File::open(path.join("twin.sql.gz")).expect("the output");
    let mut unpacked = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut unpacked)
        .expect("gzip");
    assert_eq!(unpacked, expected);
}

#[test]
fn names_tell_formats_and_large_files_pass() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let line = "{\"email\":\"ada@example.org\"}\n";
    fs::write(path.join("users.jsonl"), line.repeat(50_000)).expect("a file");
    let args = ["users.jsonl", "-o", "twin.jsonl"];
    assert!(scrub(path, &args, b"").status.success());
    let scrubbed = fs::read_to_string(path.join("twin.jsonl")).expect("the output");
    let first = scrubbed.lines().next().expect("a line");
    assert!(first.ends_with(".example.com\"}") && !first.contains("ada@"));
    assert!(scrubbed.lines().all(|line| line == first));
    assert_eq!(scrubbed.lines().count(), 50_000);
}

#[test]
fn what_cannot_be_read_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    fs::write(path.join("twin.sql"), "before").expect("a file");
    let dump = format!("{DUMP}UPDATE users SET email = 'eve@example.org';\n");
    let args = ["--format", "pgdump", "-o", "twin.sql"];
    let failed = scrub(path, &args, dump.as_bytes());
    let errors = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(3));
    assert!(
        errors.contains("standard input: line 4, byte 63: a statement that can't be scrubbed"),
        "{errors}"
    );
    assert!(!errors.contains("eve"), "{errors}");
    let kept = fs::read_to_string(path.join("twin.sql")).expect("the file");
    assert_eq!(kept, "before");
    let names = fs::read_dir(path).expect("the directory");
    assert_eq!(names.count(), 2, "the key and the file that was there");
}

#[test]
fn a_format_is_asked_for_where_no_name_tells_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let failed = scrub(directory.path(), &[], b"");
    let errors = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(3));
    assert!(errors.contains("--format"), "{errors}");
}
