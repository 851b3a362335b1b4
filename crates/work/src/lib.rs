//! What is done later: jobs, their runner, schedules, and workflows.
//!
//! A job is added with a [`client`], lies in a `store`, and is done by the [`runner`] of whichever process
//! claims it, which hands it to the [`handler`] of its kind with a [`context`]. It is done at least once, and
//! exactly one outcome of it is recorded.
//!
//! ```text
//! Draft ──► Client ──► store ──► Runner ──► the kind's handler(Context) ──► Ok(result) or Failed
//!                        ▲  └─ Watch                                              │
//!                        └── recorded once, under the lease's token ◄─────────────┘
//! ```
//!
//! It knows no HTTP and no models; what a job does is handed in. It has no runtime of its own either: a
//! [`Runner`] is a future to be driven by whoever owns one. `examples/thumbnails.rs` is a service that uses it
//! alone.

pub mod backoff;
pub mod batches;
pub mod client;
pub mod context;
pub mod cron;
pub mod draft;
pub mod handler;
pub mod options;
pub mod pace;
pub mod pool;
pub mod runner;
pub mod schedules;
pub mod share;
pub mod stats;
pub mod verdict;
pub mod watch;
pub mod workflow;

mod clock;
mod held;
mod hints;
mod outage;

pub use client::Client;
pub use clock::Clock;
pub use context::Context;
pub use draft::Draft;
pub use handler::{Failed, Handlers, Outcome, Retry};
pub use options::{Options, Queue};
pub use runner::Runner;
