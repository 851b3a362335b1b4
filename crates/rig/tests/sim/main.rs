//! The simulated provider as its callers see it: in process through
//! `Sim::call`, and over TCP through a client that is nothing but a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![expect(clippy::disallowed_methods, reason = "the test is the client, and owns the one task it starts")]

mod answers;
mod batches;
mod faults;
mod shapes;
mod streams;
mod support;
mod tcp;
mod timing;
