//! Work that nobody waits for (writes to a cache, refreshes, records, sweeps), a few at once and under a
//! name, so that it never delays what somebody waits for.
//!
//! ```text
//! Lane "disk" ──► its queue (bounded) ─┐
//! Lane "epochs" ─► its queue (bounded) ─┼─ in turn ──► at most n crews, one job each at a time
//! Lane … ──────► its queue (bounded) ─┘
//! ```
//!
//! Submitting is one short lock and never waits: where a lane's queue is full, either the new job is
//! refused or the oldest one waiting gives way, as the lane was opened. Lanes take turns, so that one
//! that is flooded holds no other up. A panic ends its job alone. Between two jobs a crew lets the
//! runtime's other tasks run.
//!
//! It has no runtime of its own: a crew is a future that it hands to the `spawn` it was given, which for
//! an application is its task tracker, so that a drain waits for what is still queued. It is no place for
//! work that must not be lost: what waits when the process ends is gone.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::ended::Ended;

use self::crew::Crew;

mod crew;
mod ended;

#[cfg(test)]
mod tests;

/// How much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Jobs that run at once at most, over all lanes; at least 1.
    pub at_once: usize,
    /// Jobs that wait at most, in each lane.
    pub waiting: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { at_once: 5, waiting: 1000 }
    }
}

/// What gives way where a lane's queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The new job is refused: for work whose submitter can do without, or try later.
    RefuseNew,
    /// The job that waits longest is dropped unrun: for work where only the latest counts.
    DropOldest,
}

/// Why a job was not taken. It is counted already; most submitters have nothing further to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many wait in this lane as may.
    Full,
    /// No more work is taken.
    Closed,
}

/// A crew at work, to be driven by a task of its own. It ends when nothing waits any more.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

type Job = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// A bounded executor for background work. A clone is another handle to the same one.
#[derive(Clone)]
pub struct Background {
    inner: Arc<Inner>,
}

/// The way in for one kind of work. A clone is another handle to the same one.
#[derive(Clone)]
pub struct Lane {
    inner: Arc<Inner>,
    index: usize,
}

/// How one lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The lane's name.
    pub name: &'static str,
    /// Jobs that wait now.
    pub waiting: usize,
    /// Jobs that run now.
    pub running: usize,
    /// Jobs that ended well.
    pub done: u64,
    /// Jobs that ended with an error.
    pub failed: u64,
    /// Jobs that panicked.
    pub panicked: u64,
    /// Jobs not taken, as the queue was full or closed.
    pub refused: u64,
    /// Jobs taken but never run to their end: they gave way, were discarded, or their crew was cancelled.
    pub dropped: u64,
}

struct Inner {
    options: Options,
    spawn: Box<dyn Fn(Work) + Send + Sync>,
    state: Mutex<State>,
}

struct State {
    lanes: Vec<Queue>,
    /// The lane whose turn is next.
    turn: usize,
    crews: usize,
    closed: bool,
}

struct Queue {
    when_full: WhenFull,
    jobs: VecDeque<Job>,
    report: Report,
}

impl Background {
    /// Nothing to do yet. `spawn` sees that a crew runs; it is called from within
    /// [`submit`](Lane::submit), at most `at_once` crews live at any time, and it must neither block nor
    /// poll the crew there and then.
    pub fn new(options: Options, spawn: impl Fn(Work) + Send + Sync + 'static) -> Self {
        let options = Options { at_once: options.at_once.max(1), ..options };
        let state = State { lanes: Vec::new(), turn: 0, crews: 0, closed: false };
        Self { inner: Arc::new(Inner { options, spawn: Box::new(spawn), state: Mutex::new(state) }) }
    }

    /// The lane of this name, opened if there is none. Names are literals, which bounds their number; a
    /// lane that is open already keeps its `when_full`.
    pub fn lane(&self, name: &'static str, when_full: WhenFull) -> Lane {
        let mut state = self.inner.state();
        let known = state.lanes.iter().position(|lane| lane.report.name == name);
        let index = known.unwrap_or_else(|| {
            state.lanes.push(Queue { when_full, jobs: VecDeque::new(), report: Report::new(name) });
            state.lanes.len() - 1
        });
        Lane { inner: Arc::clone(&self.inner), index }
    }

    /// Every lane, in the order they were opened.
    pub fn report(&self) -> Vec<Report> {
        self.inner.state().lanes.iter().map(Queue::report).collect()
    }

    /// Whether nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        let state = self.inner.state();
        state.lanes.iter().all(|lane| lane.jobs.is_empty() && lane.report.running == 0)
    }

    /// Takes no more work. What waits is still done: wait for the crews, or [`discard`](Self::discard).
    pub fn close(&self) {
        self.inner.state().closed = true;
    }

    /// Drops all that waits and says how many jobs that were. What runs goes on.
    pub fn discard(&self) -> usize {
        let dropped: Vec<Job> = {
            let mut state = self.inner.state();
            state.lanes.iter_mut().flat_map(Queue::discard).collect()
        };
        // They are dropped here, outside the lock: whose drop it is may submit.
        dropped.len()
    }
}

impl Lane {
    /// Queues a job, or says why not. Costs an allocation and a short lock; never waits. The job's
    /// output is `()`, a `Result` or an [`Ended`]; an error is counted and otherwise lost, so a job that
    /// has something to tell should tell it itself.
    pub fn submit<F>(&self, job: F) -> Result<(), Refused>
    where
        F: Future<Output: Into<Ended>> + Send + 'static,
    {
        let job: Job = Box::pin(async move { job.await.into() });
        let mut state = self.inner.state();
        if state.closed {
            state.lanes[self.index].report.refused += 1;
            return Err(Refused::Closed);
        }
        let taken = state.lanes[self.index].take(job, self.inner.options.waiting);
        let left_out = match taken {
            Ok(gave_way) => gave_way,
            Err(refused) => {
                drop(state);
                drop(refused);
                return Err(Refused::Full);
            }
        };
        let crew = (state.crews < self.inner.options.at_once).then(|| {
            state.crews += 1;
            Crew::new(&self.inner)
        });
        drop(state);
        drop(left_out);
        if let Some(crew) = crew {
            (self.inner.spawn)(Box::pin(crew));
        }
        Ok(())
    }

    /// How this lane stands.
    pub fn report(&self) -> Report {
        self.inner.state().lanes[self.index].report()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next job, of the next lane in turn that has one; `None` also dismisses the crew that asked,
    /// in the same step, so that no job can come between the look and the leaving.
    fn next(&mut self) -> Option<(usize, Job)> {
        let count = self.lanes.len();
        for offset in 0..count {
            let index = (self.turn + offset) % count;
            let lane = &mut self.lanes[index];
            if let Some(job) = lane.jobs.pop_front() {
                lane.report.running += 1;
                self.turn = (index + 1) % count;
                return Some((index, job));
            }
        }
        self.crews -= 1;
        None
    }

    /// Counts a job out.
    fn settle(&mut self, lane: usize, count: impl FnOnce(&mut Report)) {
        let report = &mut self.lanes[lane].report;
        report.running -= 1;
        count(report);
    }
}

impl Queue {
    /// Queues the job and gives the one that had to give way, or gives the job back. Either is to be
    /// dropped outside the lock: whose drop it is may submit.
    fn take(&mut self, job: Job, room: usize) -> Result<Option<Job>, Job> {
        let full = self.jobs.len() >= room;
        if full && (self.when_full == WhenFull::RefuseNew || self.jobs.is_empty()) {
            self.report.refused += 1;
            return Err(job);
        }
        let gave_way = if full { self.jobs.pop_front() } else { None };
        self.report.dropped += u64::from(gave_way.is_some());
        self.jobs.push_back(job);
        Ok(gave_way)
    }

    fn discard(&mut self) -> impl Iterator<Item = Job> + use<> {
        self.report.dropped += self.jobs.len() as u64;
        std::mem::take(&mut self.jobs).into_iter()
    }

    fn report(&self) -> Report {
        Report { waiting: self.jobs.len(), ..self.report }
    }
}

impl Report {
    fn new(name: &'static str) -> Self {
        Self { name, waiting: 0, running: 0, done: 0, failed: 0, panicked: 0, refused: 0, dropped: 0 }
    }
}
