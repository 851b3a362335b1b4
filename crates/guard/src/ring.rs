//! The last while in `N` buckets: what is added goes into the newest, and the oldest leaves as a whole.
//! So a window spans its length, or up to one bucket less, and costs the same whatever is in it.

use crate::clock::later;
use std::time::{Duration, Instant};

/// A ring of buckets. Times that lie before one it has already seen count as that one.
pub struct Ring<T, const N: usize> {
    /// The time one bucket spans; never zero.
    span: Duration,
    buckets: [T; N],
    head: usize,
    /// When the newest bucket is full; `None` before the first addition, which begins it.
    head_ends: Option<Instant>,
}

impl<T: Copy + Default, const N: usize> Ring<T, N> {
    /// An empty window of that length.
    pub fn new(length: Duration) -> Self {
        let span = (length / N as u32).max(Duration::from_nanos(1));
        Self { span, buckets: [T::default(); N], head: 0, head_ends: None }
    }

    /// The bucket to add to.
    pub fn newest(&mut self, now: Instant) -> &mut T {
        self.roll(now);
        self.head_ends.get_or_insert_with(|| later(now, self.span));
        &mut self.buckets[self.head]
    }

    /// All buckets of the window, newest first, each with the time it began.
    pub fn buckets(&mut self, now: Instant) -> impl Iterator<Item = (Instant, &T)> {
        self.roll(now);
        let this = &*self;
        (0..N).map_while(move |age| {
            let began = this.head_ends?.checked_sub(this.span * (age as u32 + 1))?;
            Some((began, &this.buckets[(this.head + N - age) % N]))
        })
    }

    /// Empties it. The next addition begins the first bucket.
    pub fn clear(&mut self) {
        (self.buckets, self.head_ends) = ([T::default(); N], None);
    }

    /// Empties the buckets whose time is over.
    fn roll(&mut self, now: Instant) {
        let Some(ended) = self.head_ends.filter(|ends| *ends <= now) else { return };
        let (over, span) = (now.duration_since(ended).as_nanos(), self.span.as_nanos());
        for _ in 0..(over / span + 1).min(N as u128) {
            self.head = (self.head + 1) % N;
            self.buckets[self.head] = T::default();
        }
        // The buckets stay on the grid that the first addition laid.
        let rest = u64::try_from(span - over % span).unwrap_or(u64::MAX);
        self.head_ends = Some(later(now, Duration::from_nanos(rest)));
    }
}
