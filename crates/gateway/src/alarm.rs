//! One timer for all the deadlines of a request: its body's, its provider's, its own.
//!
//! A timer is registered with the runtime once, for the first deadline that is waited for at all,
//! and looks anew when it rings. Deadlines that are met, which is nearly all of them, then cost a
//! comparison each and no registration.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::time::Sleep;

/// The deadline passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

/// A request's timer; nothing is set until something is waited for.
#[derive(Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Runs `work` to its end, or until `due`. It is handed in pinned, so that a large future is not
    /// kept twice in the one that waits.
    ///
    /// # Errors
    /// [`Late`] where `due` passes first.
    pub async fn within<T>(
        &mut self,
        due: Instant,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Late> {
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll_due(cx, due).map(|()| Err(Late)),
        })
        .await
    }

    /// Ready once `due` has passed. It may lie elsewhere with every call.
    pub fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        if sleep.deadline() > due.into() {
            sleep.as_mut().reset(due.into());
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= due.into() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due.into());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Alarm, Late};
    use std::future::pending;
    use std::pin::pin;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    /// Waits for `work` within `due`, both in milliseconds, on the paused clock; gives the outcome
    /// and how long it took.
    async fn step(alarm: &mut Alarm, work: Option<u64>, due: u64) -> (Result<(), Late>, u64) {
        let began = Instant::now();
        let deadline = (began + Duration::from_millis(due)).into_std();
        let result = match work {
            Some(ms) => alarm.within(deadline, pin!(sleep(Duration::from_millis(ms)))).await,
            None => alarm.within(deadline, pin!(pending())).await,
        };
        (result, u64::try_from(began.elapsed().as_millis()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn each_deadline_counts_though_the_timer_is_one() {
        let mut alarm = Alarm::default();
        assert_eq!(step(&mut alarm, Some(10), 100).await, (Ok(()), 10));
        assert_eq!(step(&mut alarm, Some(500), 1000).await, (Ok(()), 500), "a later deadline");
        assert_eq!(step(&mut alarm, None, 50).await, (Err(Late), 50), "an earlier one");
        assert_eq!(step(&mut alarm, None, 2000).await, (Err(Late), 2000), "and a later one again");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_ready_sets_nothing() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.within(std::time::Instant::now(), pin!(async { 7 })).await, Ok(7));
        assert!(alarm.0.is_none());
    }
}
