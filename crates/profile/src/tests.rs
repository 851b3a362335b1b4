//! This process, profiled; and the forms of a profile that is known.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{Error, Frame, Profile, Recording, Stack};
use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// There is one profiler in a process, and these tests share it.
static ONE: Mutex<()> = Mutex::new(());

#[inline(never)]
fn burn_here(until: Instant) -> u64 {
    let mut sum = 0_u64;
    while Instant::now() < until {
        sum = (0..1000).fold(sum, |sum, number| black_box(sum.wrapping_mul(31).wrapping_add(number)));
    }
    sum
}

#[inline(never)]
fn calls_the_one_that_burns(until: Instant) -> u64 {
    black_box(burn_here(until))
}

fn recorded(work: fn(Instant) -> u64) -> Profile {
    let recording = Recording::begin(500).unwrap();
    let busy = std::thread::Builder::new().name("busy".to_owned());
    let thread = busy.spawn(move || work(Instant::now() + Duration::from_millis(900))).unwrap();
    black_box(thread.join().unwrap());
    recording.finish().unwrap()
}

#[test]
fn a_busy_function_is_found_with_whoever_called_it() {
    let _one = ONE.lock();
    let profile = recorded(calls_the_one_that_burns);
    assert!(profile.named && profile.samples > 0, "{profile:?}");
    let is_called = |stack: &&Stack| {
        let at = |part: &str| stack.frames.iter().position(|frame| frame.name.contains(part));
        stack.thread == "busy"
            && at("calls_the_one_that_burns").zip(at("burn_here")).is_some_and(|(by, of)| by < of)
    };
    let found: u64 = profile.stacks.iter().filter(is_called).map(|stack| stack.count).sum();
    assert!(found * 2 > profile.samples, "{found} of {}\n{}", profile.samples, profile.collapsed());
}

#[test]
fn it_survives_what_other_profilers_do_not() {
    let _one = ONE.lock();
    // Allocations, locks, panics that unwind and threads that come and go, each interrupted hundreds of times.
    let profile = recorded(|until| {
        let mut count = 0;
        while Instant::now() < until {
            let boxes: Vec<Box<[u8]>> = (1..50).map(|size| vec![0; size * 37].into_boxed_slice()).collect();
            count += boxes.len() as u64;
            let unwound = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(black_box(boxes))));
            count += u64::from(unwound.is_err());
            count += std::thread::spawn(|| black_box(1)).join().unwrap();
        }
        count
    });
    assert!(profile.samples > 0);
}

#[test]
fn there_is_one_at_a_time_and_another_after_it() {
    let _one = ONE.lock();
    let first = Recording::begin(100).unwrap();
    assert!(matches!(Recording::begin(100), Err(Error::Busy)));
    drop(first);
    // Its thread notices in a moment.
    let due = Instant::now() + Duration::from_secs(20);
    let next =
        std::iter::repeat_with(|| Recording::begin(100)).find(|next| next.is_ok() || Instant::now() > due);
    assert!(next.unwrap().unwrap().finish().is_ok());
}

fn known() -> Profile {
    let frame = |name: &str, address| Frame { name: name.to_owned(), address };
    let stack = |frames: &[(&str, u64)], count| Stack {
        thread: "worker-0".to_owned(),
        frames: frames.iter().map(|(name, address)| frame(name, *address)).collect(),
        count,
    };
    Profile {
        hertz: 100,
        span: Duration::from_secs(2),
        samples: 7,
        lost: 1,
        named: true,
        stacks: vec![
            stack(&[("main", 1), ("Vec<T>::push", 2)], 4),
            stack(&[("main", 1), ("Vec<T>::push", 3)], 2),
            stack(&[("main", 1)], 1),
        ],
    }
}

#[test]
fn stacks_become_lines() {
    assert_eq!(known().collapsed(), "worker-0;main 1\nworker-0;main;Vec<T>::push 6\n");
    assert_eq!(Profile::default().collapsed(), "");
}

#[test]
fn a_flame_graph_is_one_document_without_a_script() {
    let svg = known().flame_graph("a & b");
    for part in [
        "a &amp; b",
        "<title>Vec&lt;T&gt;::push — 85.71 %, 6 samples</title>",
        "<title>main — 100.00 %",
        "7 samples in 2.0 s",
    ] {
        assert!(svg.contains(part), "{part} is not in\n{svg}");
    }
    assert!(!svg.contains("script") && svg.matches("http").count() == 1, "{svg}");
    assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
    assert!(Profile::default().flame_graph("none").ends_with("</svg>\n"));
}

/// The fields of a message of protobuf: number and, for those with bytes, these.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = varint(&mut bytes);
        let mut held = Vec::new();
        if tag & 7 == 2 {
            let (own, rest) = bytes.split_at(value as usize);
            (held, bytes) = (own.to_vec(), rest);
        }
        found.push((tag >> 3, value, held));
    }
    found
}

#[test]
fn pprof_finds_its_samples_places_functions_and_texts() {
    let found = fields(&crate::pprof::message(&known()));
    let of = |number: u64| found.iter().filter(move |(field, _, _)| *field == number).collect::<Vec<_>>();
    let texts: Vec<String> =
        of(6).iter().map(|(_, _, text)| String::from_utf8(text.clone()).unwrap()).collect();
    assert_eq!(texts[0], "");
    let counts: Vec<_> = of(2)
        .iter()
        .map(|(_, _, sample)| {
            fields(sample)
                .iter()
                .filter(|(field, _, _)| *field == 2)
                .map(|(_, value, _)| *value)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(counts, [[4, 40_000_000], [2, 20_000_000], [1, 10_000_000]]);
    // Three addresses of two functions.
    assert_eq!((of(1).len(), of(4).len(), of(5).len()), (2, 3, 2));
    let names: Vec<_> =
        of(5).iter().map(|(_, _, function)| texts[fields(function)[1].1 as usize].clone()).collect();
    assert_eq!(names, ["Vec<T>::push", "main"], "the innermost comes first");
    assert_eq!((of(10)[0].1, of(12)[0].1), (2_000_000_000, 10_000_000));
    assert_eq!(known().pprof().unwrap()[..2], [0x1f, 0x8b], "gzipped");
}
