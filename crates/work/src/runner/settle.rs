//! Records how attempts ended, many in one step, and frees their workers only then: while the store is away
//! nothing piles up but what was begun.

use super::{Shared, away, heart};
use crate::context::Context;
use crate::handler::Extra;
use crate::verdict::{STORE, fault};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::jobs::{End, Finish};
use store::{Error, Time};
use tokio::sync::mpsc;
use tokio::time::timeout_at;

/// An attempt that is over.
pub(super) struct Ended {
    context: Context,
    queue: usize,
    at: Time,
    /// What is recorded, and with what; `None`: nothing, as it is recorded already, or the lease was lost.
    end: Option<(End, Extra)>,
    ran: Duration,
}

/// What came of recording an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Recorded,
    Lost,
}

impl Ended {
    pub fn new(context: Context, queue: usize, end: Option<(End, Extra)>, ran: Duration) -> Self {
        Self { context, queue, at: Time(0), end, ran }
    }

    fn finish(&self) -> Option<Finish> {
        let (end, Extra { then, line }) = self.end.clone()?;
        Some(Finish { lease: self.context.lease(), at: self.at, end, then, line })
    }
}

/// Records ends until nobody can tell of one any more.
pub(super) async fn settle(shared: Arc<Shared>, mut ends: mpsc::Receiver<Ended>) {
    let max = shared.options.ends_max.max(1);
    let mut batch = Vec::with_capacity(max);
    while ends.recv_many(&mut batch, max).await > 0 {
        // The first waits a moment for others, if there are any that could come.
        let latest = tokio::time::Instant::now() + shared.options.gather;
        while batch.len() < max.min(shared.held.len()) {
            let room = max - batch.len();
            match timeout_at(latest, ends.recv_many(&mut batch, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        batch = record(&shared, batch).await;
    }
}

/// Records a batch, and gives its emptied buffer back.
async fn record(shared: &Shared, mut batch: Vec<Ended>) -> Vec<Ended> {
    let now = shared.options.clock.now();
    for ended in &mut batch {
        ended.at = now;
        if let Some((end, extra)) = &mut ended.end {
            let more = shared.handlers.extra(ended.context.job(), end, now);
            extra.then.extend(more.then);
            extra.line = extra.line.take().or(more.line);
        }
    }
    let (mut to_tell, told): (Vec<_>, Vec<_>) = batch.into_iter().partition(|ended| ended.end.is_some());
    close(shared, &told, |ended| count_untold(shared, ended));
    heart::last_words(shared, to_tell.iter().map(|ended| &ended.context)).await;
    let mut tries = 0;
    while !to_tell.is_empty() {
        let began = Instant::now();
        match shared.rows.jobs.finish(to_tell.iter().filter_map(Ended::finish).collect()).await {
            Ok(held) => {
                shared.outage.answered("finish");
                shared.stats.finish_time.add(began.elapsed());
                conclude(shared, &to_tell, &held);
                to_tell.clear();
            }
            Err(error) if error.may_pass() => {
                shared.outage.failed("finish", &error);
                give_up_old(shared, &mut to_tell);
                tokio::time::sleep(away(tries)).await;
                tries = tries.saturating_add(1);
            }
            Err(error) => {
                shared.outage.failed("finish", &error);
                one_by_one(shared, std::mem::take(&mut to_tell)).await;
            }
        }
    }
    to_tell
}

/// The store has answered.
fn conclude(shared: &Shared, batch: &[Ended], held: &[bool]) {
    let mut outcomes = held.iter().map(|held| if *held { Outcome::Recorded } else { Outcome::Lost });
    close(shared, batch, |ended| count(shared, ended, outcomes.next().unwrap_or(Outcome::Lost)));
    for new in batch.iter().filter_map(|ended| ended.end.as_ref()).flat_map(|(_, extra)| &extra.then) {
        shared.hints.added(&new.queue, new.run_at, shared.options.clock.now());
    }
}

/// An end that is too old to be recorded is given up; its job will be done again.
fn give_up_old(shared: &Shared, batch: &mut Vec<Ended>) {
    let is_old = |ended: &mut Ended| {
        let until = shared.held.until(ended.context.lease());
        until.is_none_or(|until| until + shared.options.keep_ends <= Instant::now())
    };
    let old: Vec<_> = batch.extract_if(.., is_old).collect();
    close(shared, &old, |ended| count(shared, ended, Outcome::Lost));
}

/// The store refuses the batch: whichever end it cannot bear becomes a dead letter that says so.
async fn one_by_one(shared: &Shared, batch: Vec<Ended>) {
    for mut ended in batch {
        let mut answer = ask(shared, &ended).await;
        if let Err(error) = answer {
            tracing::error!(job = ended.context.id().0, %error, "jobs: the end of a job cannot be recorded");
            ended.end = Some((End::Dead { fault: fault(STORE, &error.to_string()) }, Extra::default()));
            answer = ask(shared, &ended).await;
        }
        conclude(shared, &[ended], &[answer.unwrap_or(false)]);
    }
}

/// Records one end, as often as the store is away.
async fn ask(shared: &Shared, ended: &Ended) -> Result<bool, Error> {
    let mut tries = 0;
    loop {
        match shared.rows.jobs.finish(ended.finish().into_iter().collect()).await {
            Ok(held) => return Ok(held.first().copied().unwrap_or(false)),
            Err(error) if error.may_pass() && tries < 10 => tokio::time::sleep(away(tries)).await,
            Err(error) => return Err(error),
        }
        tries += 1;
    }
}

/// Lets the leases and the workers go, and tells who watches.
fn close(shared: &Shared, batch: &[Ended], mut count: impl FnMut(&Ended)) {
    shared.held.remove(batch.iter().map(|ended| ended.context.lease()));
    for ended in batch {
        count(ended);
        shared.hints.changed(ended.context.id());
    }
    for queue in 0..shared.options.queues.len() {
        let freed = batch.iter().filter(|ended| ended.queue == queue).count();
        if freed > 0 {
            shared.slots.free(queue, u32::try_from(freed).unwrap_or(u32::MAX));
        }
    }
}

fn count(shared: &Shared, ended: &Ended, outcome: Outcome) {
    let stats = &shared.stats;
    let Some((end, _)) = ended.end.as_ref().filter(|_| outcome == Outcome::Recorded) else {
        stats.lost.add(1);
        return;
    };
    match end {
        End::Done { .. } => stats.done.add(1),
        End::Cancelled => stats.cancelled.add(1),
        End::Released | End::Later { .. } => {
            stats.released.add(1);
            return;
        }
        End::Again { fault, .. } => {
            stats.retried.add(1);
            stats.failed.add(&fault.class);
        }
        End::Dead { fault } => {
            stats.dead.add(1);
            stats.failed.add(&fault.class);
        }
    }
    stats.run_time.add(ended.ran);
}

fn count_untold(shared: &Shared, ended: &Ended) {
    match ended.context.stopped() {
        Some(crate::context::Stop::Lost) => shared.stats.lost.add(1),
        _ => {
            shared.stats.recorded.add(1);
            shared.stats.run_time.add(ended.ran);
        }
    }
}
