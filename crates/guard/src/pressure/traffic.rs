//! How many requests are in flight, and how many this process has shown that it can carry: by Little's
//! law, the most that passed in a short while times the time the quickest took. The estimate is that of
//! Kratos' limiter (`aegis/ratelimit/bbr`), after TCP BBR's bandwidth × delay.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Slices of the window.
const SLICES: usize = 100;

/// What is in flight and what has passed of late. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Traffic {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    in_flight: AtomicUsize,
    began: Instant,
    slice: Duration,
    slices: Mutex<[Slice; SLICES]>,
}

/// What ended in one short while.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Which one it is, counted from the beginning; tells a slice of the last round from one of this.
    number: u64,
    passes: u32,
    took: Duration,
}

/// What the window shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Requests that this process can carry at once.
    pub carries: f64,
    /// The most that passed in one slice, as a rate in requests a second.
    pub rate_max: f64,
    /// Mean time of the quickest slice.
    pub best: Duration,
}

impl Estimate {
    /// Whether so many in flight are more than that.
    pub fn is_exceeded_by(&self, in_flight: usize) -> bool {
        in_flight as f64 > self.carries
    }
}

impl Traffic {
    /// Nothing seen yet; remembers `window` (10 s is usual) in a hundred slices.
    pub fn new(window: Duration, now: Instant) -> Self {
        let slice = (window / SLICES as u32).max(Duration::from_millis(1));
        let slices = Mutex::new([Slice::default(); SLICES]);
        Self { inner: Arc::new(Inner { in_flight: AtomicUsize::new(0), began: now, slice, slices }) }
    }

    /// Counts a request in until it is [finished](Passing::finish) or dropped.
    pub fn begin(&self) -> Passing {
        self.inner.in_flight.fetch_add(1, Relaxed);
        Passing { inner: Arc::clone(&self.inner) }
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> usize {
        self.inner.in_flight.load(Relaxed)
    }

    /// What the slices that are over show; `None` where nothing passed in them.
    pub fn estimate(&self, now: Instant) -> Option<Estimate> {
        let current = self.inner.number(now);
        let slices = self.inner.slices.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = slices.iter().filter(|slice| slice.passes > 0 && slice.is_of_window_before(current));
        let (most, best) = seen.fold((0, Duration::MAX), |(most, best), slice| {
            (slice.passes.max(most), best.min(slice.took / slice.passes))
        });
        drop(slices);
        let rate_max = f64::from(most) / self.inner.slice.as_secs_f64();
        (most > 0).then_some(Estimate { carries: rate_max * best.as_secs_f64(), rate_max, best })
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct Passing {
    inner: Arc<Inner>,
}

impl Passing {
    /// It passed, having taken this long in this process. One that was refused or whose caller left is
    /// dropped instead: it shows nothing of what can be carried.
    pub fn finish(self, took: Duration, now: Instant) {
        let number = self.inner.number(now);
        let mut slices = self.inner.slices.lock().unwrap_or_else(PoisonError::into_inner);
        let slice = &mut slices[(number % SLICES as u64) as usize];
        if slice.number != number {
            *slice = Slice { number, ..Slice::default() };
        }
        slice.passes += 1;
        slice.took = slice.took.saturating_add(took);
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.inner.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Inner {
    fn number(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began).as_nanos() / self.slice.as_nanos();
        // 0 is what an empty slice says.
        u64::try_from(since).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Slice {
    /// Whether it is over, and not over for longer than the window.
    fn is_of_window_before(&self, current: u64) -> bool {
        self.number < current && self.number + SLICES as u64 > current
    }
}
