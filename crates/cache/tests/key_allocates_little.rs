//! A key of a long prompt costs no copy of the prompt, counted at the allocator.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cache::key::{Key, Parts, Place, PlaceParts, Secret};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Bytes that this thread asked for.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    ASKED.with(|asked| asked.set(asked.get() + bytes));
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one counts and hands on")]
// SAFETY: every call goes to the system's allocator with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_long_prompt_is_not_copied() {
    let secret = Secret::new("secret");
    let place = Place::new(&PlaceParts {
        operation: "chat",
        policy: 1,
        provider: "p",
        base_url: "https://api.example",
        credential: &[],
        model: "m",
    });
    for (name, line) in [
        ("plain", "A sentence of a prompt that is as long as a book. "),
        ("with line breaks and quotations", "A line of a prompt\\nand \\\"what was said\\\" in it.\\n"),
        ("with escapes that are not needed", "caf\\u00e9 \\ud83d\\ude00 and\\/or \\u4e2d\\u6587 "),
    ] {
        let prompt = line.repeat(1_000_000 / line.len());
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{prompt}"}}],"model":"m"}}"#);
        let parts = Parts {
            place: &place,
            tenant: "t",
            scope: "",
            form: 0,
            body: &body,
            leave_out: &["user"],
            hole: None,
        };
        let before = ASKED.get();
        Key::new(&secret, &parts).unwrap();
        let asked = ASKED.get() - before;
        assert!(asked <= 32 << 10, "{name}: {asked} bytes for a body of {}", body.len());
    }
}
