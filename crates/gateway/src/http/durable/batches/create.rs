//! `POST /v1/batches`.

use super::View;
use crate::durable::{Fault, Open};
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::durable::members::{Members, refusal};
use crate::http::durable::when;
use crate::http::inference;
use ::http::StatusCode;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use store::batches::Batch;
use wire::failure::{Failure, Kind, Retry};
use wire::json::{Object, Value};
use work::batches::{Created, KEPT, NewBatch, OPEN_MAX_OF_TENANT};

const MEMBERS: [&str; 5] =
    ["input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"];
/// Bytes of a request: metadata, mostly.
const BYTES_MAX: usize = 64 << 10;
/// How long a batch may take; OpenAI knows a day alone.
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);
/// How long outputs may be kept.
const KEEP: RangeInclusive<u64> = 3600..=KEPT.as_secs();
/// Metadata, as OpenAI bounds it: pairs, characters of a name, characters of a value.
const METADATA_MAX: (usize, usize, usize) = (16, 64, 512);
/// When to come again where there are too many batches.
const COME_AGAIN: Duration = Duration::from_secs(60);

/// Creates a batch; says so once it is on disk.
pub(super) async fn create(asked: &mut Asked) -> Answered {
    let body = asked.body(BYTES_MAX, "bound on a batch's request").await?;
    let new = read(asked, &Members::read(&body, &MEMBERS)?)?;
    drop(body);
    let backlog_max = asked.snapshot.config.jobs.backlog_max;
    let batch = asked.durable().ask(move |open| add(open, new, backlog_max)).await?;
    asked.json(StatusCode::OK, &View::of(&batch)).await
}

async fn add(open: Arc<Open>, new: NewBatch, backlog_max: u64) -> Result<Batch, Fault> {
    let file = open.store.files.file(&new.input_file, Some(&new.tenant)).await?;
    match file {
        Some(file) if file.purpose == "batch" => {}
        Some(_) => {
            let public = "The file of 'input_file_id' was not brought with the purpose 'batch'.";
            return Err(Fault::Answer(refusal("input_file_id", public).with_code("invalid_purpose")));
        }
        None => {
            let public = format!("There is no file '{}'.", new.input_file);
            return Err(Fault::Answer(refusal("input_file_id", public).with_code("file_not_found")));
        }
    }
    let tenant = new.tenant.clone();
    open.backlogs.admit(&open, &tenant, backlog_max).await?;
    match open.batches.create(new).await? {
        Created::Batch(batch) => Ok(batch),
        Created::TooMany => {
            open.backlogs.take_back(&tenant);
            let public = format!(
                "There are as many batches as may be open at once: {OPEN_MAX_OF_TENANT} of a tenant's, or as \
                 many as the gateway takes of all; come again when one is over."
            );
            let failure = Failure::new(Kind::RateLimited, public).with_code("too_many_batches");
            Err(Fault::Answer(failure.with_retry(Retry::After(COME_AGAIN))))
        }
    }
}

fn read(asked: &Asked, members: &Members<'_>) -> Result<NewBatch, Failure> {
    for name in ["input_file_id", "endpoint", "completion_window"] {
        members.required(name)?;
    }
    let endpoint = members.text("endpoint")?.unwrap_or_default();
    if inference(&endpoint).is_none() || !endpoint.starts_with("/v1/") {
        return Err(
            members.wrong("endpoint", "'/v1/chat/completions', '/v1/completions' or '/v1/embeddings'")
        );
    }
    let window = members.get("completion_window").filter(|window| window.as_str().is_some());
    let window = window.and_then(|window| when::span(&window)).filter(|window| WINDOW.contains(window));
    let within = window.ok_or_else(|| members.wrong("completion_window", "'24h', or from '1s' to '168h'"))?;
    let keep = members.object("output_expires_after")?.map(|after| keep(&after)).transpose()?;
    let metadata = members.get("metadata").map(|metadata| metadata_of(members, &metadata)).transpose()?;
    let principal = asked.caller.principal();
    Ok(NewBatch {
        tenant: asked.tenant(),
        key: principal.key.map(Into::into),
        input_file: members.text("input_file_id")?.unwrap_or_default().into_owned(),
        endpoint: endpoint.into_owned(),
        metadata,
        within,
        keep: keep.unwrap_or(KEPT),
    })
}

/// How long outputs are kept.
fn keep(after: &Object<'_>) -> Result<Duration, Failure> {
    let anchor = after.get("anchor").and_then(|anchor| anchor.as_str().map(|anchor| anchor == "created_at"));
    let seconds =
        after.get("seconds").and_then(|seconds| seconds.as_u64()).filter(|given| KEEP.contains(given));
    match (anchor, seconds) {
        (Some(true), Some(seconds)) => Ok(Duration::from_secs(seconds)),
        _ => {
            let public = "Invalid value for 'output_expires_after': expected {\"anchor\": \"created_at\", \
                          \"seconds\": 3600 to 2592000}.";
            Err(refusal("output_expires_after", public).with_code("invalid_value"))
        }
    }
}

/// The caller's own notes, as it wrote them.
fn metadata_of(members: &Members<'_>, metadata: &Value<'_>) -> Result<Vec<u8>, Failure> {
    let (pairs_max, name_max, value_max) = METADATA_MAX;
    let is_short = |text: &str, max: usize| text.chars().take(max + 1).count() <= max;
    let are_well = |pairs: &Object<'_>| {
        let mut pairs = pairs.iter();
        pairs.all(|(name, value)| {
            is_short(&name, name_max) && value.as_str().is_some_and(|value| is_short(&value, value_max))
        })
    };
    if metadata.object().is_some_and(|pairs| pairs.len() <= pairs_max && are_well(&pairs)) {
        return Ok(metadata.raw().as_bytes().to_vec());
    }
    let expected = format!(
        "up to {pairs_max} pairs of a name of up to {name_max} characters and a string of up to {value_max}"
    );
    Err(members.wrong("metadata", &expected))
}
