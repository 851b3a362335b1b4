#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ends;
mod random;
mod world;
