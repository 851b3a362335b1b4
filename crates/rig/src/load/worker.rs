//! One thread that sends: a runtime of its own, a connection pool to each side, and no state that
//! it shares with other threads while it measures.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Instant;

use tokio::runtime::{self, LocalOptions};
use tokio_util::sync::CancellationToken;

use super::arrivals::Schedule;
use super::lane::Lane;
use super::options::Mode;
use super::phase::Phase;
use super::tally::{Live, Tally};
use super::target::Target;
use super::window::Window;
use super::{Error, closed, open};

/// What one thread found in one phase.
pub(super) struct Findings {
    pub(super) tally: Tally,
    /// When the last answer was in.
    pub(super) ended: Instant,
}

/// The conductor's hold on a thread. Dropping it ends the thread after its present phase.
pub(super) struct Worker<'scope> {
    pub(super) phases: SyncSender<Arc<Phase>>,
    pub(super) findings: Receiver<Result<Findings, Error>>,
    pub(super) live: Arc<Live>,
    thread: ScopedJoinHandle<'scope, ()>,
}

/// A thread's part of the load.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) index: usize,
    pub(super) of: usize,
    pub(super) mode: Mode,
}

impl Part {
    /// This thread's share of a number of requests at once.
    fn share(self, whole: usize) -> usize {
        whole / self.of + usize::from(self.index < whole % self.of)
    }
}

impl<'scope> Worker<'scope> {
    pub(super) fn start(
        scope: &'scope Scope<'scope, '_>,
        part: Part,
        targets: &'scope [Arc<Target>],
        stop: &'scope CancellationToken,
    ) -> io::Result<Self> {
        let (phases, orders) = sync_channel(1);
        let (results, findings) = sync_channel(1);
        let live = Arc::<Live>::default();
        let counts = live.clone();
        let thread = Builder::new().name(format!("load-{}", part.index)).spawn_scoped(scope, move || {
            work(part, targets, stop, &counts, &orders, &results);
        })?;
        Ok(Self { phases, findings, live, thread })
    }

    /// Waits for the thread's end.
    pub(super) fn end(self) -> Result<(), Error> {
        drop(self.phases);
        self.thread.join().map_err(|_| Error::Died)
    }
}

fn work(
    part: Part,
    targets: &[Arc<Target>],
    stop: &CancellationToken,
    live: &Arc<Live>,
    orders: &Receiver<Arc<Phase>>,
    results: &SyncSender<Result<Findings, Error>>,
) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // Nobody listens only if the run is over already.
            let _ = results.send(Err(error.into()));
            return;
        }
    };
    let lanes: Vec<_> = targets.iter().map(|target| Rc::new(Lane::new(target.clone()))).collect();
    while let Ok(phase) = orders.recv() {
        let found = runtime.block_on(load(part, &phase, &lanes[phase.side], stop, live.clone()));
        if results.send(found).is_err() {
            return;
        }
    }
}

async fn load(
    part: Part,
    phase: &Arc<Phase>,
    lane: &Rc<Lane>,
    stop: &CancellationToken,
    live: Arc<Live>,
) -> Result<Findings, Error> {
    let window = Window::new(part.mode.rule(), phase.start, phase.closes);
    let tally = Rc::new(RefCell::new(Tally::new(window, live)?));
    match part.mode {
        Mode::Closed { concurrency } => {
            closed::run(part.share(concurrency), phase, lane, &tally, stop).await;
        }
        Mode::Open { rate, arrivals, max_in_flight } => {
            let schedule = Schedule::new(arrivals, rate, part.index, part.of, phase.seed);
            let in_flight_max = part.share(max_in_flight);
            open::run(schedule, in_flight_max, phase, lane, &tally, stop).await?;
        }
    }
    let ended = Instant::now();
    // Every task that held the tally has ended with its loop.
    let mut tally = Rc::into_inner(tally).ok_or(Error::Died)?.into_inner();
    tally.connections = lane.take_opened();
    Ok(Findings { tally, ended })
}
