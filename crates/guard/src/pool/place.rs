//! A small number for each thread, by which it finds its shard: the lowest that no living thread has, so
//! that threads which come and go do not drift onto the shards of those that stay.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One bit for each place taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static PLACE: Place = Place::take();
}

struct Place(usize);

impl Place {
    /// The lowest free place. With 64 threads alive all are taken, and the rest share the last: the
    /// machine has more threads than a pool has shards then.
    fn take() -> Self {
        let with_lowest_free = |taken: u64| (taken != u64::MAX).then_some(taken | (taken + 1));
        let before = TAKEN.fetch_update(Relaxed, Relaxed, with_lowest_free);
        Self(before.map_or(u64::BITS, u64::trailing_ones) as usize)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0 < u64::BITS as usize {
            TAKEN.fetch_and(!(1 << self.0), Relaxed);
        }
    }
}

/// The number of the thread that asks. A thread that is ending, whose number is gone already, counts as
/// the first.
pub(super) fn of_this_thread() -> usize {
    PLACE.try_with(|place| place.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::of_this_thread;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn threads_alive_together_have_places_of_their_own() {
        let together = Barrier::new(8);
        let mut places: Vec<usize> = thread::scope(|scope| {
            let place = || {
                let place = of_this_thread();
                together.wait();
                place
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(place)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 8);
    }

    #[test]
    fn a_place_is_taken_again_once_its_thread_is_gone() {
        let places: Vec<usize> = (0..200).map(|_| thread::spawn(of_this_thread).join().unwrap()).collect();
        // Other tests' threads come and go meanwhile; 200 threads one after the other need few places.
        assert!(places.iter().all(|place| *place < 64), "{places:?}");
    }
}
