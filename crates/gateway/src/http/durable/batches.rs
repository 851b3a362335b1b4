//! `/v1/batches`: OpenAI's batches, for any model that is served here.
//!
//! | | |
//! | --- | --- |
//! | `POST /v1/batches` | it is on disk, and its file will be read |
//! | `GET /v1/batches` | the tenant's, from the newest on; `limit`, `after` |
//! | `GET /v1/batches/{id}` | how it stands |
//! | `POST /v1/batches/{id}/cancel` | begins no more of its lines |

mod create;
mod view;

use super::Answered;
use super::asked::{Asked, not_found};
use crate::durable::api::batch_state_name;
use crate::http::error;
use ::http::{Method, StatusCode};
use serde::Serialize;
use view::View;
use wire::failure::{Failure, Kind};
use work::batches::Cancelling;

/// Answers a request to the collection.
pub(super) async fn serve(asked: &mut Asked) -> Answered {
    let words = asked.words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (&words[..], asked.method.clone()) {
        ([], Method::POST) => create::create(asked).await,
        ([], Method::GET) => list(asked).await,
        ([id], Method::GET) => show(asked, id).await,
        ([id, "cancel"], Method::POST) => cancel(asked, id).await,
        ([], _) => Ok(error::method_not_allowed("GET, POST")),
        ([_], _) => Ok(error::method_not_allowed("GET")),
        ([_, "cancel"], _) => Ok(error::method_not_allowed("POST")),
        _ => Err(not_found("thing of a batch")),
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<View<'a>>,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

async fn list(asked: &Asked) -> Answered {
    let (limit, after, tenant) = (asked.limit()?, asked.query("after")?, asked.tenant());
    let one_more = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
    let found = asked.durable().ask(move |open| async move {
        Ok(open.batches.list(Some(&tenant), after.as_deref(), one_more).await?)
    });
    let batches = found.await?;
    let page = &batches[..batches.len().min(limit)];
    let list = List {
        object: "list",
        data: page.iter().map(View::of).collect(),
        first_id: page.first().map(|batch| &*batch.id),
        last_id: page.last().map(|batch| &*batch.id),
        has_more: batches.len() > limit,
    };
    asked.json(StatusCode::OK, &list).await
}

async fn show(asked: &Asked, id: &str) -> Answered {
    let (id, tenant) = (id.to_owned(), asked.tenant());
    let found =
        asked.durable().ask(move |open| async move { Ok(open.batches.get(&id, Some(&tenant)).await?) });
    let batch = found.await?.ok_or_else(|| not_found("batch"))?;
    asked.json(StatusCode::OK, &View::of(&batch)).await
}

async fn cancel(asked: &Asked, id: &str) -> Answered {
    let (id, tenant) = (id.to_owned(), asked.tenant());
    let done =
        asked.durable().ask(move |open| async move { Ok(open.batches.cancel(&id, Some(&tenant)).await?) });
    match done.await? {
        Cancelling::Batch(batch) => asked.json(StatusCode::OK, &View::of(&batch)).await,
        Cancelling::Late(batch) => {
            let public = format!("Cannot cancel a batch with status '{}'.", batch_state_name(batch.state));
            Err(Failure::new(Kind::Conflict, public).with_code("batch_is_over"))
        }
        Cancelling::Unknown => Err(not_found("batch")),
    }
}
