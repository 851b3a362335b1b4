//! The binary. Everything it does is in the library; here is the allocator and the exit code.

use std::process::ExitCode;

/// Chosen by measurement: a request allocates a few dozen times, all of it small and short-lived.
#[global_allocator]
static ALLOCATOR: gateway::Memory = gateway::Memory;

fn main() -> ExitCode {
    // In huge pages the few small heaps of an idle process take 7 MB more, and a busy one is no faster (measured).
    // Where the system will not have it, that is what it costs.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    gateway::commands::run()
}
