//! The runner on a real store: what is acknowledged is done, and exactly one outcome of it is recorded, whatever
//! its handlers, its replicas and its store do meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cancelling;
mod drains;
mod ends;
mod leases;
mod orders;
mod outages;
mod pools;
mod schedules;
mod stage;
mod times;
mod watching;
