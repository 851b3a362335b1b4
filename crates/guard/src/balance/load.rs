//! How busy one target is, and how fast it was of late.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time in which what was measured loses all but a third of its say.
const MEMORY: Duration = Duration::from_secs(10);
/// What a target costs that is busy and has never answered: more than any that has.
const UNKNOWN_NANOS: f64 = 1e15;

/// The load of one target. A clone is another handle to the same one.
///
/// Latencies are averaged with a bias for bad news (Finagle's *peak EWMA*): a worse one counts in full at
/// once, a better one bit by bit. What was measured fades, so that a target that was slow is tried again.
#[derive(Clone, Debug)]
pub struct Load(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    in_flight: AtomicU32,
    latency: Mutex<Latency>,
}

#[derive(Debug)]
struct Latency {
    nanos: f64,
    /// When that was; the latest moment seen.
    at: Instant,
    known: bool,
}

/// A call under way; dropped, it is over and nothing was measured.
#[derive(Debug)]
#[must_use = "dropped, the call counts as over"]
pub struct InFlight(Arc<Inner>);

impl Load {
    /// Free, and never measured.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let latency = Mutex::new(Latency { nanos: 0.0, at: now, known: false });
        Self(Arc::new(Inner { in_flight: AtomicU32::new(0), latency }))
    }

    /// Counts a call in.
    pub fn begin(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(&self.0))
    }

    /// Calls under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.0.in_flight.load(Relaxed)
    }

    /// The average latency, faded since it was measured; `None` before the first.
    #[must_use]
    pub fn latency(&self, now: Instant) -> Option<Duration> {
        let latency = self.0.latency();
        latency.known.then(|| Duration::from_nanos(latency.faded(now) as u64))
    }

    /// `(in flight + 1) × latency`, in nanoseconds. A target that was never measured is tried when nothing
    /// is under way to it, and left alone otherwise until it has answered.
    pub(super) fn cost(&self, now: Instant) -> f64 {
        let in_flight = f64::from(self.in_flight());
        let latency = self.0.latency();
        match latency.known {
            true => (in_flight + 1.0) * latency.faded(now),
            false => in_flight * UNKNOWN_NANOS,
        }
    }
}

impl InFlight {
    /// Ends a call that answered after `latency`: time to the first token, say. For a call that failed
    /// fast, drop it or give what it should be taken for, or failing would look like being quick.
    pub fn end(self, latency: Duration, now: Instant) {
        self.0.latency().observe(latency, now);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Inner {
    /// A latency is whole at every moment, whoever panicked.
    fn latency(&self) -> MutexGuard<'_, Latency> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latency {
    fn observe(&mut self, latency: Duration, now: Instant) {
        let nanos = latency.as_nanos().min(UNKNOWN_NANOS as u128) as f64;
        let kept = self.kept(now);
        self.nanos = match self.known {
            true if nanos < self.nanos * kept => self.nanos * kept + nanos * (1.0 - kept),
            _ => nanos,
        };
        self.at = self.at.max(now);
        self.known = true;
    }

    fn faded(&self, now: Instant) -> f64 {
        self.nanos * self.kept(now)
    }

    /// The share of what was measured that still counts.
    fn kept(&self, now: Instant) -> f64 {
        (-now.saturating_duration_since(self.at).as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}
