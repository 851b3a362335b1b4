//! Lists of workflows and of runs. Each row is made into what is shown of it as soon as it is read: definitions and
//! outputs may be large, and are never held many at once.

use crate::durable::workflow::view::{RunView, WorkflowView, state_name, state_named};
use crate::durable::{Fault, Open};
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use store::runs::{RunState, Runs};
use wire::failure::{Failure, Kind};

/// Runs read in one step.
const STEP: usize = 10;

/// In the form of OpenAI's lists.
#[derive(Serialize)]
pub(crate) struct List {
    object: &'static str,
    data: Vec<Box<RawValue>>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

/// Which runs.
pub(crate) struct Which {
    /// Whose; `None`: anybody's, and it is said whose.
    pub(crate) tenant: Option<String>,
    /// Of which workflow.
    pub(crate) workflow: Option<String>,
    /// In which state.
    pub(crate) state: Option<RunState>,
    /// Older than this one.
    pub(crate) before: Option<String>,
    /// So many at most.
    pub(crate) limit: usize,
}

/// The tenant's workflows, in their newest versions, by name.
pub(super) async fn workflows(asked: &Asked) -> Answered {
    let tenant = asked.tenant();
    let list = async move |open: Arc<Open>| -> Result<_, Fault> {
        let all = open.store.runs.definitions(Some(&tenant)).await?;
        let data: Vec<_> =
            all.iter().filter_map(|version| to_raw_value(&WorkflowView::brief(version)).ok()).collect();
        Ok(List { object: "list", data, first_id: None, last_id: None, has_more: false })
    };
    let list = asked.durable().ask(move |open| async move { list(open).await }).await?;
    asked.json(StatusCode::OK, &list).await
}

/// A page of the tenant's runs, from the newest on.
pub(super) async fn runs(asked: &Asked, workflow: Option<&str>) -> Answered {
    let state = asked.query("state")?.map(|name| state_named(&name).ok_or_else(unknown_state)).transpose()?;
    let which = Which {
        tenant: Some(asked.tenant()),
        workflow: workflow.map(str::to_owned).or(asked.query("workflow")?),
        state,
        before: asked.query("after")?,
        limit: asked.limit()?,
    };
    let page =
        asked.durable().ask(move |open| async move { Ok(which.page(&*open.store.runs).await?) }).await?;
    asked.json(StatusCode::OK, &page).await
}

/// The name is no state's.
pub(crate) fn unknown_state() -> Failure {
    let names = RunState::ALL.map(state_name).join(", ");
    Failure::new(Kind::InvalidRequest, format!("The query's 'state' must be one of: {names}."))
        .with_param("state")
}

impl Which {
    /// The page.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) async fn page(mut self, runs: &dyn Runs) -> store::Result<List> {
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
                let view = if self.tenant.is_none() { view.for_operators(run) } else { view };
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
