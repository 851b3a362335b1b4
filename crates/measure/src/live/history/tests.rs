#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{DAY, History, Kept, Options, Problem, Query, Reader, day};
use crate::live::minute::Minute;
use crate::live::tests::{BEGAN, World};
use crate::live::{Figure, Kind, ScopeId, Window};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A minute with a request of all, of so many milliseconds, and a key's for each name.
fn minute(at: u32, millis: u64, keys: &[&str]) -> Minute {
    let mut world = World::new(crate::live::Options::default());
    for (index, name) in keys.iter().enumerate() {
        let scope = world.live.scope(Kind::Key, name);
        (index..keys.len()).for_each(|_| world.request(scope, 1));
    }
    world.request(ScopeId::ALL, millis);
    Minute { at, ..world.live.finish().unwrap() }
}

fn written(kept: &Kept) -> bool {
    matches!(kept, Kept::Written { left_out: 0, .. })
}

fn all(minutes: std::ops::Range<u32>, step: u32) -> Query<'static> {
    Query { kind: Kind::All, name: "all", minutes, step }
}

/// The minutes that are read, since `BEGAN`; of 1,440 at most.
fn read(folder: &Path) -> Vec<u32> {
    let points = Reader::new(folder.to_owned()).points(&all(BEGAN..BEGAN + DAY, 1), Figure::Total).unwrap();
    points.iter().map(|point| (point.at_ms / 60_000) as u32 - BEGAN).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// One file with the minutes from `BEGAN` on.
fn filled(minutes: u32) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path(), Options::default());
    for at in BEGAN..BEGAN + minutes {
        assert!(written(&history.append(&minute(at, 5, &["key"]))));
    }
    let path = folder.path().join(day::file_name(BEGAN / DAY));
    (folder, path)
}

#[test]
fn what_was_written_is_read_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(crate::live::Options::default());
    let mut history = History::new(folder.path().join("data/history"), Options::default());
    for second in 0..1200_u64 {
        world.request(ScopeId::ALL, second % 100 + 1);
        let scope = world.live.scope(Kind::Target, "provider/model");
        world.live.record(scope, Figure::FirstToken, Duration::from_millis(second % 7 + 1));
        if let Some(minute) = world.pass(Duration::from_secs(1)) {
            assert!(written(&history.append(&minute)));
        }
    }
    let reader = history.reader();
    let live = world.live.read(ScopeId::ALL, Figure::Total, Window::H1);
    let one = reader.points(&all(BEGAN..BEGAN + 20, 20), Figure::Total).unwrap();
    assert_eq!((one.len(), one[0].quantiles, one[0].rate), (1, live, 1.0));
    let steps = reader.points(&all(BEGAN + 2..BEGAN + 20, 5), Figure::Total).unwrap();
    let at: Vec<_> = steps.iter().map(|point| point.at_ms / 60_000 - u64::from(BEGAN)).collect();
    assert_eq!(at, [0, 5, 10, 15]);
    assert!(steps.iter().all(|point| point.quantiles.count == 300 && point.rate == 1.0));
    let rates = reader.rate_points(&all(BEGAN..BEGAN + 20, 10)).unwrap();
    assert_eq!(rates.iter().map(|point| point.rates.requests).collect::<Vec<_>>(), [600, 600]);
    assert_eq!(rates[0].rates.tokens_per_second, 15.0);
    let target = Query { kind: Kind::Target, name: "provider/model", ..all(BEGAN..BEGAN + 20, 20) };
    assert_eq!(reader.points(&target, Figure::FirstToken).unwrap()[0].quantiles.count, 1200);
    assert_eq!(reader.points(&target, Figure::Total).unwrap(), []);
}

#[test]
fn a_chart_has_a_bounded_number_of_steps() {
    let (folder, _) = filled(30);
    let reader = Reader::new(folder.path().to_owned());
    let points = reader.points(&all(BEGAN..BEGAN + 15_000, 1), Figure::Total).unwrap();
    assert_eq!(points.iter().map(|point| point.quantiles.count).collect::<Vec<_>>(), [10, 10, 10]);
    assert_eq!(reader.points(&all(BEGAN..BEGAN, 0), Figure::Total).unwrap(), []);
}

#[test]
fn a_new_process_takes_the_last_day_back() {
    let (folder, _) = filled(30);
    let mut world = World::new(crate::live::Options::default());
    world.pass(Duration::from_secs(3600));
    let reader = Reader::new(folder.path().to_owned());
    reader.minutes(BEGAN..BEGAN + 60, |minute| world.live.restore(&minute)).unwrap();
    assert_eq!(world.live.read(ScopeId::ALL, Figure::Total, Window::H24).count, 30);
    let key = world.live.find(Kind::Key, "key").unwrap();
    assert_eq!(world.live.rates(key, Window::H24).requests, 30);
}

#[test]
fn a_torn_end_is_passed_over_and_cut_off() {
    let (_kept, path) = filled(3);
    let whole = fs::read(&path).unwrap();
    let two = fs::read(filled(2).1).unwrap().len();
    for length in two..whole.len() {
        let folder = tempfile::tempdir().unwrap();
        let torn = folder.path().join(path.file_name().unwrap());
        fs::write(&torn, &whole[..length]).unwrap();
        // The third minute's first frame, of all requests, may be whole already.
        let before = read(folder.path());
        assert!(before == [0, 1] || before == [0, 1, 2], "{before:?} of {length} bytes");
        let mut history = History::new(folder.path(), Options::default());
        assert!(written(&history.append(&minute(BEGAN + 9, 5, &[]))));
        assert_eq!(read(folder.path()), [before, vec![9]].concat(), "of {length} bytes");
    }
}

#[test]
fn what_is_rotten_costs_what_follows_and_nothing_before() {
    let (folder, path) = filled(3);
    let whole = fs::read(&path).unwrap();
    for (damage, left) in [
        (whole[..whole.len() - 3].iter().copied().chain([0; 3]).collect::<Vec<_>>(), vec![0, 1, 2]),
        (whole.iter().copied().chain([0; 4096]).collect(), vec![0, 1, 2]),
        (whole.iter().copied().chain([255; 4096]).collect(), vec![0, 1, 2]),
        (whole.iter().enumerate().map(|(index, byte)| byte ^ u8::from(index == 20)).collect(), vec![]),
    ] {
        fs::write(&path, damage).unwrap();
        assert_eq!(read(folder.path()), left);
    }
}

#[test]
fn a_day_has_its_file_by_utc() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path(), Options::default());
    let midnight = BEGAN - BEGAN % DAY + DAY;
    for at in [midnight - 2, midnight - 1, midnight, midnight + 1] {
        assert!(written(&history.append(&minute(at, 5, &[]))));
    }
    assert_eq!(files(folder.path()), [day::file_name(midnight / DAY - 1), day::file_name(midnight / DAY)]);
    let query = all(midnight - 2..midnight + 2, 1);
    assert_eq!(history.reader().points(&query, Figure::Total).unwrap().len(), 4);
}

#[test]
fn a_minute_that_comes_twice_is_added_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path(), Options::default());
    for at in [10, 11, 12, 10, 11] {
        assert!(written(&history.append(&minute(BEGAN + at, 5, &[]))));
    }
    let points = history.reader().points(&all(BEGAN..BEGAN + 60, 1), Figure::Total).unwrap();
    assert_eq!(points.iter().map(|point| point.quantiles.count).collect::<Vec<_>>(), [2, 2, 1]);
    assert!(points.is_sorted_by_key(|point| point.at_ms));
}

#[test]
fn the_oldest_days_are_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let mut history = History::new(folder.path(), Options { days: 30, bytes_max: 512 << 20 });
    for day in 0..40 {
        assert!(written(&history.append(&minute(BEGAN + day * DAY, 5, &[]))));
    }
    let mut expected: Vec<_> = (10..40).map(|day| day::file_name(BEGAN / DAY + day)).collect();
    expected.push("notes.txt".to_owned());
    assert_eq!(files(folder.path()), expected);
}

#[test]
fn a_clock_that_is_wrong_for_a_while_costs_one_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path(), Options { days: 5, ..Options::default() });
    for day in [0, 1, 2, 3, 4, 9000, 5] {
        assert!(written(&history.append(&minute(BEGAN + day * DAY, 5, &[]))));
    }
    let expected: Vec<_> = [2, 3, 4, 5, 9000].map(|day| day::file_name(BEGAN / DAY + day)).into();
    assert_eq!(files(folder.path()), expected);
}

#[test]
fn all_days_together_stay_below_the_bound_and_the_busiest_are_kept() {
    let options = Options { days: 4, bytes_max: 4 * DAY as u64 * 200 };
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path(), options);
    let keys: Vec<_> = (0..30).map(|key| format!("key {key:02}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let template = minute(0, 5, &keys);
    let mut left_out_ever = 0;
    // A day that began at midnight has its share a minute.
    let midnight = BEGAN - BEGAN % DAY;
    for at in midnight..midnight + 300 {
        let Kept::Written { scopes, left_out } = history.append(&Minute { at, ..template.clone() }) else {
            panic!("minute {at} was lost");
        };
        assert_eq!(scopes + left_out, 31);
        left_out_ever += left_out;
    }
    assert!(left_out_ever > 0);
    for day in 1..9 {
        for at in [DAY - 2, DAY - 1].map(|at| midnight + day * DAY + at) {
            for _ in 0..50 {
                let kept = history.append(&Minute { at, ..template.clone() });
                assert!(matches!(kept, Kept::Written { .. }), "{kept:?}");
            }
        }
        let bytes: u64 = files(folder.path())
            .iter()
            .map(|name| fs::metadata(folder.path().join(name)).unwrap().len())
            .sum();
        assert!(bytes <= options.bytes_max, "{bytes} bytes");
    }
    let key = |name| Query { kind: Kind::Key, name, ..all(midnight..midnight + 9 * DAY, DAY) };
    let days = |name| history.reader().points(&key(name), Figure::Total).unwrap().len();
    assert!(days("key 00") > 0 && days("key 00") >= days("key 29"));
}

#[test]
fn a_file_of_another_release_is_refused_and_left_as_it_is() {
    let (folder, path) = filled(2);
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] = 0;
    fs::write(&path, &bytes).unwrap();
    let mut history = History::new(folder.path(), Options::default());
    let kept = history.append(&minute(BEGAN + 2, 5, &[]));
    assert!(matches!(kept, Kept::Lost(Problem::Version(_))), "{kept:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let reader = history.reader();
    assert_eq!(read(folder.path()), [0_u32; 0]);
    assert_eq!(reader.passed_over(BEGAN..BEGAN + 1).unwrap(), [path]);
    assert!(written(&history.append(&minute(BEGAN + DAY, 5, &[]))), "the next day is another file");
}

#[test]
fn a_folder_that_cannot_be_written_is_warned_about_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    fs::write(&path, "a file where the folder should be").unwrap();
    let mut history = History::new(&path, Options::default());
    let mut append = |at| history.append(&minute(BEGAN + at, 5, &[]));
    for (at, first) in [(0, true), (1, false), (2, false)] {
        match append(at) {
            Kept::Lost(problem) => assert!(first && problem.to_string().contains("cannot be used")),
            Kept::LostToo => assert!(!first),
            Kept::Written { .. } => panic!("there is no folder to write to"),
        }
    }
    fs::remove_file(&path).unwrap();
    assert!(written(&append(3)));
    assert_eq!(read(&path), [3]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_warned_about_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(day::file_name(BEGAN / DAY));
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let mut history = History::new(folder.path(), Options::default());
    let kept = history.append(&minute(BEGAN, 5, &[]));
    assert!(matches!(&kept, Kept::Lost(Problem::Refused(..))), "{kept:?}");
    assert!(matches!(history.append(&minute(BEGAN + 1, 5, &[])), Kept::LostToo));
    fs::remove_file(&path).unwrap();
    assert!(written(&history.append(&minute(BEGAN + 2, 5, &[]))));
}

#[test]
fn a_second_writer_is_told_so() {
    let (folder, _) = filled(1);
    let mut one = History::new(folder.path(), Options::default());
    let mut two = History::new(folder.path(), Options::default());
    assert!(written(&one.append(&minute(BEGAN + 1, 5, &[]))));
    assert!(matches!(two.append(&minute(BEGAN + 1, 5, &[])), Kept::Lost(Problem::Owned(_))));
    drop(one);
    assert!(written(&two.append(&minute(BEGAN + 2, 5, &[]))));
}

#[test]
fn a_folder_that_is_not_there_has_no_history() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(&folder.path().join("none")), [0_u32; 0]);
}
