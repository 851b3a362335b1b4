//! What is sure after each commit, whatever stood behind it; and outputs that are not ours to write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::extent::Extent;
use super::super::tally::Used;
use super::*;

fn places(folder: &Path) -> Places {
    let path = |name: &str| folder.join(name);
    Places { output: path("out"), errors: path("errors"), journal: path("progress") }
}

fn identity(folder: &Path, model: &str) -> Identity {
    fs::write(folder.join("in"), "rows").unwrap();
    Identity::new(&folder.join("in"), &[("--model", model)]).unwrap()
}

fn open(folder: &Path, earlier: Earlier) -> Result<Sink, OpenError> {
    Sink::open(places(folder), &identity(folder, "m"), b"head\n", earlier)
}

fn row(number: u64, failed: bool) -> Written {
    Written {
        after: Extent { rows: number + 1, bytes: number + 1, lines: number + 1 },
        bytes: 1,
        line: format!("{number}\n").into_bytes(),
        failed,
        used: Used::default(),
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn what_is_behind_the_last_commit_is_cut_off_and_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let mut sink = open(folder.path(), Earlier::GoOn).unwrap();
    sink.keep(&[row(0, false), row(1, true)]).unwrap();
    sink.commit().unwrap();
    // Written, but never told of: the process dies here.
    sink.keep(&[row(2, false), row(3, true)]).unwrap();
    sink.output.flush().unwrap();
    sink.errors().unwrap().flush().unwrap();
    assert_eq!((text(&places.output), text(&places.errors)), ("head\n0\n2\n".into(), "1\n3\n".into()));
    drop(sink);

    let mut sink = open(folder.path(), Earlier::GoOn).unwrap();
    assert_eq!((text(&places.output), text(&places.errors)), ("head\n0\n".into(), "1\n".into()));
    assert_eq!((sink.mark().done.low().rows, sink.mark().tally.failed), (2, 1));
    sink.keep(&[row(2, false)]).unwrap();
    sink.commit().unwrap();
    assert_eq!(text(&places.output), "head\n0\n2\n");
}

#[test]
fn a_thread_writes_what_it_is_told_and_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let writing = Writing::begin(open(folder.path(), Earlier::GoOn).unwrap()).unwrap();
    writing.messages.blocking_send(Message::Rows(vec![row(1, false)])).unwrap();
    writing.messages.blocking_send(Message::Commit).unwrap();
    writing.messages.blocking_send(Message::Rows(vec![row(0, false)])).unwrap();
    let mark = writing.finish().unwrap();
    assert_eq!(mark.done.low().rows, 2);
    assert_eq!(text(&places(folder.path()).output), "head\n1\n0\n");
}

#[test]
fn no_two_runs_write_to_one_output() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path(), Earlier::GoOn).unwrap();
    for earlier in [Earlier::GoOn, Earlier::Force, Earlier::Restart] {
        assert!(matches!(open(folder.path(), earlier), Err(OpenError::Busy(_))));
    }
}

#[test]
fn an_output_that_nobody_knows_is_left_alone_unless_it_may_be_overwritten() {
    for name in ["out", "errors"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), "precious\n").unwrap();
        for earlier in [Earlier::GoOn, Earlier::Force] {
            assert!(matches!(open(folder.path(), earlier), Err(OpenError::Foreign(_))));
        }
        assert_eq!(text(&folder.path().join(name)), "precious\n");
        let sink = open(folder.path(), Earlier::Restart).unwrap();
        assert_eq!((sink.output.bytes, sink.mark().errors_bytes), (5, 0));
        assert!(!text(&folder.path().join("errors")).contains("precious"));
    }
}

#[test]
fn a_run_that_did_nothing_binds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), Earlier::GoOn).unwrap());
    let other = Sink::open(places(folder.path()), &identity(folder.path(), "other"), b"", Earlier::GoOn);
    assert_eq!(other.unwrap().mark(), &Mark::default());
}

#[test]
fn another_recipe_or_a_lost_output_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let mut sink = open(folder.path(), Earlier::GoOn).unwrap();
    sink.keep(&[row(0, false), row(1, true)]).unwrap();
    sink.commit().unwrap();
    drop(sink);

    let other = |earlier| Sink::open(places.clone(), &identity(folder.path(), "other"), b"", earlier);
    let told = other(Earlier::GoOn).unwrap_err().to_string();
    assert!(told.contains("--model") && told.contains("--restart") && told.contains("--force"), "{told}");
    let forced = other(Earlier::Force).unwrap();
    assert_eq!((forced.mark().done.has(1), forced.mark().done.low()), (true, Extent::default()));
    drop(forced);

    fs::write(&places.errors, "").unwrap();
    assert!(matches!(other(Earlier::GoOn), Err(OpenError::Lost(path, _)) if path == places.errors));
    fs::write(&places.journal, "nonsense\n").unwrap();
    assert!(matches!(other(Earlier::Force), Err(OpenError::Journal(..))));
    assert_eq!(other(Earlier::Restart).unwrap().mark(), &Mark::default());
}
