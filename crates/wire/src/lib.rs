//! `wire`: what applications, Tidegate and providers say to one another.
//!
//! Protocols, their streams, their errors, and the table of providers. The crate is pure: bytes in,
//! bytes or values out. There is no I/O here, no clock, no runtime and no HTTP server, so that every
//! line can be tried with a table of inputs.
//!
//! Two rules shape it. A body is typed only where the gateway acts on a field; everything else goes
//! through as the bytes that came in. And nothing here trusts what it reads: every buffer has a
//! bound, and no input panics.
//!
//! What a cache needs of the protocol is here too, as facts without a policy: whether the same
//! request means the same answer ([`openai::Request::traits`]), what an answer is worth and its two
//! forms ([`openai::stored`]), and a stream's usage chunk kept apart ([`openai::UsageChunk`]).

pub mod failure;
pub mod retry_after;

pub mod json;
pub mod splice;
pub mod sse;

pub mod dialect;
pub mod operation;
pub mod preset;

pub mod openai;

pub use failure::Failure;
pub use operation::Operation;
