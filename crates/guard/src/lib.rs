//! What protects: pieces that keep a service standing and know nothing of models or prompts.
//!
//! What is called may fail: the circuit [`breaker`], the bounded [`registry`] that breakers are kept in, the
//! [`pattern`]s of failures, the budget of [`retry`] and [`hedge`], and [`balance`] among several targets. It
//! may bear only so much: the [`gate`] before it, which is how many at once ([`limiter`]) and in which order
//! ([`queue`]). What is asked may be the same: single [`flight`]. Whoever asks may ask too much: [`quota`]. The
//! process itself may: the [`pressure`] it is under, [`background`] work a little at once, and a [`pool`] of
//! objects that are costly to make. And the [`address`]es that a process must not reach on a stranger's behalf.

pub mod address;
pub mod background;
pub mod balance;
pub mod breaker;
pub mod flight;
pub mod gate;
pub mod hedge;
pub mod limiter;
pub mod pattern;
pub mod pool;
pub mod pressure;
pub mod queue;
pub mod quota;
pub mod registry;
pub mod retry;

mod clock;
mod mutex;
mod ring;
mod sync;
mod wakes;
