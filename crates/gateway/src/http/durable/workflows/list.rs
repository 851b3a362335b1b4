//! Lists of the tenant's workflows and of its runs.

use crate::durable::workflow::page::{List, Which, state};
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use http::StatusCode;

/// The workflows, in their newest versions, by name.
pub(super) async fn workflows(asked: &Asked) -> Answered {
    let tenant = asked.tenant();
    let list = asked.durable().ask(move |open| async move {
        Ok(List::of(&open.store.runs.definitions(Some(&tenant)).await?, false))
    });
    asked.json(StatusCode::OK, &list.await?).await
}

/// A page of the runs, from the newest on.
pub(super) async fn runs(asked: &Asked, workflow: Option<&str>) -> Answered {
    let which = Which {
        tenant: Some(asked.tenant()),
        workflow: workflow.map(str::to_owned).or(asked.query("workflow")?),
        state: asked.query("state")?.as_deref().map(state).transpose()?,
        before: asked.query("after")?,
        limit: asked.limit()?,
        for_operators: false,
    };
    let page =
        asked.durable().ask(move |open| async move { Ok(which.page(&*open.store.runs).await?) }).await?;
    asked.json(StatusCode::OK, &page).await
}
