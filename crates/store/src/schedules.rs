//! What is to be added again and again. When the next time is, is decided above.

use crate::jobs::{JobId, NewJob};
use crate::{Answer, Time};

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Unique among the tenant's.
    pub name: String,
    /// Whose it is.
    pub tenant: String,
    /// When, in cron's five or six fields.
    pub cron: String,
    /// In which time zone, by its IANA name.
    pub zone: String,
    /// What is added each time, its `run_at` apart; of the same tenant.
    pub job: NewJob,
    /// Whether it rests.
    pub paused: bool,
    /// The next time; `None`: never again.
    pub next: Option<Time>,
    /// The last time, and the job that it added.
    pub last: Option<(Time, JobId)>,
    /// Counted up by each change.
    pub version: i64,
}

/// The rows of schedules.
pub trait Schedules: Send + Sync {
    /// Writes one, new or changed. `version` is what was read, 0 for a new one; `false` where another was
    /// quicker.
    fn put(&self, schedule: Schedule) -> Answer<'_, bool>;

    /// Forgets one; whether there was one.
    fn remove(&self, tenant: &str, name: &str) -> Answer<'_, bool>;

    /// All, or those of a tenant, by name.
    fn list(&self, tenant: Option<&str>) -> Answer<'_, Vec<Schedule>>;

    /// Those that are due, so many at most.
    fn due(&self, now: Time, limit: u32) -> Answer<'_, Vec<Schedule>>;

    /// In one step: adds `job` and sets the next time, if nobody has since `version` was read. Two replicas
    /// that see the same schedule due add one job. Where the job is there already, under the same key or word, it
    /// is that one.
    fn fire(&self, schedule: Schedule, job: NewJob, at: Time) -> Answer<'_, Option<JobId>>;
}
