//! A second try beside a slow first one: whichever answers first is taken, and the other is called off.

use super::{Dispatch, Reached};
use crate::alarm::Alarm;
use crate::attempt::Broken;
use crate::plan::Target;
use crate::protect::{Lease, Wish};
use crate::recorder::Record;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Dispatch<'_> {
    /// After how long a try at `target` is slow, where a second may then be made.
    pub(super) fn hedge_after(&self, target: &Target) -> Option<Duration> {
        let settings = self.guard();
        let wanted = self.inquiry.plan.alias.as_ref().map_or(settings.hedge.enabled, |alias| alias.hedge);
        if !wanted || !settings.enabled || self.inquiry.tools {
            return None;
        }
        let now = Instant::now();
        let lane = self.protection().lane(target, self.inquiry.operation, now);
        lane.account.hedges.deposit(now);
        lane.delays.at(settings.hedge.quantile, now)
    }

    /// Asks `target` and, where that has not answered `after` so long, `other` too.
    pub(super) async fn ask_twice(
        self,
        target: &Arc<Target>,
        other: &Arc<Target>,
        after: Duration,
        lease: Lease,
        record: &mut Record,
    ) -> Result<Reached, Broken> {
        let begin_aside = record.aside();
        let mut aside;
        let mut alarm = Alarm::default();
        let winner = {
            let mut first = pin!(self.ask_once(target, lease, &mut alarm, record));
            if let Ok(done) = tokio::time::timeout(after, first.as_mut()).await {
                return done;
            }
            let second_lease = tokio::select! {
                done = first.as_mut() => return done,
                lease = self.second_lease(target, other) => lease,
            };
            let Some(lease) = second_lease else { return first.await };
            aside = begin_aside();
            let mut alarm = Alarm::default();
            let second = pin!(self.ask_once(other, lease, &mut alarm, &mut aside));
            race(first, second).await
        };
        match winner {
            Winner::First(done) => {
                other.metrics.hedged(false);
                record.dismiss(aside);
                done
            }
            Winner::Second(done) => {
                other.metrics.hedged(true);
                record.adopt(aside);
                done
            }
        }
    }

    /// The right to a second call, where the budget has one, nobody need be waited for and the provider's own limits
    /// allow it. They are asked last: whatever ends this before, nothing of them is taken.
    async fn second_lease(&self, target: &Target, other: &Target) -> Option<Lease> {
        let now = Instant::now();
        let operation = self.inquiry.operation;
        if !self.protection().lane(target, operation, now).account.hedges.withdraw(now) {
            return None;
        }
        let mut ticket = self.inquiry.ticket(other);
        ticket.deadline = Some(now);
        let wish = Wish { target: other, operation, ticket, first: false, last: false };
        let lease = self.protection().lease(wish, &mut Alarm::default(), now).await.ok()?;
        let granted = self.provider_grants(other, now).await.ok()?;
        Some(lease.granted(granted))
    }
}

/// Whose answer was taken.
enum Winner<T> {
    First(T),
    Second(T),
}

/// Whichever is good first; where one fails, the other is waited for, and the first one's failure is told.
async fn race<T, E>(
    mut first: std::pin::Pin<&mut impl Future<Output = Result<T, E>>>,
    mut second: std::pin::Pin<&mut impl Future<Output = Result<T, E>>>,
) -> Winner<Result<T, E>> {
    tokio::select! {
        done = first.as_mut() => match done {
            Ok(done) => Winner::First(Ok(done)),
            Err(failed) => match second.await {
                Ok(done) => Winner::Second(Ok(done)),
                Err(_) => Winner::First(Err(failed)),
            },
        },
        done = second.as_mut() => match done {
            Ok(done) => Winner::Second(Ok(done)),
            Err(_) => Winner::First(first.await),
        },
    }
}
