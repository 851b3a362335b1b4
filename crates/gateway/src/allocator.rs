//! The allocator: how it is asked, what it says of itself, and giving memory back. It is mimalloc in the program; where
//! another one is in use, as in the tests of this library, the figures are mimalloc's all the same, and near zero.

use libmimalloc_sys::{mi_malloc, mi_realloc, mi_zalloc};
use measure::resources::Allocator;
use mimalloc::MiMalloc;
use serde_json::Value;
use std::alloc::{GlobalAlloc, Layout};

/// What mimalloc keeps every block aligned to that is as large: `max_align_t`.
const ALIGNED: usize = 16;

/// mimalloc, which is told of an alignment only where it would not keep it anyway.
///
/// Told of one, it takes the next size up whenever no block of the right size lies ready, to have room to move within
/// it: of a request's two dozen allocations that was every third.
pub struct Memory;

fn is_kept(align: usize, size: usize) -> bool {
    align <= ALIGNED && align <= size
}

#[expect(unsafe_code, reason = "the one way to be an allocator; each function hands on what it was promised")]
// SAFETY: mimalloc's functions keep the contract. A block of 16 bytes or more is aligned to 16, a smaller one to the
// next power of two that is no larger, and every block may be resized and freed however it was asked for.
unsafe impl GlobalAlloc for Memory {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match is_kept(layout.align(), layout.size()) {
            true => unsafe { mi_malloc(layout.size()).cast() },
            false => unsafe { MiMalloc.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match is_kept(layout.align(), layout.size()) {
            true => unsafe { mi_zalloc(layout.size()).cast() },
            false => unsafe { MiMalloc.alloc_zeroed(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match is_kept(layout.align(), size) {
            true => unsafe { mi_realloc(block.cast(), size).cast() },
            false => unsafe { MiMalloc.realloc(block, layout, size) },
        }
    }
}

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

    use super::Memory;
    use std::alloc::{GlobalAlloc, Layout};

    #[test]
    #[expect(unsafe_code, reason = "an allocator is asked by itself")]
    fn every_block_is_aligned_as_asked_and_keeps_what_it_holds() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..70).chain([255, 1000, 1024, 1025, 5000, 70_000, 1 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                let bytes = |block: *mut u8| unsafe { std::slice::from_raw_parts_mut(block, size) };
                let (plain, zeroed) = unsafe { (Memory.alloc(layout), Memory.alloc_zeroed(layout)) };
                assert!(bytes(zeroed).iter().all(|byte| *byte == 0), "{layout:?}");
                bytes(plain).fill(7);
                let grown = unsafe { Memory.realloc(plain, layout, size * 3) };
                assert!(bytes(grown).iter().all(|byte| *byte == 7), "{layout:?}");
                let shrunk = unsafe { Memory.realloc(zeroed, layout, size.div_ceil(2)) };
                for block in [grown, shrunk] {
                    assert_eq!(block.addr() % align, 0, "{layout:?}");
                }
                unsafe {
                    Memory.dealloc(grown, Layout::from_size_align(size * 3, align).unwrap());
                    Memory.dealloc(shrunk, Layout::from_size_align(size.div_ceil(2), align).unwrap());
                }
            }
        }
    }

    #[test]
    fn it_says_what_it_has_committed() {
        let figures = super::figures().unwrap();
        assert!(figures.committed_bytes <= figures.reserved_bytes, "{figures:?}");
        super::release();
        assert!(super::report().unwrap()["mimalloc_version"].as_u64().unwrap() > 0);
    }
}
