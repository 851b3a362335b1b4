//! The rows of jobs.

pub(super) mod add;
pub(super) mod belong;
pub(super) mod claim;
mod deal;
mod depth;
pub(super) mod due;
pub(super) mod end;
mod forget;
mod look;
mod rate;
pub(super) mod row;
mod tell;

use super::Sqlite;
use crate::jobs::{
    Added, Beat, Cancel, Claim, Claimed, Depth, Filter, Finish, Job, JobId, Jobs, NewJob, PastFault, Pulse,
    Told,
};
use crate::{Answer, Time};

impl Jobs for Sqlite {
    fn add(&self, jobs: Vec<NewJob>, now: Time) -> Answer<'_, Vec<Added>> {
        let bytes = jobs.iter().map(|job| job.payload.len()).sum();
        self.write_large(bytes, move |db| jobs.iter().map(|job| add::add(db, job, now)).collect())
    }

    fn find(&self, job: NewJob) -> Answer<'_, Option<Added>> {
        self.read(move |db| add::find(db, &job))
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claimed> {
        self.write(move |db| claim::claim(db, &claim))
    }

    fn promote(&self, now: Time, limit: u32) -> Answer<'_, u64> {
        self.write(move |db| due::promote(db, now, limit))
    }

    fn next_due(&self) -> Answer<'_, Option<Time>> {
        self.read(due::next)
    }

    fn beat(&self, beats: Vec<Beat>, until: Time) -> Answer<'_, Vec<Pulse>> {
        self.write(move |db| beats.iter().map(|beat| due::beat(db, beat, until)).collect())
    }

    fn finish(&self, ends: Vec<Finish>) -> Answer<'_, Vec<bool>> {
        let bytes = ends.iter().map(end::size).sum();
        self.write_large(bytes, move |db| ends.iter().map(|finish| end::finish(db, finish)).collect())
    }

    fn reap(&self, now: Time, limit: u32) -> Answer<'_, u64> {
        self.write(move |db| due::reap(db, now, limit))
    }

    fn untold(&self, limit: u32) -> Answer<'_, Vec<Job>> {
        self.read(move |db| tell::untold(db, limit))
    }

    fn tell(&self, ends: Vec<Told>, now: Time) -> Answer<'_, Vec<bool>> {
        self.write(move |db| ends.iter().map(|told| tell::tell(db, told, now)).collect())
    }

    fn get(&self, id: JobId, tenant: Option<&str>) -> Answer<'_, Option<Job>> {
        let tenant = tenant.map(str::to_owned);
        self.read(move |db| look::get(db, id, tenant.as_deref()))
    }

    fn list(&self, filter: Filter, before: Option<JobId>, limit: u32) -> Answer<'_, Vec<Job>> {
        self.read(move |db| look::list(db, &filter, before, limit))
    }

    fn faults(&self, id: JobId) -> Answer<'_, Vec<PastFault>> {
        self.read(move |db| look::faults(db, id))
    }

    fn cancel(&self, id: JobId, tenant: Option<&str>, now: Time) -> Answer<'_, Cancel> {
        let tenant = tenant.map(str::to_owned);
        self.write(move |db| end::cancel(db, id, tenant.as_deref(), now))
    }

    fn replay(&self, id: JobId, now: Time) -> Answer<'_, Option<JobId>> {
        self.write(move |db| add::replay(db, id, now))
    }

    fn purge(&self, filter: Filter, before: Time, limit: u32) -> Answer<'_, u64> {
        Box::pin(self.forget_jobs(filter, before, limit))
    }

    fn backlog(&self, tenant: &str, most: u64) -> Answer<'_, u64> {
        let tenant = tenant.to_owned();
        self.read(move |db| depth::backlog(db, &tenant, most))
    }

    fn depths(&self) -> Answer<'_, Vec<Depth>> {
        self.read(depth::depths)
    }
}
