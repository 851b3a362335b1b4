//! Adds the jobs of schedules when their times come.

use super::Shared;
use crate::schedules;
use std::sync::Arc;
use std::time::Duration;
use store::schedules::{Schedule, Schedules};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Schedules looked at in one step.
const SCHEDULES_MAX: u32 = 100;

pub(super) async fn tick(shared: Arc<Shared>, drain: CancellationToken) {
    let (Some(often), Some(rows)) = (shared.options.tick, shared.rows.schedules.clone()) else { return };
    // The first look is at once: a process that lives for a moment only adds its share, too.
    let mut pause = Duration::ZERO;
    while drain.run_until_cancelled(sleep(pause)).await.is_some() {
        pause = often;
        let answer = rows.due(shared.options.clock.now(), SCHEDULES_MAX).await;
        for schedule in shared.heard("look at schedules", answer).unwrap_or_default() {
            fire(&shared, &*rows, schedule).await;
        }
    }
}

/// Adds the schedule's job, unless another replica has; what cannot be understood any more rests.
async fn fire(shared: &Shared, rows: &dyn Schedules, schedule: Schedule) {
    let now = shared.options.clock.now();
    match schedules::due(&schedule, now) {
        Ok((schedule, job)) => {
            let queue = job.queue.clone();
            let answer = rows.fire(schedule, job, now).await;
            if let Some(Some(_)) = shared.heard("add a schedule's job", answer) {
                shared.stats.fired.add(1);
                shared.hints.added(&queue, now, now);
            }
        }
        Err(error) => {
            let Schedule { tenant, name, .. } = &schedule;
            tracing::error!(%tenant, %name, %error, "jobs: a schedule cannot be understood any more; it rests");
            let answer = rows.put(Schedule { paused: true, next: None, ..schedule }).await;
            shared.heard("put a schedule to rest", answer);
        }
    }
}
