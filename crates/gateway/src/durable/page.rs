//! A page of jobs, from the newest to the oldest. Each is made into what is shown of it as soon as it is read, so
//! that payloads and results, which may be large, are never held many at once.

use super::api::View;
use super::id;
use serde_json::value::{RawValue, to_raw_value};
use store::jobs::{Filter, Job, JobId, Jobs};

/// Jobs read in one step.
const STEP: usize = 10;

/// Which jobs.
pub struct Asked {
    /// All else but the kind.
    pub filter: Filter,
    /// Of these kinds; `None`: of any.
    pub kinds: Option<Vec<String>>,
    /// Older than this one.
    pub before: Option<JobId>,
    /// So many at most.
    pub limit: usize,
    /// For operators: with whose they are.
    pub for_operators: bool,
}

/// Jobs as they are shown, and whether there are more.
pub struct Page {
    rows: Vec<(JobId, Box<RawValue>)>,
    has_more: bool,
}

impl Asked {
    /// The page.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn of(self, jobs: &dyn Jobs) -> store::Result<Page> {
        let mut rows = Vec::new();
        let kinds = self.kinds.as_ref().map_or_else(|| vec![None], |kinds| kinds.iter().map(Some).collect());
        for kind in kinds {
            let filter = Filter { kind: kind.cloned(), ..self.filter.clone() };
            self.read(jobs, filter, &mut rows).await?;
        }
        rows.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
        let has_more = rows.len() > self.limit;
        rows.truncate(self.limit);
        Ok(Page { rows, has_more })
    }

    /// Adds one row more than the page holds, if there are so many.
    async fn read(
        &self,
        jobs: &dyn Jobs,
        filter: Filter,
        rows: &mut Vec<(JobId, Box<RawValue>)>,
    ) -> store::Result<()> {
        let (mut before, mut wanted) = (self.before, self.limit + 1);
        while wanted > 0 {
            let step = wanted.min(STEP);
            let found = jobs.list(filter.clone(), before, u32::try_from(step).unwrap_or(u32::MAX)).await?;
            before = found.last().map(|job| job.id);
            let is_last = found.len() < step;
            wanted -= found.len().min(wanted);
            rows.extend(found.iter().filter_map(|job| Some((job.id, self.show(job)?))));
            if is_last {
                break;
            }
        }
        Ok(())
    }

    fn show(&self, job: &Job) -> Option<Box<RawValue>> {
        let view = View::brief(job);
        to_raw_value(&if self.for_operators { view.for_operators(job) } else { view }).ok()
    }
}

impl Page {
    /// In the form of OpenAI's lists.
    #[must_use]
    pub fn to_json(&self) -> Box<RawValue> {
        #[derive(serde::Serialize)]
        struct List<'a> {
            object: &'static str,
            data: Vec<&'a RawValue>,
            first_id: Option<String>,
            last_id: Option<String>,
            has_more: bool,
        }
        let list = List {
            object: "list",
            data: self.rows.iter().map(|(_, row)| &**row).collect(),
            first_id: self.rows.first().map(|(first, _)| id::show(*first)),
            last_id: self.rows.last().map(|(last, _)| id::show(*last)),
            has_more: self.has_more,
        };
        to_raw_value(&list).unwrap_or_default()
    }
}
