//! The binary. Everything it does is in the library; here is the allocator and the exit code.

use std::process::ExitCode;

/// Chosen by measurement: a request allocates a few dozen times, all of it small and short-lived.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gateway::commands::run()
}
