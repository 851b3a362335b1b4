//! What the parts promise, one behaviour a test; texts as kernels write them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{
    Account, Judge, Level, Load, Memory, Options, Passing, Reader, Reading, Source, Traffic, Verdict,
};
use crate::queue::Band;
use proptest::prelude::*;
use std::time::{Duration, Instant};

mod texts;

const SECOND: Duration = Duration::from_secs(1);

/// A process on two cores, looked at each half second.
struct Process {
    judge: Judge,
    now: Instant,
    reading: Reading,
}

impl Process {
    fn new(options: Options) -> Self {
        let memory = Memory { source: Source::Machine, used: 0, limit: 1000 };
        let reading = Reading {
            process_cpu: Some(Duration::ZERO),
            cores: Some(2.0),
            memory: Some(memory),
            ..Reading::default()
        };
        Self { judge: Judge::new(options), now: Instant::now(), reading }
    }

    /// One look, after half a second at this share of the cores, with this share of the memory used.
    fn look(&mut self, cpu: f64, memory: f64, load: Load) -> Verdict {
        self.now += SECOND / 2;
        *self.reading.process_cpu.as_mut().unwrap() += SECOND.mul_f64(cpu);
        self.reading.memory.as_mut().unwrap().used = (memory * 1000.0).round() as u64;
        self.judge.judge(&self.reading, load, self.now)
    }

    /// So many seconds of the same; the last verdict, and how often limits were to be halved.
    fn seconds(&mut self, count: usize, cpu: f64, memory: f64, load: Load) -> (Verdict, usize) {
        let verdicts: Vec<_> = (0..2 * count).map(|_| self.look(cpu, memory, load)).collect();
        (*verdicts.last().unwrap(), verdicts.iter().filter(|verdict| verdict.squeeze).count())
    }
}

/// `in_flight` requests where ten are carried.
fn load(in_flight: usize) -> Load {
    let now = Instant::now();
    let traffic = Traffic::new(10 * SECOND, now);
    // One pass in a slice of 100 ms that took 1 s: ten a second, for a second each.
    traffic.begin().finish(SECOND, now);
    let estimate = traffic.estimate(now + SECOND);
    Load { overfull: estimate.is_some_and(|estimate| estimate.is_exceeded_by(in_flight)), ..Load::default() }
}

fn shed(from: Band) -> Level {
    Level::Shed { from }
}

#[test]
fn an_idle_process_is_calm_and_may_grow() {
    let (verdict, squeezes) = Process::new(Options::default()).seconds(60, 0.1, 0.5, load(5));
    assert_eq!((verdict.level, verdict.may_grow, squeezes), (Level::Calm, true, 0));
    assert!((verdict.cpu.unwrap() - 0.1).abs() < 1e-3);
    assert!((verdict.memory.unwrap() - 0.5).abs() < 1e-9);
}

#[test]
fn busy_cores_alone_halve_once_and_turn_nobody_away() {
    let mut process = Process::new(Options::default());
    let (verdict, squeezes) = process.seconds(60, 0.95, 0.5, load(10));
    assert_eq!((verdict.level, verdict.may_grow, squeezes), (Level::Squeeze, false, 1));
}

#[test]
fn a_full_queue_on_idle_cores_is_no_overload() {
    let (verdict, squeezes) = Process::new(Options::default()).seconds(60, 0.75, 0.5, load(1000));
    assert!(verdict.overfull);
    assert_eq!((verdict.level, squeezes), (Level::Calm, 0));
}

#[test]
fn overloaded_cores_shed_band_by_band_and_never_the_highest() {
    let mut process = Process::new(Options::default());
    let mut levels = Vec::new();
    for _ in 0..120 {
        let verdict = process.look(1.0, 0.5, load(11));
        if levels.last() != Some(&verdict.level) {
            levels.push(verdict.level);
        }
    }
    let ladder = [Level::Calm, Level::Squeeze, shed(Band::Batch), shed(Band::Low), shed(Band::Normal)];
    assert_eq!(levels, ladder);
}

#[test]
fn while_it_does_not_help_limits_are_halved_again_at_a_pace() {
    let mut process = Process::new(Options::default());
    let (_, squeezes) = process.seconds(60, 1.0, 0.5, load(11));
    assert!((9..=12).contains(&squeezes), "once in five seconds: {squeezes}");
}

#[test]
fn a_short_burst_is_ridden_out() {
    let mut process = Process::new(Options::default());
    process.seconds(60, 0.3, 0.5, load(20));
    let (verdict, _) = process.seconds(3, 1.0, 0.5, load(20));
    assert_eq!(verdict.level, Level::Calm);
}

#[test]
fn memory_has_marks_for_growing_halving_and_each_band() {
    let table = [
        (0.79, Level::Calm, true),
        (0.80, Level::Calm, false),
        (0.849, Level::Calm, false),
        (0.85, Level::Squeeze, false),
        (0.899, Level::Squeeze, false),
        (0.90, shed(Band::Batch), false),
        (0.93, shed(Band::Low), false),
        (0.96, shed(Band::Normal), false),
        (0.98, shed(Band::High), false),
        (1.0, shed(Band::High), false),
    ];
    for (memory, level, may_grow) in table {
        let verdict = Process::new(Options::default()).look(0.1, memory, load(1));
        assert_eq!((verdict.level, verdict.may_grow), (level, may_grow), "memory at {memory}");
        let buffered = Load { buffered: (memory * 1000.0).round() as u64, buffered_max: 1000, ..load(1) };
        let verdict = Process::new(Options::default()).look(0.1, 0.1, buffered);
        assert_eq!((verdict.level, verdict.may_grow), (level, may_grow), "buffers at {memory}");
    }
}

#[test]
fn it_comes_down_a_step_at_a_time_and_only_past_the_margin() {
    let mut process = Process::new(Options::default());
    assert_eq!(process.look(0.1, 0.91, load(1)).level, shed(Band::Batch));
    let (verdict, _) = process.seconds(60, 0.1, 0.86, load(1));
    assert_eq!(verdict.level, shed(Band::Batch), "within the margin of 0.90");
    let levels: Vec<_> = (0..12).map(|_| process.look(0.1, 0.79, load(1)).level).collect();
    let [first, second] =
        [Level::Squeeze, Level::Calm].map(|level| levels.iter().position(|seen| *seen == level).unwrap());
    assert!(first >= 3 && second >= first + 4, "two seconds for each: {levels:?}");
}

#[test]
fn a_share_that_swings_about_a_mark_does_not_flap() {
    let mut process = Process::new(Options::default());
    let mut changes = 0;
    let mut before = Level::Calm;
    for look in 0..600 {
        let level = process.look(0.1, if look % 10 < 5 { 0.83 } else { 0.86 }, load(1)).level;
        changes += usize::from(level != before);
        before = level;
    }
    assert_eq!(changes, 1);
}

#[test]
fn what_cannot_be_read_is_not_judged() {
    let mut judge = Judge::new(Options::default());
    let now = Instant::now();
    for look in 0..100 {
        let verdict = judge.judge(&Reading::default(), load(1000), now + look * SECOND);
        assert_eq!((verdict.level, verdict.cpu, verdict.memory), (Level::Calm, None, None));
        assert!(verdict.may_grow);
    }
}

#[test]
fn a_quota_shared_with_others_counts_the_whole_group() {
    let mut process = Process::new(Options::default());
    process.reading.group_cpu = Some(Duration::ZERO);
    let mut cpu = 0.0;
    for _ in 0..120 {
        *process.reading.group_cpu.as_mut().unwrap() += SECOND.mul_f64(0.9);
        cpu = process.look(0.2, 0.5, load(1)).cpu.unwrap_or(0.0);
    }
    assert!((cpu - 0.9).abs() < 1e-3, "{cpu}");
}

#[test]
fn two_looks_at_one_instant_are_one() {
    let mut process = Process::new(Options::default());
    let (before, _) = process.seconds(10, 0.5, 0.5, load(1));
    let again = process.judge.judge(&process.reading, load(1), process.now);
    assert_eq!(again.cpu, before.cpu);
}

#[test]
fn a_level_sheds_its_band_and_those_below() {
    assert!(!Level::Calm.sheds(Band::Batch) && !Level::Squeeze.sheds(Band::Batch));
    let bands = [Band::High, Band::Normal, Band::Low, Band::Batch];
    let shed_from = |from| bands.map(|band| shed(from).sheds(band));
    assert_eq!(shed_from(Band::Batch), [false, false, false, true]);
    assert_eq!(shed_from(Band::Normal), [false, true, true, true]);
    assert_eq!(shed_from(Band::High), [true; 4]);
}

#[test]
fn what_is_carried_is_the_best_rate_times_the_best_time() {
    let base = Instant::now();
    let traffic = Traffic::new(10 * SECOND, base);
    assert_eq!(traffic.estimate(base), None);
    let pass = |at: Duration, took: Duration| traffic.begin().finish(took, base + at);
    // Three in one slice of 100 ms at 300 ms each; one in another that took 100 ms.
    (0..3).for_each(|_| pass(SECOND, SECOND * 3 / 10));
    pass(2 * SECOND, SECOND / 10);
    let estimate = traffic.estimate(base + 3 * SECOND).unwrap();
    assert!((estimate.rate_max - 30.0).abs() < 1e-6);
    assert_eq!(estimate.best, SECOND / 10);
    assert!((estimate.carries - 3.0).abs() < 1e-6);
    // The busy slice leaves the window first, then the quick one.
    let later = traffic.estimate(base + SECOND * 115 / 10).unwrap();
    assert!((later.carries - 1.0).abs() < 1e-6);
    assert_eq!(traffic.estimate(base + 13 * SECOND), None);
}

#[test]
fn the_slice_under_way_does_not_count_yet() {
    let base = Instant::now();
    let traffic = Traffic::new(10 * SECOND, base);
    traffic.begin().finish(SECOND, base);
    assert_eq!(traffic.estimate(base), None);
    assert!(traffic.estimate(base + SECOND / 10).is_some());
}

#[test]
fn in_flight_is_who_neither_finished_nor_left() {
    let base = Instant::now();
    let traffic = Traffic::new(10 * SECOND, base);
    let mut passing: Vec<Passing> = (0..3).map(|_| traffic.begin()).collect();
    assert_eq!(traffic.in_flight(), 3);
    drop(passing.pop());
    assert_eq!(traffic.in_flight(), 2);
    assert_eq!(traffic.estimate(base + SECOND), None, "one that left shows nothing");
    passing.pop().unwrap().finish(SECOND, base);
    assert_eq!(traffic.in_flight(), 1);
}

#[test]
fn the_account_holds_its_cap() {
    let account = Account::new(100);
    let first = account.take(60).unwrap();
    assert!(account.take(41).is_none());
    let mut second = account.take(40).unwrap();
    assert!(!second.grow(1));
    second.shrink_to(10);
    assert_eq!((account.used(), second.bytes()), (70, 10));
    assert!(second.grow(30));
    drop(first);
    account.set_cap(10);
    assert_eq!(account.used(), 40, "what is there stays");
    assert!(account.take(1).is_none());
    drop(second);
    assert_eq!((account.used(), account.most(), account.refused()), (0, 100, 3));
    let mut none = account.begin();
    assert!(none.grow(10) && !none.grow(u64::MAX));
}

#[test]
fn threads_never_pass_the_cap() {
    let account = Account::new(1000);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let account = account.clone();
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..2000 {
                    let mut held = account.begin();
                    for _ in 0..5 {
                        let _said_no_or_yes = held.grow(random.u64(..200));
                    }
                    held.shrink_to(random.u64(..200));
                }
            });
        }
    });
    assert_eq!(account.used(), 0);
    assert!((1..=1000).contains(&account.most()));
}

#[test]
fn this_very_process_can_be_read() {
    let reading = Reader.read();
    if cfg!(target_os = "linux") {
        assert!(reading.process_cpu.is_some() && reading.machine_cpu.is_some());
        let (resident, anonymous) = (reading.resident.unwrap(), reading.anonymous.unwrap());
        assert!((1 << 16..=resident).contains(&anonymous), "{anonymous} of {resident}");
        assert!(reading.cores.unwrap() > 0.0);
        let memory = reading.memory.unwrap();
        assert!(memory.limit > 0 && (0.0..=1.5).contains(&memory.share()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_the_level_is_earned_and_left_in_the_end(
        looks in proptest::collection::vec((0.0_f64..1.2, 0.0_f64..1.1, 0_usize..20), 1..100),
    ) {
        let mut process = Process::new(Options::default());
        for (cpu, memory, in_flight) in looks {
            let verdict = process.look(cpu, memory, load(in_flight));
            let full = verdict.memory.unwrap() >= 0.85;
            prop_assert!(!full || verdict.level != Level::Calm);
            prop_assert!(!verdict.squeeze || verdict.level != Level::Calm);
            prop_assert!(!(verdict.may_grow && full));
        }
        let (verdict, _) = process.seconds(60, 0.1, 0.1, load(1));
        prop_assert_eq!((verdict.level, verdict.may_grow), (Level::Calm, true));
    }
}
