//! The closed loop: a fixed number of callers, each of whom waits for an answer before it asks
//! again.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::call::call;
use super::fault::Fault;
use super::lane::Lane;
use super::phase::Phase;
use super::tally::Tally;

/// A refused connection is refused at once, and asking again at once would only heat the machine.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);

/// Runs `callers` of them on this thread until the phase is over and all are answered, or until
/// `stop`, which interrupts them.
pub(super) async fn run(
    callers: usize,
    phase: &Arc<Phase>,
    lane: &Rc<Lane>,
    tally: &Rc<RefCell<Tally>>,
    stop: &CancellationToken,
) {
    let mut all = JoinSet::new();
    for _ in 0..callers {
        let (phase, lane, tally) = (phase.clone(), lane.clone(), tally.clone());
        all.spawn_local(async move { caller(&phase, &lane, &tally).await });
    }
    tokio::select! {
        biased;
        () = stop.cancelled() => all.shutdown().await,
        () = async { while all.join_next().await.is_some() {} } => {}
    }
}

async fn caller(phase: &Phase, lane: &Lane, tally: &RefCell<Tally>) {
    loop {
        let now = Instant::now();
        if !phase.covers(now) || !phase.claim() {
            return;
        }
        if call(lane, tally, now).await == Some(Fault::Connect) {
            tokio::time::sleep(AFTER_REFUSAL).await;
        }
    }
}
