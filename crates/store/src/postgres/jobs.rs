//! The rows of jobs.

pub(super) mod add;
mod claim;
mod due;
pub(super) mod end;
mod forget;
mod look;
mod rate;
mod tell;

use super::Postgres;
use crate::jobs::{
    Added, Beat, Cancel, Claim, Claimed, Depth, Filter, Finish, Job, JobId, Jobs, NewJob, PastFault, Pulse,
    State, Told,
};
use crate::{Answer, Time};
pub(super) use due::counted;

/// Most jobs that are forgotten in one step, so that no transaction is long.
const STEP: u32 = 1000;

impl Jobs for Postgres {
    fn add(&self, jobs: Vec<NewJob>, now: Time) -> Answer<'_, Vec<Added>> {
        self.write((jobs, now), |transaction, (jobs, now)| Box::pin(add::add_only(transaction, jobs, *now)))
    }

    /// A replica that has not heard of it yet is not believed.
    fn find(&self, job: NewJob) -> Answer<'_, Option<Added>> {
        self.write(job, |transaction, job| Box::pin(add::find_one(transaction, job)))
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claimed> {
        self.write(claim, |transaction, claim| Box::pin(claim::claim(transaction, claim)))
    }

    fn promote(&self, now: Time, limit: u32) -> Answer<'_, u64> {
        self.write((now, limit), |transaction, (now, limit)| {
            Box::pin(due::promote(transaction, *now, *limit))
        })
    }

    fn next_due(&self) -> Answer<'_, Option<Time>> {
        self.write((), |transaction, ()| Box::pin(due::next(transaction)))
    }

    fn beat(&self, beats: Vec<Beat>, until: Time) -> Answer<'_, Vec<Pulse>> {
        self.write((beats, until), |transaction, (beats, until)| {
            Box::pin(due::beat(transaction, beats, *until))
        })
    }

    fn finish(&self, ends: Vec<Finish>) -> Answer<'_, Vec<bool>> {
        self.write(ends, |transaction, ends| Box::pin(end::finish(transaction, ends)))
    }

    fn reap(&self, now: Time, limit: u32) -> Answer<'_, u64> {
        self.write((now, limit), |transaction, (now, limit)| Box::pin(due::reap(transaction, *now, *limit)))
    }

    fn untold(&self, limit: u32) -> Answer<'_, Vec<Job>> {
        self.write(limit, |transaction, limit| Box::pin(tell::untold(transaction, *limit)))
    }

    fn tell(&self, ends: Vec<Told>, now: Time) -> Answer<'_, Vec<bool>> {
        self.write((ends, now), |transaction, (ends, now)| Box::pin(tell::tell(transaction, ends, *now)))
    }

    /// A replica that has not heard of the job yet is not believed.
    fn get(&self, id: JobId, tenant: Option<&str>) -> Answer<'_, Option<Job>> {
        self.look_up((id, tenant.map(str::to_owned)), |transaction, (id, tenant)| {
            Box::pin(look::get(transaction, *id, tenant.as_deref()))
        })
    }

    fn list(&self, filter: Filter, before: Option<JobId>, limit: u32) -> Answer<'_, Vec<Job>> {
        self.read((filter, before, limit), |transaction, (filter, before, limit)| {
            Box::pin(look::list(transaction, filter, *before, *limit))
        })
    }

    fn faults(&self, id: JobId) -> Answer<'_, Vec<PastFault>> {
        self.read(id, |transaction, id| Box::pin(look::faults(transaction, *id)))
    }

    fn cancel(&self, id: JobId, tenant: Option<&str>, now: Time) -> Answer<'_, Cancel> {
        self.write((id, tenant.map(str::to_owned), now), |transaction, (id, tenant, now)| {
            Box::pin(end::cancel(transaction, *id, tenant.as_deref(), *now))
        })
    }

    fn replay(&self, id: JobId, now: Time) -> Answer<'_, Option<JobId>> {
        self.write((id, now), |transaction, (id, now)| Box::pin(add::replay(transaction, *id, *now)))
    }

    fn purge(&self, filter: Filter, before: Time, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let mut forgotten = 0;
            for state in [State::Done, State::Dead, State::Cancelled] {
                if filter.state.is_some_and(|only| only != state) {
                    continue;
                }
                let mut step = u64::from(STEP);
                while step == u64::from(STEP) && forgotten < u64::from(limit) {
                    let rest = u64::from(limit) - forgotten;
                    let most = u32::try_from(rest).unwrap_or(STEP).min(STEP);
                    let given = (filter.clone(), state, before, most);
                    step = self
                        .write(given, |transaction, given| Box::pin(forget::purge(transaction, given)))
                        .await?;
                    forgotten += step;
                }
            }
            Ok(forgotten)
        })
    }

    fn backlog(&self, tenant: &str, most: u64) -> Answer<'_, u64> {
        self.read((tenant.to_owned(), most), |transaction, (tenant, most)| {
            Box::pin(look::backlog(transaction, tenant, *most))
        })
    }

    fn depths(&self) -> Answer<'_, Vec<Depth>> {
        self.read((), |transaction, ()| Box::pin(look::depths(transaction)))
    }
}
