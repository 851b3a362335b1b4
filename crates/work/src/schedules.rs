//! What is added again and again: its making, its changing, and what is due.
//!
//! A time that was missed, as no runner was there, is made up for once, however many were missed.

use crate::Clock;
use crate::cron::{Cron, Invalid};
use std::sync::Arc;
use std::time::Duration;
use store::Time;
use store::jobs::NewJob;
use store::schedules::{Schedule, Schedules};

/// How often a change is tried where another comes in between.
const TRIES: usize = 5;

/// A schedule in the making.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Unique among the tenant's.
    pub name: String,
    /// Whose it is.
    pub tenant: String,
    /// When, in cron's five or six fields.
    pub cron: String,
    /// In which time zone, by its IANA name.
    pub zone: String,
    /// What is added each time, of the same tenant. Its `run_at`, its deadline and its idempotency key have no
    /// meaning here; with a [`unique`](NewJob::unique) word, none is added while the one before is not over.
    pub job: NewJob,
    /// How long after its time each is given up; `None`: never.
    pub within: Option<Duration>,
}

impl Plan {
    /// What is kept of the job: its deadline as a span from its time, which is 0.
    fn template(&self) -> NewJob {
        let (run_at, deadline) = (Time(0), self.within.map(|within| Time(0).after(within)));
        NewJob { run_at, deadline, idempotency: None, tenant: self.tenant.clone(), ..self.job.clone() }
    }
}

/// Why a schedule could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It makes no sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is none of this name.
    #[error("there is no schedule `{0}`")]
    Unknown(String),
    /// Others change it all the time.
    #[error("others are changing the schedule `{0}`; try again")]
    Contended(String),
    /// The store does not answer well.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The schedules of a store. A clone is another handle to the same.
#[derive(Clone)]
pub struct Timetable {
    rows: Arc<dyn Schedules>,
    clock: Clock,
}

impl Timetable {
    /// The schedules in these rows.
    pub fn new(rows: Arc<dyn Schedules>, clock: Clock) -> Self {
        Self { rows, clock }
    }

    /// Writes a schedule, new or in place of that of its name; it goes on from the present, and does not rest.
    ///
    /// # Errors
    /// Where its pattern or its zone cannot be understood or its time never comes, and where the store does not
    /// answer well.
    pub async fn put(&self, plan: Plan) -> Result<Schedule, Error> {
        let cron = Cron::parse(&plan.cron, &plan.zone)?;
        for _ in 0..TRIES {
            let known = self.get(&plan.tenant, &plan.name).await?;
            let next = cron.next(self.clock.now()).ok_or_else(|| Invalid::Never(plan.cron.clone()))?;
            let job = plan.template();
            let Plan { name, tenant, cron, zone, .. } = plan.clone();
            let (version, last) = known.map_or((0, None), |known| (known.version, known.last));
            let (paused, next) = (false, Some(next));
            let schedule = Schedule { name, tenant, cron, zone, job, paused, next, last, version };
            if self.rows.put(schedule.clone()).await? {
                return Ok(schedule);
            }
        }
        Err(Error::Contended(plan.name))
    }

    /// Lets a schedule rest, or go on from the present.
    ///
    /// # Errors
    /// Where there is none of this name, and where the store does not answer well.
    pub async fn pause(&self, tenant: &str, name: &str, paused: bool) -> Result<(), Error> {
        for _ in 0..TRIES {
            let unknown = || Error::Unknown(name.to_owned());
            let schedule = self.get(tenant, name).await?.ok_or_else(unknown)?;
            let next = match paused {
                true => schedule.next,
                false => Cron::parse(&schedule.cron, &schedule.zone)?.next(self.clock.now()),
            };
            if self.rows.put(Schedule { paused, next, ..schedule }).await? {
                return Ok(());
            }
        }
        Err(Error::Contended(name.to_owned()))
    }

    /// Forgets a schedule; whether there was one.
    ///
    /// # Errors
    /// Where the store does not answer well.
    pub async fn remove(&self, tenant: &str, name: &str) -> Result<bool, Error> {
        Ok(self.rows.remove(tenant, name).await?)
    }

    /// One of a tenant's.
    ///
    /// # Errors
    /// Where the store does not answer well.
    pub async fn get(&self, tenant: &str, name: &str) -> Result<Option<Schedule>, Error> {
        Ok(self.list(Some(tenant)).await?.into_iter().find(|schedule| schedule.name == name))
    }

    /// All, or those of a tenant, by name.
    ///
    /// # Errors
    /// Where the store does not answer well.
    pub async fn list(&self, tenant: Option<&str>) -> Result<Vec<Schedule>, Error> {
        Ok(self.rows.list(tenant).await?)
    }
}

/// What is added for all times that have passed, and the schedule with the first that has not, in the version
/// that was read.
pub(crate) fn due(schedule: &Schedule, now: Time) -> Result<(Schedule, NewJob), Invalid> {
    let next = Cron::parse(&schedule.cron, &schedule.zone)?.next(now);
    let deadline = schedule.job.deadline.map(|within| now.after(within.since(Time(0))));
    let job = NewJob { run_at: now, deadline, ..schedule.job.clone() };
    Ok((Schedule { next, ..schedule.clone() }, job))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::due;
    use crate::Draft;
    use store::Time;
    use store::schedules::Schedule;

    const HOUR: i64 = 3_600_000;

    fn hourly(next: i64) -> Schedule {
        let (cron, zone) = ("0 * * * *".to_owned(), "UTC".to_owned());
        let job = Draft::new("report", "t").deadline(Time(60_000)).into();
        let (name, tenant, last, version) = ("n".to_owned(), "t".to_owned(), None, 7);
        Schedule { name, tenant, cron, zone, job, paused: false, next: Some(Time(next)), last, version }
    }

    #[test]
    fn many_missed_times_are_made_up_for_once() {
        for (now, next) in [(HOUR, 2 * HOUR), (HOUR + 1, 2 * HOUR), (100 * HOUR + 5, 101 * HOUR)] {
            let (after, job) = due(&hourly(HOUR), Time(now)).unwrap();
            assert_eq!((after.next, after.version), (Some(Time(next)), 7));
            assert_eq!((job.run_at, job.deadline), (Time(now), Some(Time(now + 60_000))));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_not_fired() {
        let schedule = Schedule { zone: "Atlantis/Capital".to_owned(), ..hourly(HOUR) };
        assert!(due(&schedule, Time(HOUR)).is_err());
    }
}
