//! Workflows in the gateway: what their steps do to the world outside, and how long what they leave behind is kept.
//! What follows a step is decided in [`work::workflow`]; what callers see of it stands under `http/durable`.

mod ask;
mod call;
pub mod page;
pub mod view;

use crate::auth::Principal;
use crate::config::Workflows;
use crate::gateway::Gateway;
use std::sync::Arc;
use std::time::Duration;
use store::runs::Runs;
use store::{Store, Time};
use work::Clock;
use work::workflow::event::Failure;
use work::workflow::{Effects, Engine};

/// Runs that are forgotten in one step, with their steps.
const SWEEP_MAX: u32 = 100;

/// What does the steps of runs in this store.
pub(super) fn engine(gateway: &Arc<Gateway>, store: &Store) -> Engine {
    let (asks, calls) = (Arc::clone(gateway), Arc::clone(gateway));
    let effects = Effects::new(
        move |step| ask::ask(Arc::clone(&asks), step),
        move |step| {
            call::call(settings(&calls), calls.metrics.shard(0).pool(work::workflow::task::QUEUE), step)
        },
    );
    Engine::new(Arc::clone(&store.runs), effects, Clock::default())
}

/// As the configuration says now.
fn settings(gateway: &Gateway) -> Workflows {
    gateway.snapshot(0).config.workflows.clone()
}

/// Forgets runs that were over so long ago; never ends.
pub(super) async fn sweep(runs: Arc<dyn Runs>, keep: Duration) {
    super::sweep::sweep("old runs of workflows", SWEEP_MAX, |most| {
        runs.purge(Time::now().before(keep), most)
    })
    .await;
}

/// The words by which a run remembers on whose behalf it asks: the public part of a key.
#[must_use]
pub fn caller(principal: &Principal) -> Option<String> {
    principal.key.as_deref().map(str::to_owned)
}

/// The same, the other way round.
fn principal(caller: Option<&str>, tenant: &str) -> Principal {
    Principal { key: caller.map(Into::into), tenant: tenant.into() }
}

/// A job's failure as a step's.
fn failure(failed: work::Failed) -> Failure {
    Failure {
        class: failed.class.into_owned(),
        message: failed.message,
        may_pass: failed.retry != work::handler::Retry::No,
        after: failed.after,
        begun: true,
    }
}
