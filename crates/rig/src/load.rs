//! The load generator: sends OpenAI chat requests to any URL and reports how long the answers took.
//!
//! Two shapes of load. A *closed* loop keeps a fixed number of requests under way and tells what
//! the server can do; an *open* loop sends at a fixed rate whatever the server does, and times each
//! request from the instant it was *due*, so that a stall is charged to every request that fell
//! into it (Gil Tene's "coordinated omission"). With a second URL both are loaded in turn, slice by
//! slice in one run, so that a drifting machine weighs on both alike, and the report tells ratios.
//!
//! It measures from outside: it knows HTTP/1.1, JSON and server-sent events, and nothing of the
//! gateway. It has its own small readers on purpose: a meter that shares its parser with what it
//! measures shares its mistakes. Flags and exit codes are the caller's.

mod arrivals;
mod call;
mod clock;
mod closed;
mod conductor;
mod connection;
mod error;
mod events;
mod fault;
mod figure;
mod lane;
mod open;
mod options;
mod payload;
mod phase;
mod progress;
mod prompt;
mod report;
mod tally;
mod target;
pub mod threshold;
mod tls;
pub mod units;
mod url;
mod window;
mod worker;

#[cfg(test)]
mod tests;

pub use conductor::run;
pub use error::Error;
pub use fault::Fault;
pub use figure::{Figure, Name, UnknownFigure};
pub use options::{Arrivals, Mode, Options};
pub use progress::{Bar, Moment, Progress, Silent, Stage};
pub use prompt::Prompt;
pub use report::{Comparison, Delta, Load, Machine, Measured, Points, Report, Seen, Series};
pub use threshold::Threshold;
pub use url::{Url, UrlError};
