//! What lasts: durable rows over SQLite and PostgreSQL, and the only SQL of our own.
//!
//! One narrow trait for each kind of row, two backends behind each, and one suite of tests that holds both
//! to it. Whatever a method has answered well is on disk and survives a kill and a loss of power; whatever it
//! has answered with an [`Error`] may or may not have happened, and may be asked again: each write either
//! carries a token or a key that makes a repetition harmless, or is harmless by itself.
//!
//! It knows nothing of who calls it: what a job does, what a step means and when a batch is over in the
//! eyes of a caller is decided above. It reads no clock; every moment is handed in.

pub mod batches;
pub mod error;
pub mod files;
pub mod jobs;
pub mod keys;
pub mod parcels;
pub mod postgres;
pub mod runs;
pub mod schedules;
pub mod sqlite;
pub mod store;
pub mod time;
pub mod usage;

use std::pin::Pin;

pub use error::{Error, Result};
pub use store::{Options, Store};
pub use time::Time;

/// What a method promises.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;
