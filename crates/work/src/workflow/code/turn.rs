//! One turn of a function, from its claim to its commit.

use std::sync::Arc;

use serde_json::Value;
use store::jobs::{End, Running};
use store::runs::{Decision, Run, RunState};

use super::flow::{Ended, Flow};
use super::status::{Payload, Status};
use super::{Flows, Halt};
use crate::workflow::engine::{LOSSES_MAX, OUTPUT_BYTES_MAX};
use crate::workflow::event::Failure;
use crate::{Failed, Outcome};

/// Most steps of one run.
const STEPS_MAX: u32 = 10_000;

/// How a turn ends the run, or does not.
enum Turned {
    Done(Vec<u8>),
    Failed(Failure),
    Suspended(Option<store::Time>),
}

impl Flows {
    /// Does one turn that is leased, up to the commit of what came of it.
    ///
    /// # Errors
    /// The store does not answer: another attempt may help. The payload, the run or the function is not there.
    pub async fn perform(&self, job: &Running) -> Result<Outcome, Failed> {
        let payload: Payload = serde_json::from_slice(&job.payload)
            .map_err(|error| Failed::lasting("payload", error.to_string()))?;
        let run = self.runs.run(&payload.run, None).await.map_err(|error| away(error.to_string()))?;
        let Some(run) = run else { return Err(Failed::lasting("unknown_run", "the run is gone")) };
        let Some(status) = Status::parse(&run.status) else {
            let failure = Failure::lasting("corrupt", "the run's status cannot be read");
            return self.end(job, &run, Turned::Failed(failure)).await;
        };
        if run.state.is_final() || status.turn != payload.turn {
            return Ok(().into());
        }
        if run.state != RunState::Running {
            return self.end(job, &run, Turned::Suspended(None)).await;
        }
        // Another release that knows the function may do it.
        let Some(function) = self.functions.get(&run.workflow).cloned() else {
            return Err(Failed::passing("unknown_workflow", format!("no function `{}` here", run.workflow)));
        };
        let turned = if job.attempt > LOSSES_MAX {
            let why = format!("whoever did it was lost {LOSSES_MAX} times in a row");
            Turned::Failed(Failure::lasting("lost", why))
        } else {
            let rows =
                self.runs.steps(&run.id, None, STEPS_MAX).await.map_err(|error| away(error.to_string()))?;
            let flow = Flow::new(self.clone(), run.clone(), job.lease, rows);
            let input = serde_json::from_slice(&run.input).unwrap_or(Value::Null);
            let returned = function(flow.clone(), input).await;
            judge(returned, flow.ended())?
        };
        self.end(job, &run, turned).await
    }

    async fn end(&self, job: &Running, run: &Run, turned: Turned) -> Result<Outcome, Failed> {
        let now = self.clock.now();
        let decide = move |run: &Run| {
            let end = Some(End::Done { result: Vec::new() });
            let (status, over) = (Status::parse(&run.status), run.state.is_final());
            match (&turned, status) {
                _ if over => Decision { end, ..Decision::default() },
                (Turned::Suspended(wake), Some(mut status)) => {
                    // A run that is paused rests until it is resumed.
                    let going = run.state == RunState::Running;
                    let jobs = if going { status.suspend(run, *wake, now) } else { status.rest() };
                    Decision { status: Some(status.bytes()), jobs, end, ..Decision::default() }
                }
                (Turned::Done(output), _) => Decision {
                    state: Some(RunState::Done),
                    output: Some(output.clone()),
                    cancel_waiting: true,
                    end,
                    ..Decision::default()
                },
                (Turned::Failed(failure), _) => failed(failure, end),
                (Turned::Suspended(_), None) => {
                    failed(&Failure::lasting("corrupt", "the run's status cannot be read"), end)
                }
            }
        };
        let advanced = self.runs.advance(&run.id, Some(job.lease), now, Arc::new(decide)).await;
        advanced.map_err(|error| away(error.to_string()))?;
        Ok(Outcome::Recorded)
    }
}

fn failed(failure: &Failure, end: Option<End>) -> Decision {
    let error = Some(format!("{}: {}", failure.class, failure.message));
    Decision { state: Some(RunState::Failed), error, cancel_waiting: true, end, ..Decision::default() }
}

/// What a turn came to. That it is over counts for more than what the function made of it.
fn judge(returned: Result<Value, Halt>, ended: Ended) -> Result<Turned, Failed> {
    if let Some(why) = ended.broken {
        return Err(away(why));
    }
    if ended.suspended {
        return Ok(Turned::Suspended(ended.wake));
    }
    Ok(match (returned, ended.left) {
        (Err(Halt::Failed(failure)), _) => Turned::Failed(failure),
        (Err(Halt::Suspended), _) => Turned::Suspended(None),
        (Err(Halt::Broken(why)), _) => return Err(away(why)),
        (Ok(_), Some(name)) => {
            let why =
                format!("the code has changed: it recorded the step `{name}` and no longer asks for it");
            Turned::Failed(Failure::lasting("changed", why))
        }
        (Ok(output), None) => {
            let bytes = output.to_string().into_bytes();
            if bytes.len() > OUTPUT_BYTES_MAX {
                let why =
                    format!("{} bytes of output, and no more than {OUTPUT_BYTES_MAX} are kept", bytes.len());
                return Ok(Turned::Failed(Failure::lasting("too_large", why)));
            }
            Turned::Done(bytes)
        }
    })
}

fn away(why: String) -> Failed {
    Failed::passing(crate::verdict::STORE, why)
}
