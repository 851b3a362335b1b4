//! The open loop: requests fall due at a rate, whatever became of the earlier ones, and each is
//! timed from the instant it was due. A server's stall is thus charged to every request that fell
//! into it, as its users would feel it (Tene, "How NOT to measure latency").

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::arrivals::Schedule;
use super::call::call;
use super::clock::Alarm;
use super::fault::{Failed, Fault};
use super::lane::Lane;
use super::phase::Phase;
use super::tally::Tally;

/// Sends this thread's share of arrivals until the phase is over and all are answered, or until
/// `stop`, which interrupts what is under way.
pub(super) async fn run(
    schedule: Schedule,
    in_flight_max: usize,
    phase: &Phase,
    lane: &Rc<Lane>,
    tally: &Rc<RefCell<Tally>>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let mut under_way = JoinSet::new();
    let whole = async {
        send(schedule, in_flight_max, phase, lane, tally, &mut under_way).await?;
        while under_way.join_next().await.is_some() {}
        Ok(())
    };
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = whole => ended,
    };
    under_way.shutdown().await;
    ended
}

async fn send(
    schedule: Schedule,
    in_flight_max: usize,
    phase: &Phase,
    lane: &Rc<Lane>,
    tally: &Rc<RefCell<Tally>>,
    under_way: &mut JoinSet<()>,
) -> Result<(), Error> {
    let mut alarm = Alarm::new()?;
    for since_start in schedule {
        let due = phase.start + since_start;
        if !phase.covers(due) || !phase.claim() {
            break;
        }
        if Instant::now() < due {
            alarm.until(due).await?;
        } else {
            // Behind the schedule: let the answers in between, or they would be read late.
            tokio::task::yield_now().await;
        }
        while under_way.try_join_next().is_some() {}
        if let Some(overflow) = overflow(due, under_way.len(), in_flight_max, lane) {
            tally.borrow_mut().fail(overflow);
            continue;
        }
        let (lane, tally) = (lane.clone(), tally.clone());
        under_way.spawn_local(async move {
            let lag = due.elapsed();
            tally.borrow_mut().send_lag.record(lag);
            call(&lane, &tally, due).await;
        });
    }
    Ok(())
}

/// Why a request that is due is not sent, if so. The second reason bounds a run that asks for more
/// than this machine can send: without it the arrears would be worked off long after the end.
fn overflow(due: Instant, in_flight: usize, in_flight_max: usize, lane: &Lane) -> Option<Failed> {
    let why = if in_flight >= in_flight_max {
        format!("{in_flight} were under way, the most allowed")
    } else if due.elapsed() > lane.target.timeout {
        "the generator was late by more than the time-out".to_owned()
    } else {
        return None;
    };
    Some(Failed::new(Fault::ClientOverflow, why))
}
