//! Keeps the rows in order: what is due becomes ready, what nobody holds is taken back, what is old goes.

use super::{Shared, away};
use std::sync::Arc;
use std::time::Duration;
use store::Time;
use store::jobs::{Filter, State};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Rows changed in one step: few enough that nobody waits long behind it.
pub(super) const ROWS_MAX: u32 = 500;
/// Between two steps of a long work, so that others come between.
pub(super) const BREATH: Duration = Duration::from_millis(20);

/// Makes ready what is due when it is due. What others add is found when it is looked for again.
pub(super) async fn promote(shared: Arc<Shared>, drain: CancellationToken) {
    let mut tries = 0;
    while !drain.is_cancelled() {
        let pause = match promote_due(&shared).await {
            Some(pause) => {
                tries = 0;
                pause
            }
            None => {
                tries += 1;
                away(tries)
            }
        };
        let hint = timeout(pause, shared.hints.due.notified());
        drain.run_until_cancelled(hint).await;
    }
}

/// For how long there is nothing to do; `None` where the store does not answer.
async fn promote_due(shared: &Shared) -> Option<Duration> {
    // Whatever is added from here on is told, as it may come before what is found below.
    shared.hints.looks_at(Time(i64::MAX));
    let now = shared.options.clock.now();
    let promoted = shared.heard("look for what is due", shared.rows.jobs.promote(now, ROWS_MAX).await)?;
    if promoted > 0 {
        shared.stats.promoted.add(promoted);
        shared.hints.ready();
    }
    if promoted >= ROWS_MAX.into() {
        return Some(Duration::ZERO);
    }
    let next = shared.heard("look for what is due", shared.rows.jobs.next_due().await)?;
    let latest = now.after(shared.options.pace.most);
    let next = next.map_or(latest, |next| next.min(latest));
    shared.hints.looks_at(next);
    // A moment is the least, as a clock may be so coarse that what is due is not due yet.
    Some(next.since(shared.options.clock.now()).max(Duration::from_millis(1)))
}

/// Takes back the jobs of whoever has died; from the first moment on, as a process that never lives as long as a
/// pause would take nothing back.
pub(super) async fn reap(shared: Arc<Shared>, drain: CancellationToken) {
    let jitter = 0.75 + 0.5 * fastrand::f64();
    let often = shared.options.reap.mul_f64(jitter);
    let mut pause = Duration::ZERO;
    while drain.run_until_cancelled(sleep(pause)).await.is_some() {
        let now = shared.options.clock.now();
        let answer = shared.rows.jobs.reap(now, ROWS_MAX).await;
        let reaped = shared.heard("take expired leases back", answer).unwrap_or(0);
        if reaped > 0 {
            tracing::warn!(reaped, "jobs: leases had expired; their jobs are taken back");
            shared.stats.reaped.add(reaped);
            shared.hints.ready();
            shared.hints.untold.notify_one();
        }
        pause = if reaped < ROWS_MAX.into() { often } else { BREATH };
    }
}

/// Forgets what is old.
pub(super) async fn sweep(shared: Arc<Shared>, drain: CancellationToken) {
    let Some(often) = shared.options.sweep else { return };
    while drain.run_until_cancelled(sleep(often)).await.is_some() {
        let (done, dead) = (shared.options.keep_done, shared.options.keep_dead);
        for (state, keep) in [(State::Done, done), (State::Cancelled, done), (State::Dead, dead)] {
            sweep_one(&shared, state, keep, &drain).await;
        }
    }
}

async fn sweep_one(shared: &Shared, state: State, keep: Duration, drain: &CancellationToken) {
    let before = shared.options.clock.now().before(keep);
    while !drain.is_cancelled() {
        let which = Filter { state: Some(state), ..Filter::default() };
        let answer = shared.rows.jobs.purge(which, before, ROWS_MAX).await;
        let purged = shared.heard("forget old jobs", answer).unwrap_or(0);
        shared.stats.purged.add(purged);
        if purged < ROWS_MAX.into() {
            return;
        }
        sleep(BREATH).await;
    }
}
