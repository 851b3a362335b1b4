//! What a caller wants done, read and checked before it is taken: whatever can be known to be wrong now is said now,
//! and not found in a dead letter tomorrow.

use crate::config::Priority;
use crate::durable::payload::{Call, Notice};
use crate::durable::webhook::{self, Address};
use crate::durable::{kinds, model};
use crate::http::durable::asked::Asked;
use crate::http::durable::members::{Members, refusal};
use crate::http::durable::when;
use crate::http::{head, inference};
use ::http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;
use store::Time;
use store::jobs::Band;
use wire::failure::{Failure, Kind};
use wire::json::Value;
use wire::openai;
use work::Draft;

/// The members of a job that tell what is to be done.
pub(in crate::http::durable) const WHAT: [&str; 10] =
    ["kind", "path", "url", "body", "queue", "priority", "max_attempts", "unique", "webhook", "metadata"];
/// Those of `POST /v1/jobs`.
pub(super) const MEMBERS: [&str; 13] = [
    "kind",
    "path",
    "url",
    "body",
    "queue",
    "priority",
    "max_attempts",
    "unique",
    "webhook",
    "metadata",
    "run_at",
    "delay",
    "deadline",
];

/// Most attempts that a caller may ask for.
const ATTEMPTS_MAX: u64 = 100;
/// Largest metadata, in bytes of JSON.
const METADATA_BYTES_MAX: usize = 16 << 10;
/// Longest word of uniqueness, in bytes.
const UNIQUE_BYTES_MAX: usize = 255;

/// What is to be done.
///
/// # Errors
/// 400 with the place of what is wrong; 403 where the caller may not ask for it; 404 where there is no such model.
pub(in crate::http::durable) fn read(asked: &Asked, members: &Members<'_>) -> Result<Draft, Failure> {
    let kind = members.text("kind")?.unwrap_or(model::KIND.into());
    let draft = match &*kind {
        model::KIND => call(asked, members)?,
        webhook::KIND => notice(asked, members)?,
        _ => return Err(members.wrong("kind", &format!("one of: {}", kinds::PUBLIC.join(", ")))),
    };
    let mut draft = draft.band(band(asked, members)?);
    if let Some(queue) = members.text("queue")? {
        let queues = &asked.snapshot.config.jobs.queues;
        if !queues.contains_key(&*queue) {
            let names: Vec<_> = queues.keys().map(String::as_str).collect();
            return Err(members.wrong("queue", &format!("one of: {}", names.join(", "))));
        }
        draft = draft.queue(queue);
    }
    if let Some(attempts) = members.get("max_attempts") {
        let number = attempts.as_u64().filter(|number| (1..=ATTEMPTS_MAX).contains(number));
        let number = number.and_then(|number| u32::try_from(number).ok());
        let expected = format!("a whole number from 1 to {ATTEMPTS_MAX}");
        draft = draft.attempts(number.ok_or_else(|| members.wrong("max_attempts", &expected))?);
    }
    if let Some(word) = members.word("unique", UNIQUE_BYTES_MAX)? {
        draft = draft.unique(word);
    }
    Ok(draft)
}

/// When it is to be done.
///
/// # Errors
/// 400 with the place of what is wrong.
pub(super) fn timed(mut draft: Draft, members: &Members<'_>, now: Time) -> Result<Draft, Failure> {
    let mut begins = now;
    match (members.get("run_at"), members.get("delay")) {
        (Some(_), Some(_)) => {
            return Err(refusal(members.param("delay"), "Give 'run_at' or 'delay', and not both."));
        }
        (Some(value), None) => {
            begins = when::moment(&value).ok_or_else(|| members.wrong("run_at", when::MOMENT))?;
        }
        (None, Some(value)) => {
            begins = now.after(when::span(&value).ok_or_else(|| members.wrong("delay", when::SPAN))?);
        }
        (None, None) => {}
    }
    draft = draft.run_at(begins);
    if let Some(value) = members.get("deadline") {
        let deadline = when::moment(&value).ok_or_else(|| members.wrong("deadline", when::MOMENT))?;
        if deadline <= begins.max(now) {
            return Err(members.wrong("deadline", "a moment after the job may begin"));
        }
        draft = draft.deadline(deadline);
    }
    Ok(draft)
}

/// A request to the data plane, which must be one that could be answered now.
fn call(asked: &Asked, members: &Members<'_>) -> Result<Draft, Failure> {
    let no_url = members.get("url").is_none();
    no_url.then_some(()).ok_or_else(|| members.wrong("url", "nothing: a job of this kind has a 'path'"))?;
    members.required("path")?;
    let path = members.text("path")?.unwrap_or_default();
    let operation = inference(&path).ok_or_else(|| {
        members.wrong("path", "one of: /v1/chat/completions, /v1/completions, /v1/embeddings")
    })?;
    let body = raw(members, "body")?;
    let within = |failure: Failure| {
        let param =
            failure.param().map_or_else(|| members.param("body"), |param| members.param("body.") + param);
        failure.with_param(param)
    };
    let request = openai::Request::parse(operation, body.get().as_bytes()).map_err(within)?;
    if request.stream {
        let public = "The answer of a job cannot be streamed: leave 'stream' out or set it to false.";
        return Err(refusal(members.param("body.stream"), public).with_code("stream_not_supported"));
    }
    asked.caller.may_use(&request.model).map_err(within)?;
    asked.snapshot.routes.check(&request.model).map_err(within)?;
    let hook = hook(asked, members)?;
    let call = Call {
        key: asked.caller.principal().key.map(|key| key.into_string().into()),
        path,
        headers: headers(&asked.headers),
        body,
        webhook: hook.as_deref().map(Into::into),
        metadata: metadata(members)?,
    };
    Ok(draft(model::KIND, asked, &call)?.attempts(model::ATTEMPTS_MAX))
}

/// A signed call to an application.
fn notice(asked: &Asked, members: &Members<'_>) -> Result<Draft, Failure> {
    for (name, instead) in [("path", "a 'url'"), ("webhook", "no other webhook")] {
        if members.get(name).is_some() {
            return Err(members.wrong(name, &format!("nothing: a job of this kind has {instead}")));
        }
    }
    let url = members.required("url").and_then(|value| target(asked, members.param("url"), &value))?;
    let notice = Notice { url: url.into(), body: raw(members, "body")?, metadata: metadata(members)? };
    let draft = draft(webhook::KIND, asked, &notice)?;
    Ok(draft.queue(webhook::QUEUE).attempts(webhook::ATTEMPTS_MAX))
}

fn draft(kind: &str, asked: &Asked, payload: &impl Serialize) -> Result<Draft, Failure> {
    Draft::new(kind, asked.tenant()).json(payload).map_err(|fault| {
        Failure::new(Kind::Internal, "The job could not be written.").with_detail(fault.to_string())
    })
}

/// Who is told of the end.
fn hook(asked: &Asked, members: &Members<'_>) -> Result<Option<String>, Failure> {
    let Some(object) = members.object("webhook")? else { return Ok(None) };
    let hook = Members::of(object, "webhook.", &["url"])?;
    target(asked, hook.param("url"), &hook.required("url")?).map(Some)
}

/// An address that may be tried, where anybody may be called at all.
fn target(asked: &Asked, param: String, value: &Value<'_>) -> Result<String, Failure> {
    let settings = &asked.snapshot.config.jobs.webhook;
    if settings.secret.is_none() {
        let public = "This gateway sends no webhooks: its operator has not set 'jobs.webhook.secret'.";
        return Err(refusal(param, public).with_code("webhooks_off"));
    }
    let Some(url) = value.as_str() else {
        return Err(refusal(param.clone(), format!("Invalid value for '{param}': expected a string.")));
    };
    let refused = |why: String| refusal(param, format!("The address is {why}."));
    match Address::read(&url, settings.private) {
        Ok(address) if address.is_plainly_private() => {
            Err(refused("not a public one, and this gateway's operator allows no other".to_owned()))
        }
        Ok(_) => Ok(url.into_owned()),
        Err(fault) => Err(refused(fault.to_string())),
    }
}

/// A member as it was written.
fn raw<'a>(members: &Members<'a>, name: &str) -> Result<&'a RawValue, Failure> {
    serde_json::from_str(members.required(name)?.raw()).map_err(|_| members.wrong(name, "JSON"))
}

fn metadata<'a>(members: &Members<'a>) -> Result<Option<&'a RawValue>, Failure> {
    let Some(object) = members.object("metadata")? else { return Ok(None) };
    if object.text().len() > METADATA_BYTES_MAX {
        return Err(members.wrong("metadata", &format!("no more than {METADATA_BYTES_MAX} bytes")));
    }
    raw(members, "metadata").map(Some)
}

/// How urgent it is: as the body says, or the head, but never more than its key is. Who does not wait for an answer
/// stands behind those who do, unless they say otherwise.
fn band(asked: &Asked, members: &Members<'_>) -> Result<Band, Failure> {
    let wanted = match members.text("priority")? {
        Some(name) => Priority::named(&name).ok_or_else(|| {
            let names = Priority::ALL.map(Priority::name).join(", ");
            members.wrong("priority", &format!("one of: {names}"))
        })?,
        None if asked.headers.contains_key("x-tidegate-priority") => head::priority(&asked.headers, None)?,
        None => Priority::Low,
    };
    let priority = asked.caller.priority().map_or(wanted, |ceiling| wanted.under(ceiling));
    Ok(match priority {
        Priority::High => Band::High,
        Priority::Normal => Band::Normal,
        Priority::Low => Band::Low,
        Priority::Batch => Band::Batch,
    })
}

/// What of the head holds for what is done later, too.
fn headers(head: &HeaderMap) -> Vec<(String, String)> {
    let mut kept = HeaderMap::new();
    head::carry_over(&mut kept, head);
    kept.remove("x-tidegate-priority");
    let text = |value: &::http::HeaderValue| value.to_str().ok().map(str::to_owned);
    kept.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}
