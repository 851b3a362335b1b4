//! `/admin/requests`: the requests that are kept, searched; and one of them with where its time went. Nothing of
//! what they said is there.

use super::refusal;
use super::refused::{self, Path};
use crate::gateway::Gateway;
use crate::observe::search::{Filter, Page, Statuses};
use crate::observe::{Seen, show};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Json, Query, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use measure::metrics::Outcome;
use rig::load::units;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;
use wire::failure::{Failure, Kind};

/// Requests shown at once.
const LIMIT_MAX: usize = 1000;

/// Which requests.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// Of this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of the key with this public part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Counted under this alias or `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// To this alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// For which this `provider/model` was to be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `chat`, `text_completion` or `embeddings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Answered with this status, or with one of a hundred: `429`, `5xx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// That ended so: `ok`, `caller_error`, `provider_error`, `gateway_error`, `caller_left`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// With which the cache had this to do: `hit`, `miss`, `coalesced`, `bypass`, a tier or a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Streams, or whole answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// That arrived at this time or later: RFC 3339, or `10m` ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// That arrived before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Slow ones alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub slow: bool,
    /// Those alone that a provider or the gateway failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Older than this place: what `next` said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// So many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Which {
    fn filter(self, now: SystemTime) -> Result<(Filter, usize), Failure> {
        let outcome = self.outcome.map(|name| {
            let named = Outcome::ALL.into_iter().find(|outcome| outcome.name() == name);
            named.ok_or_else(|| bad("there is no such outcome"))
        });
        let status = self.status.map(|text| {
            Statuses::parse(&text).ok_or_else(|| bad("'status' is no status; write it as in 429 or 5xx"))
        });
        let moment = |name: &str, text: Option<String>| {
            let read = |text: String| {
                moment(&text, now).ok_or_else(|| {
                    bad(&format!("'{name}' is no time; write it as in 2030-01-31T12:00:00Z, or as in 10m"))
                })
            };
            text.map(read).transpose()
        };
        let limit = self.limit.unwrap_or(50).clamp(1, LIMIT_MAX);
        let filter = Filter {
            id: self.id,
            key: self.key,
            tenant: self.tenant,
            route: self.route,
            alias: self.alias,
            target: self.target,
            operation: self.operation,
            status: status.transpose()?,
            outcome: outcome.transpose()?,
            cache: self.cache,
            stream: self.stream,
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            slow: self.slow,
            failed: self.failed,
            before: self.after,
        };
        Ok((filter, limit))
    }
}

/// A time, or how long ago it was.
fn moment(text: &str, now: SystemTime) -> Option<SystemTime> {
    match units::parse_duration(text) {
        Ok(ago) => now.checked_sub(ago),
        Err(_) => text.parse::<Timestamp>().ok().map(SystemTime::from),
    }
}

fn bad(what: &str) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("This cannot be asked of requests: {what}."))
}

/// Who looks has left, or is asked more than it can answer.
pub(super) fn nobody_looks() -> Failure {
    Failure::new(Kind::Overloaded, "The observer cannot answer just now; ask again in a moment.")
}

/// `GET /admin/requests`
pub async fn list(
    State(gateway): State<Arc<Gateway>>,
    which: Result<Query<Which>, QueryRejection>,
) -> Response {
    let which = which.map_err(refused::query);
    let filter = which.and_then(|Query(which)| which.filter(SystemTime::now()));
    let (filter, limit) = match filter {
        Ok(filter) => filter,
        Err(failure) => return refusal(&failure),
    };
    let asked = gateway.observer.ask(move |seen| shown(&seen.recent.find(&filter, limit), &held(seen)));
    match asked.await {
        Some(mut shown) => {
            shown["held"]["dropped"] = gateway.observer.dropped().into();
            Json(shown).into_response()
        }
        None => refusal(&nobody_looks()),
    }
}

fn shown(page: &Page<'_>, held: &Value) -> Value {
    let next = page.found.last().filter(|_| page.has_more).map(|entry| entry.number);
    json!({
        "requests": page.found.iter().map(|entry| show::row(entry)).collect::<Vec<_>>(),
        "next": next,
        "held": held,
    })
}

/// How much is kept.
fn held(seen: &Seen) -> Value {
    let [newest, slow, failed] = seen.recent.counts();
    json!({ "newest": newest, "slow": slow, "failed": failed, "bytes": seen.recent.bytes(), "thinned": seen.thinned() })
}

/// `GET /admin/requests/{id}`: the newest of this id, as callers choose ids.
pub async fn show(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    let filter = Filter { id: Some(id), ..Filter::default() };
    let found = move |seen: &Seen| seen.recent.find(&filter, 1).found.first().map(|entry| show::whole(entry));
    match gateway.observer.ask(found).await {
        Some(Some(shown)) => Json(shown).into_response(),
        Some(None) => {
            let public = "There is no such request, or it is kept no longer.";
            refusal(&Failure::new(Kind::NotFound, public).with_code("not_found"))
        }
        None => refusal(&nobody_looks()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{LIMIT_MAX, Which};
    use crate::observe::search::Statuses;
    use std::time::{Duration, SystemTime};

    const NOW: u64 = 1_893_456_000;

    fn read(query: &str) -> Result<(super::Filter, usize), String> {
        let uri = format!("/admin/requests?{query}").parse().unwrap();
        let which = axum::extract::Query::<Which>::try_from_uri(&uri).map_err(|fault| fault.body_text())?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        which.0.filter(now).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_is_asked_is_read() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let (filter, limit) = read("since=10m&until=2030-01-01T01:00:00Z&status=5xx&slow=true").unwrap();
        assert_eq!((filter.since, filter.until), (at(NOW - 600), at(NOW + 3600)));
        assert_eq!((filter.status, filter.slow, limit), (Some(Statuses::Class(5)), true, 50));
        assert_eq!(read("limit=100000").unwrap().1, LIMIT_MAX);
        assert_eq!(read("after=17").unwrap().0.before, Some(17));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for query in ["status=6xx", "outcome=good", "since=soon", "until=-1", "model=x", "after=x", "slow=no"]
        {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
