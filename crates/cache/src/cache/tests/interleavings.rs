//! Invalidate while filling, in every order that a seeded scheduler comes upon, against a model.
//!
//! The law: once an invalidation has returned, nothing that was begun before it is served. And what it does
//! not reach is served, so that the law is not kept by forgetting.

use super::*;
use crate::memory;
use crate::tier::Off;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

const SEEDS: u64 = 10_000;
const STEPS: usize = 60;
const KEYS: u64 = 3;

/// Runs a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn memory_alone() -> Cache<Off, Off> {
    let memory = memory::Options { entries: 64, ..memory::Options::default() };
    let (redis, disk) = (Off(TierName::Redis), Off(TierName::Disk));
    Cache::new(Options { memory, ..Options::default() }, Some(redis), Some(disk), Arc::default())
}

/// What an entry under key `number` carries: one tag of its own, one of its kind, two of its path.
fn tags(number: u64) -> Vec<Tag> {
    let kind = if number == 0 { "even" } else { "odd" };
    let path = ["docs", if number < 2 { "guide" } else { "blog" }];
    let mut tags = vec![Tag::key(&key(number)), Tag::dependency("acme", kind)];
    tags.extend(Tag::prefixes(&path));
    tags
}

/// Everything that is ever invalidated.
fn targets() -> Vec<Tag> {
    let mut targets: Vec<Tag> = (0..KEYS).flat_map(tags).collect();
    targets.extend([Tag::everything(), Tag::named("acme", "carried by none")]);
    targets
}

fn reaches(target: Tag, number: u64) -> bool {
    target == Tag::everything() || tags(number).contains(&target)
}

fn entry(stamp: Stamp, number: u64, value: u64) -> Arc<Entry> {
    let lifetime = Lifetime { fresh: Duration::from_secs(600), stale: Duration::ZERO };
    Arc::new(Entry::new(value.to_string().into(), Bytes::new(), lifetime, stamp, &tags(number)))
}

fn read(cache: &Cache<Off, Off>, number: u64) -> Option<u64> {
    let found = now(cache.get(&key(number), Millis::now()))?;
    Some(std::str::from_utf8(&found.entry.body.to_plain().unwrap()).unwrap().parse().unwrap())
}

/// How far somebody who fills is.
#[derive(Clone, Copy)]
enum Fill {
    Idle,
    /// The stamp is taken, at this step.
    Begun(u64, Stamp, usize),
    /// The value is there: the truth of the moment.
    Computed(u64, Stamp, usize, u64),
}

/// What must be true.
#[derive(Default)]
struct Model {
    /// Each key's value, as whoever is asked would tell it now.
    truth: [u64; KEYS as usize],
    /// Each key's last invalidation that has returned, by step.
    invalidated: [Option<usize>; KEYS as usize],
    /// What is stored under each key: the step at which it was begun, and the value.
    stored: [Option<(usize, u64)>; KEYS as usize],
}

impl Model {
    fn is_valid(&self, number: u64, begun: usize) -> bool {
        self.invalidated[number as usize].is_none_or(|invalidated| begun > invalidated)
    }

    fn expected(&self, number: u64) -> Option<u64> {
        let (begun, value) = self.stored[number as usize]?;
        self.is_valid(number, begun).then_some(value)
    }
}

/// One run; gives how many reads found something, and how many found that it was invalidated.
fn run(seed: u64, targets: &[Tag]) -> (u32, u32) {
    let mut random = fastrand::Rng::with_seed(seed);
    let cache = memory_alone();
    let mut model = Model::default();
    let mut fillers = [Fill::Idle; 4];
    let (mut hits, mut refused) = (0, 0);
    for step in 0..STEPS {
        match random.u8(..10) {
            0..6 => {
                let filler = random.choice(&mut fillers).unwrap();
                *filler = match *filler {
                    Fill::Idle => Fill::Begun(random.u64(..KEYS), cache.stamp(), step),
                    Fill::Begun(number, stamp, begun) => {
                        Fill::Computed(number, stamp, begun, model.truth[number as usize])
                    }
                    Fill::Computed(number, stamp, begun, value) => {
                        now(cache.store(&key(number), entry(stamp, number, value)));
                        if model.is_valid(number, begun) {
                            model.stored[number as usize] = Some((begun, value));
                        }
                        Fill::Idle
                    }
                };
            }
            6..8 => {
                // The truth changes, then whoever changed it says so.
                let target = *random.choice(targets).unwrap();
                (0..KEYS).filter(|number| reaches(target, *number)).for_each(|number| {
                    model.truth[number as usize] += 1;
                    model.invalidated[number as usize] = Some(step);
                });
                now(cache.invalidate(&[target])).unwrap();
            }
            _ => {
                let number = random.u64(..KEYS);
                let (found, expected) = (read(&cache, number), model.expected(number));
                assert_eq!(found, expected, "seed {seed}, step {step}, key {number}");
                hits += u32::from(found.is_some());
                refused += u32::from(found.is_none() && model.stored[number as usize].is_some());
            }
        }
    }
    (hits, refused)
}

#[test]
fn ten_thousand_interleavings_keep_the_law() {
    let targets = targets();
    let (mut hits, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let run = run(seed, &targets);
        (hits, refused) = (hits + run.0, refused + run.1);
    }
    assert!(hits > 10_000 && refused > 10_000, "{hits} hits, {refused} refused: the runs try nothing");
}

#[test]
fn threads_keep_the_law_too() {
    const CHANGES: u64 = 20_000;
    let cache = memory_alone();
    let (truth, returned, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (hits, stale) = (AtomicU64::new(0), AtomicU64::new(0));
    let look = || {
        // Whatever is found from here on is not older than this.
        let least = returned.load(Ordering::Acquire);
        if let Some(value) = read(&cache, 0) {
            hits.fetch_add(1, Ordering::Relaxed);
            stale.fetch_add(u64::from(value < least), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                let stamp = cache.stamp();
                let value = truth.load(Ordering::Acquire);
                now(cache.store(&key(0), entry(stamp, 0, value)));
                look();
            }
        });
        for change in 1..=CHANGES {
            truth.store(change, Ordering::Release);
            now(cache.invalidate(&[Tag::key(&key(0))])).unwrap();
            returned.store(change, Ordering::Release);
            (0..3).for_each(|_| look());
        }
        over.store(true, Ordering::Release);
    });
    now(cache.store(&key(0), entry(cache.stamp(), 0, CHANGES)));
    look();
    assert_eq!(stale.into_inner(), 0, "served after their invalidation had returned");
    assert!(hits.into_inner() > 0);
}
