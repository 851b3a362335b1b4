//! The front door as a process: the real binary, real sockets, the simulated provider behind it.
//!
//! What an SDK sees is tried with the SDKs themselves, under `tests/` of the repository; here is what
//! they cannot see: TLS, HTTP/2, and where the gateway does not go.

// A test may dial and spawn as it likes: the bans are for the gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod client;
mod commands;
mod compress;
mod gateway;
mod outbound;
mod protect;
mod provider;
mod tls;
mod traces;
