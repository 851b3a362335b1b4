//! Keeps the leases of what is under way.

use super::{Shared, away};
use crate::context::{Context, Stop};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::jobs::{Beat, Pulse};
use tokio::time::{sleep, sleep_until};

/// Leases renewed in one step.
const BEATS_MAX: usize = 500;

/// Renews all leases every [`beat`](crate::Options::beat), and those of jobs that say how far they are sooner.
/// While the store is away it tries more often.
pub(super) async fn beat(shared: Arc<Shared>) {
    let (mut next, mut tries) = (tokio::time::Instant::now() + shared.options.beat, 0);
    loop {
        let is_full = tokio::select! {
            () = sleep_until(next) => true,
            () = shared.hints.progress.notified() => false,
        };
        let whose = shared.held.all();
        let whose = whose.into_iter().filter(|context| is_full || context.has_news()).collect();
        let is_well = beat_all(&shared, whose).await;
        tries = if is_well { 0 } else { tries + 1 };
        if !is_well {
            next = tokio::time::Instant::now() + away(tries).min(shared.options.beat);
        } else if is_full {
            next = tokio::time::Instant::now() + shared.options.beat;
        }
        if !is_full {
            sleep(shared.options.progress.min(shared.options.beat)).await;
        }
    }
}

/// Tells the store the last words of those that are about to end.
pub(super) async fn last_words(shared: &Shared, whose: impl Iterator<Item = &Context>) {
    beat_all(shared, whose.filter(|context| context.has_news()).cloned().collect()).await;
}

/// Whether the store has heard of all of them.
async fn beat_all(shared: &Shared, whose: Vec<Context>) -> bool {
    for some in whose.chunks(BEATS_MAX) {
        let (at, until) = (Instant::now(), shared.options.clock.now().after(shared.options.lease));
        let one = |context: &Context| Beat { lease: context.lease(), progress: context.take_news() };
        let answer = shared.rows.jobs.beat(some.iter().map(one).collect(), until).await;
        let Some(pulses) = shared.heard("renew leases", answer) else {
            whose.iter().for_each(Context::keep_news);
            return false;
        };
        for (context, pulse) in some.iter().zip(pulses) {
            match pulse {
                Pulse::Lost => context.stop(Stop::Lost),
                Pulse::Cancelled => context.stop(Stop::Cancelled),
                Pulse::Held => {}
            }
            if pulse != Pulse::Lost {
                shared.held.renew(context.lease(), at + shared.options.lease);
            }
        }
    }
    true
}

/// Stops what could not be renewed, early enough that it is over when its lease is: somebody else may begin it
/// then. It goes by itself, so that a store which does not even refuse holds nothing up.
pub(super) async fn lapse(shared: Arc<Shared>) {
    let often = (shared.options.lease / 20).clamp(Duration::from_millis(10), Duration::from_millis(500));
    loop {
        sleep(often).await;
        for context in shared.held.ending(Instant::now() + shared.options.courtesy) {
            context.stop(Stop::Lost);
        }
    }
}
