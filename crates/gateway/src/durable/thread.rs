//! The durable thread: opens the store, does jobs, and leaves when the last request has.

use super::backlog::Backlogs;
use super::settings::FLUSH;
use super::{Open, depths, keys, kinds, opening, settings, usage, workflow};
use crate::config::Config;
use crate::gateway::Gateway;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use store::Store;
use tokio_util::sync::CancellationToken;
use work::Clock;
use work::batches::{Batches, Keeper};
use work::runner::{Rows, Runner};
use work::schedules::Timetable;

/// The longest that jobs wait for stored keys to be read.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// The durable thread, while it runs.
pub struct Running {
    thread: JoinHandle<()>,
    /// No request asks any more.
    end: CancellationToken,
}

/// Starts the durable thread. When the gateway drains, no more jobs are begun and those under way are finished or
/// put back; `abort` cuts that short.
///
/// # Errors
/// Where the system refuses a thread or a runtime.
pub fn start(gateway: &Arc<Gateway>, abort: &CancellationToken) -> std::io::Result<Running> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Refused where it was started before, which nobody does.
    let _ = gateway.durable.runtime.set(runtime.handle().clone());
    let end = CancellationToken::new();
    let live = live(Arc::clone(gateway), abort.clone(), end.clone());
    let thread = std::thread::Builder::new().name("durable".to_owned()).spawn(move || {
        runtime.block_on(live);
        runtime.shutdown_background();
    })?;
    Ok(Running { thread, end })
}

impl Running {
    /// Waits until what was done is on disk. To be called when no request can ask any more.
    pub async fn finish(self) {
        self.end.cancel();
        let thread = self.thread;
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }

    /// As [`finish`](Self::finish), for who has no runtime.
    #[cfg(test)]
    pub(crate) fn join(self) {
        self.end.cancel();
        let _ = self.thread.join();
    }
}

async fn live(gateway: Arc<Gateway>, abort: CancellationToken, end: CancellationToken) {
    gateway.runtimes.join("durable");
    let durable = &gateway.durable;
    let config = gateway.snapshot(0).config.clone();
    let database = settings::store(&config);
    let lasting = async {
        let store = async {
            if database.is_blank() {
                durable.is_wanted_or_made(&database).await;
            }
            durable.is_there();
            opening::open(&database, &durable.tried).await
        };
        if let Some(store) = durable.leaving.run_until_cancelled(store).await {
            work_on(&gateway, &config, store, &abort).await;
        }
        durable.tried.cancel();
        end.cancelled().await;
    };
    tokio::select! {
        () = lasting => {}
        () = usage::keep(durable) => {}
    }
    durable.tasks.close();
    let _ = tokio::time::timeout(FLUSH, durable.tasks.wait()).await;
    let store = async {
        match durable.open() {
            Some(open) => Ok(open.store.clone()),
            None => Store::open(&database).await,
        }
    };
    usage::finish(&durable.books, store).await;
    durable.open.store(None);
}

/// Does jobs until the gateway leaves.
async fn work_on(gateway: &Arc<Gateway>, config: &Config, store: Store, abort: &CancellationToken) {
    // First of all: a job is done on behalf of who had a key when it was added.
    let mut keys = keys::Keeper::new(gateway, config, &store.keys);
    let _ = tokio::time::timeout(LOOK_MAX, keys.look()).await;
    let options = settings::runner(config);
    let rows = Rows { jobs: Arc::clone(&store.jobs), schedules: Some(Arc::clone(&store.schedules)) };
    let timetable = Timetable::new(Arc::clone(&store.schedules), Clock::default());
    let of_batches = work::batches::Rows::from(&store);
    let workflows = workflow::engine(gateway, &store);
    let runner = Runner::new(rows, workflows.handlers(kinds::handlers(gateway, &of_batches)), options);
    workflows.wakes(runner.client());
    let (jobs, handle, depths) = (runner.client(), runner.handle(), ArcSwap::default());
    let batches = Batches::new(of_batches.clone(), jobs.clone(), Clock::default());
    let keeper = Keeper::new(of_batches, Clock::default());
    let (open_batches, runs) = (ArcSwap::default(), ArcSwap::default());
    let open = Open {
        store,
        jobs,
        batches,
        timetable,
        workflows,
        runner: handle,
        backlogs: Backlogs::default(),
        depths,
        open_batches,
        runs,
    };
    let open = Arc::new(open);
    gateway.durable.open.store(Some(Arc::clone(&open)));
    gateway.durable.tried.cancel();
    let leaving = &gateway.durable.leaving;
    let work = async {
        tokio::join!(runner.run(leaving.clone()), keeper.run(leaving.clone()));
    };
    tokio::select! {
        () = work => {}
        () = keys.keep() => {}
        () = go_on(config, &open, abort) => {}
    }
}

/// What goes on beside the jobs, for as long as they do.
async fn go_on(config: &Config, open: &Open, abort: &CancellationToken) {
    let cut_short = async {
        abort.cancelled().await;
        open.runner.hurry();
    };
    tokio::join!(
        cut_short,
        depths::keep(open),
        workflow::sweep(Arc::clone(&open.store.runs), config.workflows.keep),
        usage::sweep(Arc::clone(&open.store.ledger), config.store.keep_usage),
    );
}
