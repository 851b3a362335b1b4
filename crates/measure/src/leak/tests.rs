//! Processes that live for hours of a virtual clock: those that lose memory, and those that only use it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Detector, Level, Sample, Verdict};
use std::time::Duration;

const MIB: f64 = 1024.0 * 1024.0;

/// Numbers that look random and are the same each time (xorshift, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    /// From −1 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// What a process has after so many minutes, beside its noise: MiB of its own, MiB held, requests a second, connections.
type Life = fn(f64, &mut Noise) -> (f64, f64, f64, f64);

/// The verdicts of a life of so many minutes, with their minutes: of each in the first hour, then of every fifth.
fn verdicts(life: Life, minutes: u64, seed: u64) -> Vec<(u64, Verdict)> {
    let (mut detector, mut noise) = (Detector::default(), Noise(seed));
    let mut minute = |minute: u64| {
        for seconds in (60 * minute..60 * (minute + 1)).step_by(15) {
            detector.note(sample(seconds, life(seconds as f64 / 60.0, &mut noise)));
        }
        (minute < 60 || minute % 5 == 4).then(|| (minute + 1, detector.verdict()))
    };
    (0..minutes).filter_map(&mut minute).collect()
}

fn sample(seconds: u64, (own, held, requests_per_second, connections): (f64, f64, f64, f64)) -> Sample {
    Sample {
        at: Duration::from_secs(seconds),
        own: (own * MIB) as u64,
        held: (held * MIB) as u64,
        requests_per_second: requests_per_second.max(0.0),
        connections: connections.max(0.0) as u64,
    }
}

const SEEDS: [u64; 5] = [1, 7, 42, 1_000_003, 0x9E37_79B9_7F4A_7C15];

fn swaying(noise: &mut Noise, of: f64, by: f64) -> f64 {
    of * (1.0 + by * noise.next())
}

#[test]
fn a_leak_is_found_within_ten_minutes() {
    let lives: [(&str, Life); 4] = [
        ("a straight one", |t, n| (swaying(n, 60.0 + 2.0 * t, 0.01), 20.0, swaying(n, 100.0, 0.2), 50.0)),
        ("one in a busy, noisy process", |t, n| {
            (
                swaying(n, 200.0, 0.02) + 8.0 * t,
                swaying(n, 64.0, 0.03),
                swaying(n, 900.0, 0.3),
                swaying(n, 400.0, 0.2),
            )
        }),
        ("one beside a filling cache", |t, n| {
            (swaying(n, 60.0, 0.01) + 5.0 * t, 1.0 * t, swaying(n, 100.0, 0.1), 50.0)
        }),
        ("one in jumps, of an idle process", |t, _| (40.0 + 4.0 * (t / 2.0).floor(), 0.0, 0.0, 0.0)),
    ];
    for (name, life) in lives {
        for seed in SEEDS {
            let all = verdicts(life, 12, seed);
            let found = all.iter().find(|(_, verdict)| verdict.level == Level::Found);
            let (minute, verdict) = found.unwrap_or_else(|| panic!("{name}: {:?}", all.last()));
            assert!(*minute <= 10, "{name}: after {minute} min");
            assert!(verdict.words.contains("nothing explains"), "{name}: {}", verdict.words);
        }
    }
}

#[test]
fn what_is_no_leak_is_not_called_one() {
    let lives: [(&str, Life); 9] = [
        ("steady", |_, n| (swaying(n, 80.0, 0.03), 20.0, swaying(n, 100.0, 0.3), swaying(n, 60.0, 0.3))),
        ("idle", |_, _| (21.0, 0.0, 0.0, 0.0)),
        ("load that grows, memory with it", |t, n| {
            (40.0 + 0.4 * (50.0 + 5.0 * t) + n.next(), 8.0, swaying(n, 50.0 + 5.0 * t, 0.2), 20.0 + 2.0 * t)
        }),
        ("load that creeps up", |t, n| {
            (
                30.0 + 30.0 * (1.0 + 0.01 * t) + 0.3 * n.next(),
                8.0,
                swaying(n, 100.0 * (1.0 + 0.01 * t), 0.05),
                50.0,
            )
        }),
        ("a cache that fills, with its slack", |t, n| {
            (
                40.0 + 1.6 * (2.0 * t).min(200.0) + 0.5 * n.next(),
                (2.0 * t).min(200.0),
                swaying(n, 100.0, 0.2),
                50.0,
            )
        }),
        ("a cache that is emptied, whose memory stays", |t, n| {
            (140.0 + 0.5 * n.next(), if t < 6.0 { 90.0 } else { 5.0 }, swaying(n, 100.0, 0.2), 50.0)
        }),
        ("one burst, whose memory stays", |t, n| {
            let burst = (6.0..7.0).contains(&t);
            (if t < 6.0 { 50.0 } else { 120.0 } + 0.5 * n.next(), 8.0, if burst { 900.0 } else { 90.0 }, 40.0)
        }),
        ("what is used for the first time", |t, n| {
            (90.0 - 40.0 * (-t / 4.0).exp() + 0.3 * n.next(), 8.0, 100.0, 50.0)
        }),
        ("day and night", |t, n| {
            let sun = 1.0 - (t / 240.0 * std::f64::consts::TAU).cos();
            (60.0 + 30.0 * sun + n.next(), 8.0, swaying(n, 20.0 + 200.0 * sun, 0.1), 10.0 + 100.0 * sun)
        }),
    ];
    for (name, life) in lives {
        for seed in &SEEDS[..3] {
            let all = verdicts(life, 300, *seed);
            let called = all.iter().find(|(_, verdict)| verdict.level > Level::None);
            assert!(called.is_none(), "{name}: {called:?}");
        }
    }
}

#[test]
fn a_slow_leak_is_found_in_hours() {
    let life: Life = |t, n| (swaying(n, 60.0 + 0.08 * t, 0.005), 20.0, swaying(n, 100.0, 0.2), 50.0);
    let all = verdicts(life, 360, 3);
    let at = |level| all.iter().find(|(_, verdict)| verdict.level >= level).map(|(minute, _)| *minute);
    assert!(at(Level::Found).is_some_and(|minute| minute > 60), "{:?}", all.last());
    let evidence = all.last().unwrap().1.evidence.unwrap();
    let expected = 0.08 * 60.0 * MIB;
    assert!((evidence.per_hour() - expected).abs() < 0.3 * expected, "{evidence:?}");
}

#[test]
fn a_leak_that_is_mended_is_forgotten() {
    let life: Life = |t, n| (60.0 + 2.0 * t.min(10.0) + 0.2 * n.next(), 8.0, 100.0, 50.0);
    let all = verdicts(life, 40, 5);
    assert!(all.iter().any(|(_, verdict)| verdict.level == Level::Found));
    assert_eq!(all.last().unwrap().1.level, Level::None);
}

#[test]
fn too_little_is_said_to_be_too_little() {
    let all = verdicts(|t, _| (60.0 + 50.0 * t, 0.0, 0.0, 0.0), 7, 1);
    assert!(all.iter().all(|(_, verdict)| verdict.evidence.is_none() && verdict.level == Level::None));
    assert!(all.last().unwrap().1.words.starts_with("too early to tell"));
}
