//! The allocator: what it says of itself, and giving memory back. It is mimalloc in the program; where another one is
//! in use, as in the tests of this library, the figures are mimalloc's all the same, and near zero.

use measure::resources::Allocator;
use mimalloc::MiMalloc;
use serde_json::Value;

/// What mimalloc says of the whole process, as it says it: bytes reserved and committed, its pages, its threads. Its
/// release builds do not count single allocations, which would cost every one of them.
pub fn report() -> Option<Value> {
    let text = MiMalloc::stats_json().ok()?;
    serde_json::from_slice(text.to_bytes()).ok()
}

/// The two figures of it that are watched.
pub fn figures() -> Option<Allocator> {
    let said = report()?;
    // Threads count apart and are added up now and then: for a moment a sum may be below zero.
    let current = |name: &str| Some(u64::try_from(said[name]["current"].as_i64()?).unwrap_or(0));
    Some(Allocator { committed_bytes: current("committed")?, reserved_bytes: current("reserved")? })
}

/// Gives back to the system what this thread has freed and kept for later, and what is no thread's. It takes
/// milliseconds, during which this thread does nothing else.
#[expect(
    unsafe_code,
    reason = "mi_collect has no wrapper; it takes a truth by value, and any thread may call it any time"
)]
pub fn release() {
    unsafe { libmimalloc_sys::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    #[test]
    fn it_says_what_it_has_committed() {
        let figures = super::figures().unwrap();
        assert!(figures.committed_bytes <= figures.reserved_bytes, "{figures:?}");
        super::release();
        assert!(super::report().unwrap()["mimalloc_version"].as_u64().unwrap() > 0);
    }
}
