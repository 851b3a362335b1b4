//! The whole generator against a server of the tests' own. What is asserted is counts, kinds of
//! errors and lower bounds of times, all of which hold on a machine however busy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faults;
mod loops;
mod server;
mod sides;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::tally::Tally;
use super::window::{Rule, Window};
use super::*;
use server::Server;

/// A closed loop of `requests` by four callers, without a warm-up.
fn requests(server: &Server, requests: u64) -> Options {
    let mut options = Options::new(server.url(), "m");
    options.mode = Mode::Closed { concurrency: 4 };
    options.duration = None;
    options.requests = Some(requests);
    options.warmup = Duration::ZERO;
    options
}

fn report(options: &Options) -> Report {
    run(options, &Silent, &CancellationToken::new()).unwrap()
}

fn tally() -> Tally {
    let window = Window::new(Rule::Closed, Instant::now(), None);
    Tally::new(window, Arc::default()).unwrap()
}

fn count_of(side: &Measured, kind: &str) -> u64 {
    side.errors.get(kind).map_or(0, |seen| seen.count)
}
