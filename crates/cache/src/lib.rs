//! What is remembered: answers by key, in memory, in Redis and on disk, with one way to take them back.
//!
//! A library in its own right: it knows bytes, keys and time, and neither HTTP nor providers. Its parts,
//! from the outside in:
//!
//! * [`Cache`] is the tiers in their order, and `get_or_compute` in one call;
//! * [`key`] turns a JSON body and its surroundings into 256 bits;
//! * [`entry`] is what is stored, and its form at rest;
//! * [`epochs`] invalidates by key, prefix, tag and dependency, whatever is filled meanwhile;
//! * [`tier`] is the contract that [`memory`] and the other tiers keep, and the suite that tries them;
//! * [`disk`] is the farthest tier, and what outlives the process;
//! * [`stats`] is a sliding hour of what came of it.

mod cache;
pub mod clock;
pub mod disk;
pub mod entry;
pub mod epochs;
pub mod key;
pub mod memory;
pub mod redis;
pub mod semantic;
pub mod stats;
pub mod tier;

pub use cache::{Cache, Failed, Found, Freshness, Options};
