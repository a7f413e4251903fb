//! What is found when somebody, or a crash, was at a log.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::*;

struct Kept {
    directory: TempDir,
}

impl Kept {
    /// A log of five entries: its beginning and four more.
    fn new() -> Kept {
        let kept = Kept {
            directory: TempDir::new().expect("a temporary directory"),
        };
        for name in ["one", "two", "three", "four"] {
            kept.append(name);
        }
        kept
    }

    fn place(&self) -> Place {
        Place::new(self.directory.path().join("audit.jsonl"))
    }

    fn try_append(&self, archive: &str) -> anyhow::Result<()> {
        let trail = Trail::own(self.place());
        trail.reveal(Path::new(archive), Data::Exchanges)
    }

    fn append(&self, archive: &str) {
        self.try_append(archive).expect("an entry");
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.place().log).expect("a log");
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    fn put(&self, lines: &[String]) {
        fs::write(self.place().log, lines.concat()).expect("a log");
    }

    /// Without its last bytes, as a crash leaves it.
    fn tear(&self, bytes: usize) {
        let text = self.lines().concat();
        fs::write(self.place().log, &text[..text.len() - bytes]).expect("a log");
    }

    fn verify(&self) -> Verified {
        self.verify_against(Expected::default())
    }

    fn verify_against(&self, expected: Expected) -> Verified {
        verify(&self.place(), expected).expect("a log that can be read")
    }

    #[track_caller]
    fn check_sound(&self, entries: u64, notes: &[&str]) {
        let verified = self.verify();
        assert_eq!(verified.fault, None);
        assert_eq!(verified.entries, entries);
        assert_eq!(verified.notes.len(), notes.len(), "{:?}", verified.notes);
        for (note, expected) in verified.notes.iter().zip(notes) {
            assert!(note.text.contains(expected), "{note:?}");
        }
    }

    #[track_caller]
    fn check_fault(&self, line: u64, cause: &str) {
        let verified = self.verify();
        let fault = verified.fault.expect("something that is wrong");
        assert!(!verified.is_sound);
        assert_eq!(fault.line, line, "{fault:?}");
        assert!(fault.cause.contains(cause), "{fault:?}");
    }

    fn actions(&self) -> Vec<String> {
        let lines = self.lines();
        let entries = lines.iter().filter_map(|line| {
            let entry = Entry::read(line.strip_suffix('\n')?.as_bytes());
            entry.ok().map(|entry| entry.action)
        });
        entries.collect()
    }
}

#[test]
fn a_whole_log_is_sound() {
    let kept = Kept::new();
    kept.check_sound(5, &[]);
    let lines = kept.lines();
    let first: Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(
        (&first["seq"], &first["action"]),
        (&1.into(), &"log_begun".into())
    );
    assert_eq!(first["subject"]["key_is_new"], true);
    let verified = kept.verify();
    assert_eq!(
        verified.public_key.as_deref(),
        first["subject"]["public_key"].as_str()
    );
    // What is chained can be computed by anybody.
    let last = lines[4].strip_suffix('\n').expect("a whole line");
    assert_eq!(
        verified.head,
        Some(blake3::hash(last.as_bytes()).to_string())
    );
    let second: Value = serde_json::from_str(&lines[1]).expect("JSON");
    let before = lines[0].strip_suffix('\n').expect("a whole line");
    assert_eq!(second["prev"], blake3::hash(before.as_bytes()).to_string());
}

#[test]
fn log_and_key_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let kept = Kept::new();
    for path in [kept.place().log, kept.place().key] {
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_changed_line_is_found_wherever_it_is() {
    for changed in 0..5 {
        let kept = Kept::new();
        let mut lines = kept.lines();
        lines[changed] = lines[changed].replacen("\"time\":\"2", "\"time\":\"1", 1);
        kept.put(&lines);
        kept.check_fault(changed as u64 + 1, "its signature does not match");
    }
}

#[test]
fn a_line_that_is_none_is_found() {
    let kept = Kept::new();
    let mut lines = kept.lines();
    lines[2] = "{}\n".to_owned();
    kept.put(&lines);
    kept.check_fault(3, "no entry of an audit log");
    // What follows can't be taken for what seals it.
    kept.append("five");
    kept.check_fault(3, "no entry of an audit log");
}

#[test]
fn a_removed_line_is_found() {
    for removed in 1..4 {
        let kept = Kept::new();
        let mut lines = kept.lines();
        lines.remove(removed);
        kept.put(&lines);
        kept.check_fault(removed as u64 + 1, "entries were removed");
    }
    let kept = Kept::new();
    kept.put(&kept.lines()[1..]);
    kept.check_fault(1, "no beginning");
    let refused = kept.try_append("five").expect_err("no log");
    assert!(
        format!("{refused:#}").contains("no beginning"),
        "{refused:#}"
    );
}

#[test]
fn lines_that_changed_places_are_found() {
    let kept = Kept::new();
    let mut lines = kept.lines();
    lines.swap(2, 3);
    kept.put(&lines);
    kept.check_fault(3, "its number is 4 and should be 3");
}

#[test]
fn a_repeated_line_is_found() {
    let kept = Kept::new();
    let mut lines = kept.lines();
    lines.push(lines[4].clone());
    kept.put(&lines);
    kept.check_fault(6, "its number is 5 and should be 6");
}

#[test]
fn a_cut_end_is_found_by_the_head_file() {
    let kept = Kept::new();
    kept.put(&kept.lines()[..3]);
    kept.check_fault(4, "entries 4 to 5 are missing at the end");
    // Who goes on does not cover it.
    kept.append("five");
    assert_eq!(kept.actions()[3..], ["cut_sealed", "revealed"]);
    kept.check_fault(4, "entries up to 5 were missing");
}

#[test]
fn without_the_head_file_a_cut_end_is_found_by_what_is_kept_elsewhere() {
    let kept = Kept::new();
    let before = kept.verify();
    let hash = before.head.expect("a head").parse().ok();
    kept.put(&kept.lines()[..3]);
    fs::remove_file(kept.place().head).expect("a head file");
    kept.check_sound(3, &["there is no head file"]);
    let verified = kept.verify_against(Expected {
        hash,
        ..Expected::default()
    });
    let fault = verified.fault.expect("something that is wrong");
    assert!(fault.cause.contains("no entry with the hash"), "{fault:?}");
    kept.append("five");
    kept.check_sound(5, &["there was no head file then"]);
}

#[test]
fn a_log_that_was_removed_is_told_of_by_its_head_file() {
    let kept = Kept::new();
    fs::remove_file(kept.place().log).expect("a log");
    kept.append("five");
    assert_eq!(kept.actions(), ["log_begun", "cut_sealed", "revealed"]);
    kept.check_fault(2, "entries up to 5 were missing");
}

#[test]
fn a_log_made_anew_with_another_key_is_found_by_the_key() {
    let kept = Kept::new();
    let public_key = kept.verify().public_key.expect("a key").parse().ok();
    let place = kept.place();
    for path in [&place.log, &place.head, &place.key] {
        fs::remove_file(path).expect("a file");
    }
    kept.append("five");
    kept.check_sound(2, &[]);
    let verified = kept.verify_against(Expected {
        public_key,
        ..Expected::default()
    });
    let fault = verified.fault.expect("something that is wrong");
    assert_eq!(fault.line, 1);
    assert!(fault.cause.contains("the log is signed by"), "{fault:?}");
}

#[test]
fn another_key_does_not_go_on_with_a_log() {
    let kept = Kept::new();
    fs::remove_file(kept.place().key).expect("a key");
    let refused = kept.try_append("five").expect_err("another key");
    assert!(
        format!("{refused:#}").contains("it was begun with the key"),
        "{refused:#}"
    );
    kept.check_sound(5, &[]);
}

#[test]
fn a_forged_head_file_is_found() {
    let kept = Kept::new();
    let head = fs::read_to_string(kept.place().head).expect("a head file");
    let forged = head.replace("\"seq\":5", "\"seq\":3");
    assert_ne!(head, forged);
    fs::write(kept.place().head, forged).expect("a head file");
    kept.check_fault(6, "the head file is not signed");
}

#[test]
fn a_write_that_a_crash_cut_off_is_sealed_by_the_next() {
    // The head file is that of before the torn write.
    let kept = Kept::new();
    let head = fs::read(kept.place().head).expect("a head file");
    for torn in [2, 20, 300] {
        let kept = Kept {
            directory: TempDir::new().expect("a temporary directory"),
        };
        for name in ["one", "two", "three", "four"] {
            kept.append(name);
        }
        let head = fs::read(kept.place().head).expect("a head file");
        kept.append("five");
        fs::write(kept.place().head, &head).expect("a head file");
        kept.tear(torn);
        kept.check_sound(5, &["the next entry will seal it"]);
        kept.append("six");
        assert_eq!(kept.actions().last().map(String::as_str), Some("revealed"));
        kept.check_sound(7, &["sealed by the next line"]);
    }
    // An entry that was told to be there is no crash's.
    fs::write(kept.place().head, head).expect("a head file");
    kept.tear(20);
    kept.check_fault(6, "entries 5 to 5 are missing");
}

#[test]
fn a_line_without_its_line_feed_is_whole() {
    let kept = Kept::new();
    let head = fs::read(kept.place().head).expect("a head file");
    kept.append("five");
    fs::write(kept.place().head, head).expect("a head file");
    kept.tear(1);
    kept.check_sound(6, &["the head file is older"]);
    kept.append("six");
    kept.check_sound(7, &[]);
}

#[test]
fn a_torn_beginning_is_begun_again() {
    for left in [0, 1, 40] {
        let kept = Kept::new();
        let first = kept.lines()[0].clone();
        fs::remove_file(kept.place().head).expect("a head file");
        fs::write(kept.place().log, &first[..left]).expect("a log");
        kept.append("one");
        kept.check_sound(2, &[]);
    }
    // Another file that is named by mistake stays as it is.
    let kept = Kept::new();
    fs::remove_file(kept.place().head).expect("a head file");
    fs::write(kept.place().log, "no log").expect("a file");
    kept.try_append("one").expect_err("no log");
    assert_eq!(kept.lines(), ["no log"]);
}

#[test]
fn what_nobody_signed_is_told_of() {
    let kept = Kept::new();
    let mut lines = kept.lines();
    lines.push("something else\n".to_owned());
    kept.put(&lines);
    kept.check_fault(6, "no entry of an audit log");
    kept.append("five");
    assert_eq!(kept.actions()[5..], ["bytes_sealed", "revealed"]);
    kept.check_fault(6, "sealed by line 7");
}

#[test]
fn a_crash_between_log_and_head_file_is_no_fault() {
    let kept = Kept::new();
    let head = fs::read(kept.place().head).expect("a head file");
    kept.append("five");
    fs::write(kept.place().head, head).expect("a head file");
    kept.check_sound(6, &["the head file is older"]);
    kept.append("six");
    kept.check_sound(7, &[]);
}

#[test]
fn several_append_at_a_time() {
    let kept = Kept::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| kept.append("again")));
        }
    });
    kept.check_sound(45, &[]);
}

#[test]
fn the_end_is_found_behind_long_lines() {
    let kept = Kept::new();
    let long = format!("/{}", "long/".repeat(60_000));
    kept.append(&long);
    kept.append("five");
    let mut log = fs::OpenOptions::new()
        .append(true)
        .open(kept.place().log)
        .expect("a log");
    log.write_all(&[b'x'; 100_000]).expect("a disk");
    kept.append("six");
    kept.check_sound(9, &["sealed by the next line"]);
}

#[test]
fn a_policy_that_changed_is_told_as_that() {
    let kept = Kept::new();
    let trail = Trail::own(kept.place());
    let key = twintap_scrub::Key::from_bytes([7; 32]);
    let actions = |archive: &str, hash: &str| {
        let hash = twintap_scrub::PolicyHash(hash.to_owned());
        let events = trail
            .scrubbing(Path::new(archive), &hash, &key)
            .expect("a log");
        trail.tell(&events).expect("entries");
        kept.actions().pop().expect("an entry")
    };
    assert_eq!(actions("shop", "aa"), "policy_used");
    assert_eq!(actions("shop", "aa"), "policy_used");
    assert_eq!(actions("other", "bb"), "policy_used");
    assert_eq!(actions("shop", "bb"), "policy_changed");
    assert_eq!(actions("shop", "aa"), "policy_changed");
    let text = kept.lines().concat();
    assert!(!text.contains(&"07".repeat(32)), "the key itself");
    assert!(text.contains("\"before\":\"bb\""));
}

#[test]
fn every_action_can_be_asked_for() {
    for action in ACTIONS {
        // The action is known where the subject is what is wrong.
        let event = serde_json::json!({"action": action, "subject": 5});
        let error = serde_json::from_value::<Event>(event).expect_err("no subject");
        assert!(!error.to_string().contains("unknown variant"), "{error}");
    }
    let unknown = serde_json::json!({"action": "x", "subject": {}});
    let error = serde_json::from_value::<Event>(unknown).expect_err("no action");
    let known = error.to_string().matches('`').count() / 2 - 1;
    assert_eq!(known, ACTIONS.len(), "{error}");
}
