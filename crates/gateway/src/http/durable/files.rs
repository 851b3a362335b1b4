//! `/v1/files`: what batches read, and what came of them. OpenAI's files, as far as batches need them.
//!
//! | | |
//! | --- | --- |
//! | `POST /v1/files` | takes a file in, piece by piece |
//! | `GET /v1/files` | the tenant's, from the newest on; `purpose`, `limit`, `after` |
//! | `GET /v1/files/{id}` | what is known of it |
//! | `GET /v1/files/{id}/content` | what stands in it, streamed |
//! | `DELETE /v1/files/{id}` | forgets it |

mod content;
mod upload;

use super::Answered;
use super::asked::{Asked, not_found};
use super::members::refusal;
use crate::durable::{Fault, Open};
use crate::http::error;
use ::http::{Method, StatusCode};
use serde::Serialize;
use std::sync::Arc;
use store::batches::BatchState;
use store::files::File;
use wire::failure::{Failure, Kind};

/// Files on a page at most, and where nobody says: as OpenAI has it.
const PAGE_MAX: u32 = 10_000;

/// Answers a request to the collection.
pub(super) async fn serve(asked: &mut Asked) -> Answered {
    let words = asked.words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (&words[..], asked.method.clone()) {
        ([], Method::POST) => upload::upload(asked).await,
        ([], Method::GET) => list(asked).await,
        ([id], Method::GET) => show(asked, id).await,
        ([id], Method::DELETE) => remove(asked, id).await,
        ([id, "content"], Method::GET) => content::stream(asked, id).await,
        ([], _) => Ok(error::method_not_allowed("GET, POST")),
        ([_], _) => Ok(error::method_not_allowed("GET, DELETE")),
        ([_, "content"], _) => Ok(error::method_not_allowed("GET")),
        _ => Err(not_found("thing of a file")),
    }
}

/// A file, in OpenAI's words.
#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    object: &'static str,
    bytes: u64,
    created_at: i64,
    expires_at: Option<i64>,
    filename: &'a str,
    purpose: &'a str,
    status: &'static str,
    status_details: Option<&'static str>,
}

impl<'a> From<&'a File> for View<'a> {
    fn from(file: &'a File) -> Self {
        use crate::durable::api::seconds;
        Self {
            id: &file.id,
            object: "file",
            bytes: file.bytes,
            created_at: seconds(file.created),
            expires_at: file.expires.map(seconds),
            filename: &file.name,
            purpose: &file.purpose,
            status: "processed",
            status_details: None,
        }
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
    if asked.query("order")?.is_some_and(|order| order != "desc") {
        return Err(refusal(
            "order",
            "The query's 'order' must be 'desc': files are listed from the newest on.",
        ));
    }
    let limit = match asked.query("limit")? {
        None => PAGE_MAX,
        Some(text) => text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit)).ok_or_else(|| {
            refusal("limit", format!("The query's 'limit' must be a whole number from 1 to {PAGE_MAX}."))
        })?,
    };
    let (tenant, purpose, after) = (asked.tenant(), asked.query("purpose")?, asked.query("after")?);
    let read = async move |open: Arc<Open>| {
        open.store.files.list(&tenant, purpose.as_deref(), after.as_deref(), limit + 1).await
    };
    let files = asked.durable().ask(move |open| async move { Ok(read(open).await?) }).await?;
    let has_more = files.len() > limit as usize;
    let data: Vec<_> = files.iter().take(limit as usize).map(View::from).collect();
    let (first_id, last_id) = (data.first().map(|file| file.id), data.last().map(|file| file.id));
    asked.json(StatusCode::OK, &List { object: "list", first_id, last_id, has_more, data }).await
}

async fn show(asked: &Asked, id: &str) -> Answered {
    let (id, tenant) = (id.to_owned(), asked.tenant());
    let file = asked.durable().ask(move |open| async move { own(&open, &id, &tenant).await }).await?;
    asked.json(StatusCode::OK, &View::from(&file)).await
}

async fn remove(asked: &Asked, id: &str) -> Answered {
    #[derive(Serialize)]
    struct Removed<'a> {
        id: &'a str,
        object: &'static str,
        deleted: bool,
    }
    let (file, tenant) = (id.to_owned(), asked.tenant());
    let removed = async move |open: Arc<Open>| -> Result<bool, Fault> {
        let all = open.batches.open(work::batches::OPEN_MAX).await?;
        let is_read = |batch: &store::batches::Batch| {
            batch.state == BatchState::Validating && batch.input_file == file && batch.tenant == tenant
        };
        match all.iter().find(|batch| is_read(batch)) {
            Some(batch) => Err(Fault::Answer(in_use(&batch.id))),
            None => Ok(open.store.files.remove(&file, Some(&tenant)).await?),
        }
    };
    match asked.durable().ask(move |open| async move { removed(open).await }).await? {
        true => asked.json(StatusCode::OK, &Removed { id, object: "file", deleted: true }).await,
        false => Err(not_found("file")),
    }
}

fn in_use(batch: &str) -> Failure {
    let public = format!("The file is being read by {batch}; remove it when that is in progress.");
    Failure::new(Kind::Conflict, public).with_code("file_in_use")
}

/// The tenant's file.
pub(super) async fn own(open: &Open, id: &str, tenant: &str) -> Result<File, Fault> {
    let file = open.store.files.file(id, Some(tenant)).await?;
    file.ok_or_else(|| Fault::Answer(not_found("file")))
}
