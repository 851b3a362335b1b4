//! Claims a queue's jobs and has them begun.

use super::settle::Ended;
use super::{Shared, attempt, away};
use crate::context::Context;
use crate::handler::Extra;
use crate::pace::{Brought, Pace};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::jobs::{Claim, Claimed, End, Running, Turn};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Every so many claims the lowest band is served first, so that it is served at all.
const LOWEST_FIRST: u64 = 8;

/// What begun attempts need.
#[derive(Clone)]
pub(super) struct Crew {
    pub attempts: TaskTracker,
    pub ended: mpsc::Sender<Ended>,
    /// Ends attempts without a trace.
    pub kill: CancellationToken,
}

/// One queue's feeder.
struct Feeder {
    shared: Arc<Shared>,
    queue: usize,
    crew: Crew,
    drain: CancellationToken,
    turn: Turn,
    claims: u64,
}

/// Claims until the drain: as many jobs as there are free workers, as soon as there are any. No claim is left
/// unheard, as what it brings would lie until its leases end.
pub(super) async fn feed(shared: Arc<Shared>, queue: usize, crew: Crew, drain: CancellationToken) {
    let options = &shared.options.queues[queue];
    let (name, mut pace) = (options.name.clone(), Pace::new(shared.options.pace, options.rate));
    let (turn, claims, mut tries) = (Turn::default(), 0, 0);
    let mut feeder = Feeder { shared: Arc::clone(&shared), queue, crew, drain: drain.clone(), turn, claims };
    while let Some(taken) = drain.run_until_cancelled(shared.slots.take(queue)).await {
        let Some(brought) = feeder.claim(taken).await else {
            drain.run_until_cancelled(tokio::time::sleep(away(tries))).await;
            tries = tries.saturating_add(1);
            continue;
        };
        tries = 0;
        let pause = pace.after(brought, fastrand::u64(..));
        if !pause.is_zero() {
            let hint = tokio::time::timeout(pause, shared.hints.in_queue(&name));
            if let Some(Ok(())) = drain.run_until_cancelled(hint).await {
                pace.wake();
            }
        }
    }
}

impl Feeder {
    /// Claims up to `taken` jobs and has them begun; `None` where the store does not answer.
    async fn claim(&mut self, taken: u32) -> Option<Brought> {
        let shared = Arc::clone(&self.shared);
        let (options, at) = (&shared.options, Instant::now());
        let answer = shared.rows.jobs.claim(self.next_claim(taken)).await;
        let Some(Claimed { jobs, turn }) = shared.heard("claim", answer) else {
            shared.slots.not_claimed(self.queue, taken);
            return None;
        };
        self.turn = turn;
        let got = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        shared.stats.claims.add(1);
        shared.stats.claimed.add(got.into());
        shared.stats.claim_time.add(at.elapsed());
        shared.slots.claimed(self.queue, taken, got, Instant::now());
        for job in jobs {
            self.begin(job, at + options.lease).await;
        }
        Some(Brought::of(got, taken))
    }

    fn next_claim(&mut self, limit: u32) -> Claim {
        let options = &self.shared.options;
        let queue = &options.queues[self.queue];
        self.claims += 1;
        let lowest_first = self.claims.is_multiple_of(LOWEST_FIRST);
        Claim {
            queue: queue.name.clone(),
            owner: options.owner.clone(),
            limit,
            lease: options.lease,
            now: options.clock.now(),
            turn: Turn { lowest_first, ..self.turn.clone() },
            rate: queue.rate,
        }
    }

    /// Begins an attempt, or puts the job back where there is no time for one.
    async fn begin(&self, job: Running, until: Instant) {
        let Self { shared, queue, crew, drain, .. } = self;
        if job.attempt <= 1 {
            shared.stats.wait_time.add(shared.options.clock.now().since(job.created));
        }
        let context = Context::new(job, Arc::clone(&shared.hints));
        shared.held.add(context.clone(), until);
        shared.hints.changed(context.id());
        let is_late = Instant::now() + shared.options.courtesy >= until;
        if is_late || drain.is_cancelled() {
            let put_back = Some((End::Released, Extra::default()));
            let put_back = Ended::new(context, *queue, put_back, Duration::ZERO);
            let _ = crew.ended.send(put_back).await;
            return;
        }
        let attempt = attempt::attempt(Arc::clone(shared), context, *queue, crew.ended.clone());
        crew.attempts.spawn(super::until(crew.kill.clone(), attempt));
    }
}
