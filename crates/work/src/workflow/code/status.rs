//! Where a run in code stands: which turn is its last, and whether that waits.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::Time;
use store::jobs::{Band, NewJob};
use store::runs::Run;

use super::TURN;
use crate::workflow::task::QUEUE;

/// A turn that is due this far from now cannot have begun, whatever the clocks of several replicas say.
const SURELY_LATER: Duration = Duration::from_secs(10);
/// Attempts that a turn may cost the store: the run counts what failed, and must hear of it.
const ATTEMPTS_MAX: u32 = 1_000_000;

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    /// The last turn; the first is 1. Those before it are over.
    pub(super) turn: u64,
    /// Where that stands.
    pub(super) phase: Phase,
    /// Whether something came that the turn may not have seen.
    #[serde(default)]
    pub(super) poked: bool,
    /// Signals that came.
    #[serde(default)]
    pub(super) signals: BTreeSet<String>,
}

/// Where the last turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// It waits to be claimed, or runs.
    Going,
    /// It is due then, in milliseconds since 1970.
    Later(i64),
    /// It is over, and waits for a signal or to be resumed.
    Idle,
}

/// What a job of a run is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) run: String,
    pub(super) turn: u64,
}

impl Status {
    /// Of a run that begins.
    pub(super) fn first() -> Self {
        Self { turn: 1, phase: Phase::Going, poked: false, signals: BTreeSet::new() }
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Words and numbers can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Something came: another turn is begun, or the one that runs is told to be followed by one.
    pub(super) fn wake(&mut self, run: &Run, now: Time) -> Vec<NewJob> {
        let rests = match self.phase {
            Phase::Idle => true,
            Phase::Later(due) => due > now.after(SURELY_LATER).0,
            Phase::Going => false,
        };
        if !rests {
            self.poked = true;
            return Vec::new();
        }
        vec![self.next(run, now, Phase::Going, now)]
    }

    /// The turn is over: what comes next, if it is known when.
    pub(super) fn suspend(&mut self, run: &Run, wake: Option<Time>, now: Time) -> Vec<NewJob> {
        let wake = if std::mem::take(&mut self.poked) { Some(now) } else { wake };
        match wake {
            Some(at) if at > now => vec![self.next(run, at, Phase::Later(at.0), now)],
            Some(_) => vec![self.next(run, now, Phase::Going, now)],
            None => {
                self.phase = Phase::Idle;
                Vec::new()
            }
        }
    }

    /// The turn is over, and the run rests until it is resumed.
    pub(super) fn rest(&mut self) -> Vec<NewJob> {
        (self.phase, self.poked) = (Phase::Idle, false);
        Vec::new()
    }

    fn next(&mut self, run: &Run, at: Time, phase: Phase, now: Time) -> NewJob {
        self.turn += 1;
        self.phase = phase;
        self.job(run, at.max(now))
    }

    /// The last turn's job.
    pub(super) fn job(&self, run: &Run, run_at: Time) -> NewJob {
        let payload = Payload { run: run.id.clone(), turn: self.turn };
        NewJob {
            queue: QUEUE.to_owned(),
            tenant: run.tenant.clone(),
            kind: TURN.to_owned(),
            band: Band::Normal,
            run_at,
            deadline: None,
            attempts_max: ATTEMPTS_MAX,
            idempotency: None,
            unique: Some(format!("{}/turn/{}", run.id, self.turn)),
            payload: serde_json::to_vec(&payload).unwrap_or_default(),
            replay_of: None,
            keep: false,
        }
    }
}
