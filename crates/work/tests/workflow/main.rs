//! Workflows on a real store: each step's outcome is recorded once, whatever is dropped in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod code;
mod commands;
mod crashes;
mod hosting;
mod stage;
mod steps;
