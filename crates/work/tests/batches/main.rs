//! Batches on a real store: each line of the input ends once, in the output or among the errors, whatever their
//! readers, runners and callers do meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod asking;
mod carrying;
mod ending;
mod far;
mod reading;
mod scene;
#[path = "../runner/stage.rs"]
#[allow(dead_code, reason = "the runner's own tests use the rest")]
mod stage;
