//! What the configuration says of the store and the jobs, in the words of those who work with it.

use crate::config::{Config, JobQueue};
use std::collections::BTreeMap;
use std::time::Duration;
use work::backoff::{Backoff, Backoffs};
use work::batches::PARCELS;
use work::pool::Bounds;

/// How long a drain waits for the store to take what was done.
pub(super) const FLUSH: Duration = Duration::from_secs(5);

/// Parcels of batches that are brought on at once.
const PARCEL_WORKERS_MAX: u32 = 4;

/// Which database, and how it is reached.
pub(super) fn store(config: &Config) -> store::Options {
    let given = &config.store;
    let usual = store::Options::new(given.url.expose());
    store::Options {
        wait_max: given.wait.unwrap_or(usual.wait_max),
        replica: given.replica.as_ref().map(|url| url.expose().to_owned()),
        connections: given.connections as usize,
        overflow: given.overflow as usize,
        age_max: given.recycle,
        ..usual
    }
}

/// How jobs are done here.
pub(super) fn runner(config: &Config) -> work::Options {
    let jobs = &config.jobs;
    let own = super::kinds::QUEUES.map(|name| {
        let queue = work::Queue::new(name);
        // Of those that bring parcels each holds a few mebibytes, and has little to do.
        let most = if name == PARCELS { PARCEL_WORKERS_MAX } else { u32::MAX };
        work::Queue { workers: bounds(jobs.batch_workers_max.min(most)), ..queue }
    });
    let named = jobs.queues.iter().map(|(name, queue)| queue_of(name, queue));
    work::Options {
        owner: owner(),
        queues: named.chain(own).chain([work::workflow::Engine::queue()]).collect(),
        workers: jobs.workers_max,
        backoffs: backoffs(),
        grace: config.server.timeouts.drain,
        flush: FLUSH,
        keep_done: jobs.keep_done,
        keep_dead: jobs.keep_dead,
        ..work::Options::default()
    }
}

fn queue_of(name: &str, queue: &JobQueue) -> work::Queue {
    work::Queue {
        workers: bounds(queue.workers_max),
        weight: queue.weight,
        rate: queue.rate,
        attempt_max: queue.attempt_max,
        ..work::Queue::new(name)
    }
}

fn bounds(max: u32) -> Bounds {
    Bounds { min: Bounds::default().min.min(max), max }
}

/// This machine and process.
fn owner() -> String {
    let machine = rustix::system::uname();
    format!("{} {}", machine.nodename().to_string_lossy(), std::process::id())
}

/// How long failed jobs wait, by what they failed of.
fn backoffs() -> Backoffs {
    let usual = Backoff::default();
    let from = |seconds| Backoff { base: Duration::from_secs(seconds), ..usual };
    let seconds = [("later", 2), ("overloaded", 2), ("provider", 5), ("rate_limited", 5), ("timeout", 5)];
    let classes: BTreeMap<_, _> =
        seconds.into_iter().map(|(class, seconds)| (class.to_owned(), from(seconds))).collect();
    Backoffs { usual, classes, ..Backoffs::default() }
}
