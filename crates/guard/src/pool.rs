//! Objects that are costly to make, kept for the next one who needs them: `borrow` gives one, its drop
//! resets it and puts it back.
//!
//! ```text
//! borrow ──► this thread's shard ──► the other shards ──► make
//! drop   ──► reset ──► grown too big? let go ──► the shard it came from ──► the other shards ──► let go
//! ```
//!
//! It bounds what lies idle, not what is out: a borrower never waits and is never refused. How many may
//! be at work at once is for the [limiter](crate::limiter) to say. Each thread has a shard of its own as
//! far as there are enough, with a lock, a count of owners and counters on cache lines of its own, so
//! that two workers do not meet; a shard that has none, or no more room, looks at the others.
//!
//! **Where it helps, and where it does not.** It is for objects that are costly to *make*: a compressor's
//! tables, a parser's state, a large zeroed block. The gateway's own buffers are none. They are filled once and
//! handed on as `Bytes`, which a pool can only wrap, and with mimalloc an allocation costs less than a loan: 16 ns
//! against 85 ns for a frame of 512 bytes, 130 ns against 208 ns for a body of 16 KiB, its copying included; of
//! 256 KiB the copying is nearly all, 8 µs either way (one thread of a machine at work; `benches/pool.rs`). They
//! are therefore allocated.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;

pub use self::report::{Advice, Report};

use self::shard::{Rules, Shard};

mod place;
mod report;
mod shard;

#[cfg(test)]
mod tests;

/// Shards at most: beyond it, threads share.
const SHARDS_MAX: usize = 64;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Objects that lie idle at most, over all threads.
    pub kept: usize,
    /// Objects bigger than this after their reset are let go rather than kept, so that one large
    /// request does not leave its buffer behind for ever. In the unit `reset` answers in.
    pub size_max: usize,
    /// Shards, rounded up to a power of two and to 64 at most; 0: two for each core this process may use.
    pub shards: usize,
}

impl Default for Options {
    /// 1,024 objects of 64 Ki each at most.
    fn default() -> Self {
        Self { kept: 1024, size_max: 64 << 10, shards: 0 }
    }
}

/// A bounded stock of idle objects. A clone is another handle to the same stock.
pub struct Pool<T> {
    shards: Arc<[Arc<Shard<T>>]>,
}

impl<T> Pool<T> {
    /// An empty pool. `make` makes an object when none lies idle. `reset` makes one as good as new when
    /// it comes back, and answers how big it is still, in bytes or whatever else `size_max` counts; it
    /// must not panic.
    ///
    /// ```
    /// use guard::pool::{Options, Pool};
    ///
    /// let pool = Pool::new(Options::default(), Vec::<u8>::new, |buffer| {
    ///     buffer.clear();
    ///     buffer.capacity()
    /// });
    /// pool.borrow().extend_from_slice(b"comes back empty, with its capacity");
    /// let buffer = pool.borrow();
    /// assert!(buffer.is_empty() && buffer.capacity() >= 35);
    /// ```
    pub fn new(
        options: Options,
        make: impl Fn() -> T + Send + Sync + 'static,
        reset: impl Fn(&mut T) -> usize + Send + Sync + 'static,
    ) -> Self {
        let count = match options.shards {
            0 => 2 * thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let count = count.min(SHARDS_MAX).next_power_of_two();
        let rules =
            Arc::new(Rules { size_max: options.size_max, make: Box::new(make), reset: Box::new(reset) });
        // The first shards take the rest, so that the sum is what was asked for.
        let room = |index: usize| options.kept / count + usize::from(index < options.kept % count);
        let shards: Arc<[_]> = (0..count).map(|index| Shard::new(room(index), &rules)).collect();
        shards.iter().for_each(|shard| shard.meet(&shards));
        Self { shards }
    }

    /// An idle object, or a new one. Neither waits nor fails.
    pub fn borrow(&self) -> Borrowed<T> {
        // The count is a power of two, so the mask is a remainder and the index in bounds.
        let shard = &self.shards[place::of_this_thread() & (self.shards.len() - 1)];
        Borrowed { object: Some(shard.take()), shard: Arc::clone(shard) }
    }

    /// What has gone through the pool so far. Reads every shard in turn: the sums are exact only while
    /// nobody borrows.
    pub fn report(&self) -> Report {
        self.shards.iter().fold(Report::default(), |sum, shard| sum.plus(&shard.report()))
    }

    /// Lets go of the objects that nobody has needed since the last trim, and says how many those were.
    /// Called now and then (each minute, say), it lets the stock follow the load down again. After the
    /// low-water mark of tcmalloc's thread caches.
    pub fn trim(&self) -> usize {
        self.shards.iter().map(|shard| shard.trim()).sum()
    }
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self { shards: Arc::clone(&self.shards) }
    }
}

/// An object on loan. Its drop resets it and gives it back, on whichever thread that is; where the
/// thread is panicking the object is let go, as nobody knows in what state it is.
pub struct Borrowed<T> {
    /// `None` only while it is dropped or given away.
    object: Option<T>,
    shard: Arc<Shard<T>>,
}

impl<T> Borrowed<T> {
    /// Keeps the object for good: the pool forgets it.
    pub fn into_inner(mut self) -> T {
        let object = self.object.take();
        self.shard.forget();
        object.unwrap_or_else(|| taken())
    }
}

impl<T> Deref for Borrowed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.object.as_ref().unwrap_or_else(|| taken())
    }
}

impl<T> DerefMut for Borrowed<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.object.as_mut().unwrap_or_else(|| taken())
    }
}

impl<T> Drop for Borrowed<T> {
    fn drop(&mut self) {
        match self.object.take() {
            Some(object) if thread::panicking() => self.shard.lose(object),
            Some(object) => self.shard.put_back(object),
            None => {}
        }
    }
}

fn taken() -> ! {
    unreachable!("only who consumes the loan takes its object")
}
