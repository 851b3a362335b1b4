//! An account of the bytes that are held for others: bodies read ahead, answers gathered, frames not yet
//! written. It counts what its tokens say; it allocates nothing itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes buffered in the whole process, with a cap. A clone is another handle to the same account.
#[derive(Clone, Debug)]
pub struct Account {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cap: AtomicU64,
    used: AtomicU64,
    most: AtomicU64,
    refused: AtomicU64,
}

impl Account {
    /// Nothing buffered yet; `cap` bytes at most (`u64::MAX`: as many as come).
    pub fn new(cap: u64) -> Self {
        let zero = || AtomicU64::new(0);
        let inner = Inner { cap: AtomicU64::new(cap), used: zero(), most: zero(), refused: zero() };
        Self { inner: Arc::new(inner) }
    }

    /// Counts `bytes` in until the token is dropped. `None`, and counted as refused, where that would
    /// pass the cap.
    pub fn take(&self, bytes: u64) -> Option<Buffered> {
        self.inner.add(bytes).then(|| Buffered { inner: Arc::clone(&self.inner), bytes })
    }

    /// A token of no bytes yet, for a buffer that grows.
    pub fn begin(&self) -> Buffered {
        Buffered { inner: Arc::clone(&self.inner), bytes: 0 }
    }

    /// Bytes counted in now.
    pub fn used(&self) -> u64 {
        self.inner.used.load(Relaxed)
    }

    /// The most that were ever counted in at once.
    pub fn most(&self) -> u64 {
        self.inner.most.load(Relaxed)
    }

    /// How often the cap said no.
    pub fn refused(&self) -> u64 {
        self.inner.refused.load(Relaxed)
    }

    /// The most bytes there may be.
    pub fn cap(&self) -> u64 {
        self.inner.cap.load(Relaxed)
    }

    /// Changes the cap. What is counted in already stays, over the new cap or not.
    pub fn set_cap(&self, cap: u64) {
        self.inner.cap.store(cap, Relaxed);
    }
}

/// Bytes counted in; given back on drop.
#[derive(Debug)]
pub struct Buffered {
    inner: Arc<Inner>,
    bytes: u64,
}

impl Buffered {
    /// Counts `more` bytes in, or says that the cap would be passed and changes nothing.
    #[must_use = "where it says no, the bytes must not be kept"]
    pub fn grow(&mut self, more: u64) -> bool {
        let grown = self.inner.add(more);
        self.bytes += if grown { more } else { 0 };
        grown
    }

    /// Gives back all but `bytes`; nothing where there are no more than that.
    pub fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.inner.used.fetch_sub(less, Relaxed);
        self.bytes -= less;
    }

    /// Bytes this token stands for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        self.inner.used.fetch_sub(self.bytes, Relaxed);
    }
}

impl Inner {
    fn add(&self, bytes: u64) -> bool {
        if bytes == 0 {
            return true;
        }
        let cap = self.cap.load(Relaxed);
        let within = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= cap);
        let added = self.used.fetch_update(Relaxed, Relaxed, within);
        match added {
            Ok(before) => self.most.fetch_max(before + bytes, Relaxed),
            Err(_) => self.refused.fetch_add(1, Relaxed),
        };
        added.is_ok()
    }
}
