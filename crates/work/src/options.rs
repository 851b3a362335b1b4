//! What a runner is told.

use crate::backoff::Backoffs;
use crate::{Clock, pace, pool};
use std::time::Duration;
use store::jobs::Rate;

/// A queue that a runner serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Jobs of it that may be under way here at once.
    pub workers: pool::Bounds,
    /// Its share of the process's workers beside the other queues'; no less than 1.
    pub weight: u32,
    /// What it may start, counted over all replicas.
    pub rate: Option<Rate>,
    /// The longest that an attempt may take; it fails with the class `timeout` then.
    pub attempt_max: Duration,
}

impl Queue {
    /// A queue of this name, all else as usual.
    pub fn new(name: impl Into<String>) -> Self {
        let (workers, attempt_max) = (pool::Bounds::default(), Duration::from_secs(3600));
        Self { name: name.into(), workers, weight: 1, rate: None, attempt_max }
    }
}

/// How a runner works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who claims: for operators to read. A machine and a process, say.
    pub owner: String,
    /// The queues that are served.
    pub queues: Vec<Queue>,
    /// Jobs of all queues that may be under way here at once; no fewer than there are queues.
    pub workers: u32,
    /// How long half of a queue's workers are idle before it has fewer.
    pub patience: Duration,
    /// How soon idle queues are asked again.
    pub pace: pace::Bounds,
    /// How long failed jobs wait.
    pub backoffs: Backoffs,
    /// How long a job is ours unless its lease is renewed. Replicas' clocks must agree to a fraction of it.
    pub lease: Duration,
    /// How often leases are renewed; a third of a lease survives two beats that fail.
    pub beat: Duration,
    /// How soon the store hears how far a job is.
    pub progress: Duration,
    /// How often leases that nobody has renewed are looked for.
    pub reap: Duration,
    /// How long a handler that was told to stop may go on.
    pub courtesy: Duration,
    /// How long a drain waits for handlers before it tells them to stop.
    pub grace: Duration,
    /// How long a drain waits for the store to take the ends of what was done.
    pub flush: Duration,
    /// How long the first end of a batch waits for others.
    pub gather: Duration,
    /// Ends recorded in one step.
    pub ends_max: usize,
    /// For how long the end of a job is kept, while the store is away, after its lease is over. It is recorded
    /// then if nobody else has claimed the job: the lease's token protects it.
    pub keep_ends: Duration,
    /// How often schedules are looked at; `None`: never.
    pub tick: Option<Duration>,
    /// How often what is old is looked for; `None`: never.
    pub sweep: Option<Duration>,
    /// How long jobs that are done or cancelled are kept.
    pub keep_done: Duration,
    /// How long dead letters are kept.
    pub keep_dead: Duration,
    /// What time it is.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            owner: format!("process {}", std::process::id()),
            queues: vec![Queue::new("default")],
            workers: 100,
            patience: Duration::from_secs(10),
            pace: pace::Bounds::default(),
            backoffs: Backoffs::default(),
            lease: Duration::from_secs(30),
            beat: Duration::from_secs(10),
            progress: Duration::from_secs(1),
            reap: Duration::from_secs(2),
            courtesy: Duration::from_secs(1),
            grace: Duration::from_secs(20),
            flush: Duration::from_secs(10),
            gather: Duration::from_millis(2),
            ends_max: 100,
            keep_ends: Duration::from_secs(300),
            tick: Some(Duration::from_secs(1)),
            sweep: Some(Duration::from_secs(60)),
            keep_done: 7 * DAY,
            keep_dead: 30 * DAY,
            clock: Clock::default(),
        }
    }
}
