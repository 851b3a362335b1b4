//! Lists of workflows and of runs. Each row is made into what is shown of it as soon as it is read: definitions and
//! outputs may be large, and are never held many at once.

use super::view::{RunView, WorkflowView, state_name, state_named};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use store::runs::{Definition, RunState, Runs};
use wire::failure::{Failure, Kind};

/// Runs read in one step.
const STEP: usize = 10;

/// In the form of OpenAI's lists.
#[derive(Serialize)]
pub struct List {
    object: &'static str,
    data: Vec<Box<RawValue>>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

/// Which runs.
pub struct Which {
    /// Whose; `None`: anybody's.
    pub tenant: Option<String>,
    /// Of which workflow.
    pub workflow: Option<String>,
    /// In which state.
    pub state: Option<RunState>,
    /// Older than this one.
    pub before: Option<String>,
    /// So many at most.
    pub limit: usize,
    /// For operators: with whose they are.
    pub for_operators: bool,
}

/// The state of this name.
///
/// # Errors
/// 400 where there is none such.
pub fn state(name: &str) -> Result<RunState, Failure> {
    state_named(name).ok_or_else(|| {
        let names = RunState::ALL.map(state_name).join(", ");
        Failure::new(Kind::InvalidRequest, format!("The query's 'state' must be one of: {names}."))
            .with_param("state")
    })
}

impl List {
    /// Workflows, each in one version; there are no more.
    #[must_use]
    pub fn of(workflows: &[Definition], for_operators: bool) -> Self {
        let rows = workflows.iter().filter_map(|version| {
            let view = WorkflowView::brief(version);
            to_raw_value(&if for_operators { view.for_operators(version) } else { view }).ok()
        });
        Self { object: "list", data: rows.collect(), first_id: None, last_id: None, has_more: false }
    }
}

impl Which {
    /// The page.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn page(mut self, runs: &dyn Runs) -> store::Result<List> {
        let mut data = Vec::new();
        let (mut first_id, mut last_id) = (None, None);
        loop {
            let wanted = (self.limit + 1 - data.len()).min(STEP);
            let limit = u32::try_from(wanted).unwrap_or(u32::MAX);
            let (tenant, workflow) = (self.tenant.as_deref(), self.workflow.as_deref());
            let found = runs.runs(tenant, workflow, self.state, self.before.as_deref(), limit).await?;
            let is_last = found.len() < wanted;
            for run in &found {
                if data.len() == self.limit {
                    return Ok(List { object: "list", data, first_id, last_id, has_more: true });
                }
                let view = RunView::brief(run);
                let view = if self.for_operators { view.for_operators(run) } else { view };
                data.push(to_raw_value(&view).unwrap_or_default());
                first_id.get_or_insert_with(|| run.id.clone());
                last_id = Some(run.id.clone());
            }
            if is_last {
                return Ok(List { object: "list", data, first_id, last_id, has_more: false });
            }
            self.before.clone_from(&last_id);
        }
    }
}
