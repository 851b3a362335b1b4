//! The shared-memory types that are tested under every interleaving, in one place:
//! `interleavings.rs` compiles the breaker and the registry over loom's in their stead.

pub use std::sync::atomic::{AtomicUsize, Ordering};
pub use std::sync::{Arc, Mutex, MutexGuard};

use std::sync::PoisonError;

/// Locks, poisoned or not: nothing here panics half-way through a change.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
