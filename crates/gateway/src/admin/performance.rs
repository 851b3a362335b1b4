//! `/admin/performance`: how many requests there are and how long they take, for all and by route, target, key and
//! alias, over the last ten seconds to the last day; and as charts, up to 30 days back.
//!
//! Whoever looks is asked once for each row, so that a long list holds up nobody who records.

mod chart;

pub use chart::show as chart;

use super::requests::nobody_looks;
use super::{refusal, refused, when};
use crate::gateway::Gateway;
use crate::observe::{Reading, Seen};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Json, Query, State};
use axum::response::{IntoResponse, Response};
use measure::live::{Kind, ScopeId, Window};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Instant;
use wire::failure::{Failure, Kind as Fault};

/// Rows of one kind shown at once.
const LIMIT_MAX: usize = 1000;
/// The kinds that there is a list of, and what it is called.
const LISTS: [(Kind, &str); 4] =
    [(Kind::Route, "routes"), (Kind::Target, "targets"), (Kind::Key, "keys"), (Kind::Alias, "aliases")];

/// What to show.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// Only this kind; without it all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Kind>,
    /// Only the one of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Over how long: `10s`, `1m`, `10m`, `1h` or `24h`. For all requests every window is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// So many of each kind, those with the most requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A row: who, and how it does.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    reading: Reading,
}

fn bad(what: &str) -> Failure {
    Failure::new(Fault::InvalidRequest, format!("This cannot be asked of the figures: {what}."))
}

/// `GET /admin/performance`
pub async fn show(
    State(gateway): State<Arc<Gateway>>,
    which: Result<Query<Which>, QueryRejection>,
) -> Response {
    let shown = match which.map_err(refused::query) {
        Ok(Query(which)) => shown(&gateway, &which).await.ok_or_else(nobody_looks),
        Err(failure) => Err(failure),
    };
    shown.map_or_else(|failure| refusal(&failure), |shown| Json(shown).into_response())
}

async fn shown(gateway: &Gateway, which: &Which) -> Option<Value> {
    let window = which.window.unwrap_or(Window::M1);
    let now = Instant::now();
    let mut shown = json!({
        "at": when(now, now),
        "window": window,
        "all": gateway.observer.ask(of_all).await?,
        "held": gateway.observer.ask(held).await?,
    });
    shown["held"]["not_seen"] = gateway.observer.dropped().into();
    let limit = which.limit.unwrap_or(20).clamp(1, LIMIT_MAX);
    for (kind, list) in LISTS {
        if which.by.is_none_or(|by| by == kind) {
            let rows = rows(gateway, kind, which.name.clone(), window, limit).await?;
            shown[list] = serde_json::to_value(rows).ok()?;
        }
    }
    Some(shown)
}

/// All requests, over every window.
fn of_all(seen: &Seen) -> Map<String, Value> {
    let reading = |window| serde_json::to_value(seen.figures.reading(ScopeId::ALL, window));
    let windows = Window::ALL.into_iter();
    windows.map(|window| (window.name().to_owned(), reading(window).unwrap_or_default())).collect()
}

/// What the figures take.
fn held(seen: &Seen) -> Value {
    let held = seen.figures.live().held();
    json!({ "bytes": held.bytes, "scopes": held.scopes, "dropped": held.dropped, "coarseness": held.coarseness })
}

/// Those of one kind with the most requests.
async fn rows(
    gateway: &Gateway,
    kind: Kind,
    name: Option<String>,
    window: Window,
    limit: usize,
) -> Option<Vec<Row>> {
    let busiest = move |seen: &Seen| {
        let live = seen.figures.live();
        let is_it = |found: &str| name.as_deref().is_none_or(|name| name == found);
        let scopes = live.scopes(kind).filter(|(_, found)| is_it(found));
        let mut scopes: Vec<_> = scopes
            .map(|(scope, name)| (live.rates(scope, window).requests, name.to_owned(), scope))
            .filter(|(requests, ..)| *requests > 0)
            .collect();
        scopes.sort_unstable_by(|one, other| (Reverse(one.0), &one.1).cmp(&(Reverse(other.0), &other.1)));
        scopes.truncate(limit);
        scopes
    };
    let mut rows = Vec::new();
    for (_, name, scope) in gateway.observer.ask(busiest).await? {
        let reading = gateway.observer.ask(move |seen| seen.figures.reading(scope, window)).await?;
        rows.push(Row { name, reading });
    }
    Some(rows)
}
