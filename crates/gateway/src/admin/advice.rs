//! `/admin/advice`: what might be changed and what for, what was applied; applying it, and taking it back.

use super::refused::Path;
use super::{refusal, when};
use crate::advice::{self, Applied, Refused};
use crate::gateway::Gateway;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use measure::advice::Standing;
use rig::load::units::rfc3339;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use wire::failure::{Failure, Kind};

/// `GET /admin/advice`
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let view = advice::look(&gateway).await;
    let now = Instant::now();
    let terms = gateway.snapshot(0).config.advice;
    let file = file(&gateway);
    let since = view.as_ref().and_then(|view| now.checked_sub(view.span)).unwrap_or(now);
    let standing = view.as_ref().map(|view| view.advice.as_slice()).unwrap_or_default();
    let applied = gateway.advising.applied();
    Json(json!({
        "enabled": view.is_some(),
        "since": when(since, now),
        "requests_min": terms.requests_min,
        "file": file,
        "advice": standing.iter().map(of_standing).collect::<Vec<_>>(),
        "applied": applied.iter().rev().map(of_applied).collect::<Vec<_>>(),
    }))
    .into_response()
}

/// `POST /admin/advice/{id}/apply`
pub async fn apply(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    told(gateway.advising.apply(&gateway, &id).await)
}

/// `POST /admin/advice/{id}/revert`
pub async fn revert(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    told(gateway.advising.revert(&gateway, &id).await)
}

fn told(result: Result<Applied, Refused>) -> Response {
    match result {
        Ok(applied) => Json(of_applied(&applied)).into_response(),
        Err(why) => refusal(&failure(&why)),
    }
}

/// The file that is written to, or why none is.
fn file(gateway: &Gateway) -> Value {
    let path = gateway.file();
    let why_not = advice::editable(path.as_deref()).err().map(|why| why.to_string());
    json!({ "path": path, "editable": why_not.is_none(), "why_not": why_not })
}

fn of_standing(standing: &Standing) -> Value {
    let mut shown = json!(standing.advice);
    shown["since"] = rfc3339(standing.since).into();
    shown
}

/// Applied advice: `from` is what stood in the file before, as it was written.
fn of_applied(applied: &Applied) -> Value {
    let change = applied.written.iter().map(
        |written| json!({ "key": written.key().to_string(), "from": written.from(), "to": written.to() }),
    );
    json!({
        "id": applied.id,
        "rule": applied.rule,
        "subject": applied.subject,
        "title": applied.title,
        "at": applied.at,
        "file": applied.file,
        "change": change.collect::<Vec<_>>(),
    })
}

fn failure(why: &Refused) -> Failure {
    let (kind, code) = kind_and_code(why);
    let stand = if has_written(why) { "The configuration was written" } else { "Nothing was changed" };
    Failure::new(kind, format!("{stand}: {why}.")).with_code(code)
}

fn kind_and_code(why: &Refused) -> (Kind, &'static str) {
    match why {
        Refused::Unknown => (Kind::NotFound, "advice_unknown"),
        Refused::Unsafe => (Kind::Conflict, "advice_unsafe"),
        Refused::Busy => (Kind::Overloaded, "advice_busy"),
        Refused::Already => (Kind::Conflict, "advice_applied"),
        Refused::TooMany => (Kind::Conflict, "advice_too_many"),
        Refused::NoFile(_) => (Kind::Conflict, "config_not_editable"),
        Refused::Edit(_) => (Kind::Conflict, "config_changed"),
        Refused::Faulty(_) => (Kind::Conflict, "config_refused"),
        Refused::Overridden(_) => (Kind::Conflict, "config_overridden"),
        Refused::NotInForce(_) | Refused::StillInForce(_) => (Kind::Conflict, "config_not_in_force"),
        Refused::Noted(_) => (Kind::Conflict, "advice_not_forgotten"),
        Refused::Io(_) => (Kind::Conflict, "config_not_written"),
        Refused::Both(first, _) => kind_and_code(first),
    }
}

fn has_written(why: &Refused) -> bool {
    match why {
        Refused::NotInForce(_) | Refused::StillInForce(_) | Refused::Noted(_) => true,
        Refused::Both(first, _) => has_written(first),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::file;
    use crate::stand::Stand;

    #[test]
    fn the_file_is_known_without_reading_it_anew() {
        let stand = Stand::start("");
        let told = file(&stand.gateway);
        assert!(told["path"].as_str().unwrap().ends_with("tidegate.toml"), "it is gone by now: {told}");
        assert_eq!((&told["editable"], &told["why_not"]), (&true.into(), &serde_json::Value::Null));
    }
}
