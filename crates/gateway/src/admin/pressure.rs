//! `/admin/pressure`: how hard pressed the process is, and the work that it does behind requests' backs.

use crate::gateway::Gateway;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use guard::background::Report;
use guard::pressure::{Level, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `GET /admin/pressure`: shares from 0 to 1, of what this process may use; null where the system does not say.
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let (buffered, buffered_max) = gateway.pressure.buffered();
    let mut background = BTreeMap::<&str, Work>::new();
    for lane in gateway.chores().iter().flat_map(|chores| chores.report()) {
        background.entry(lane.name).or_default().add(&lane);
    }
    let background: BTreeMap<_, _> =
        background.into_iter().map(|(name, work)| (name, work.to_json())).collect();
    Json(json!({
        "pressure": gateway.pressure.verdict().map(|verdict| of_verdict(&verdict)),
        "buffered_bytes": buffered,
        "buffered_bytes_max": buffered_max,
        "background": background,
    }))
    .into_response()
}

fn of_verdict(verdict: &Verdict) -> Value {
    let (level, sheds_from) = match verdict.level {
        Level::Calm => ("calm", None),
        Level::Squeeze => ("squeeze", None),
        Level::Shed { from } => ("shed", Some(format!("{from:?}").to_lowercase())),
    };
    json!({
        "level": level,
        "sheds_from": sheds_from,
        "limits_may_grow": verdict.may_grow,
        "cpu": verdict.cpu,
        "machine_cpu": verdict.machine_cpu,
        "memory": verdict.memory,
        "workers_lag": verdict.overfull,
    })
}

/// One kind of work, over all workers.
#[derive(Default)]
struct Work {
    waiting: usize,
    running: usize,
    done: u64,
    failed: u64,
    left_undone: u64,
}

impl Work {
    fn add(&mut self, lane: &Report) {
        self.waiting += lane.waiting;
        self.running += lane.running;
        self.done += lane.done;
        self.failed += lane.failed + lane.panicked;
        self.left_undone += lane.refused + lane.dropped;
    }

    fn to_json(&self) -> Value {
        let Self { waiting, running, done, failed, left_undone } = self;
        json!({
            "waiting": waiting, "running": running, "done": done, "failed": failed, "left_undone": left_undone,
        })
    }
}
