//! `/admin/breakers`: who is left alone, why, what failures have in common; and closing breakers by hand.

use super::{refusal, refused, when};
use crate::config;
use crate::gateway::Gateway;
use crate::protect::upkeep::Which;
use crate::protect::{Account, Lane};
use crate::snapshot::Snapshot;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use guard::breaker::{self, Breaker, Reason, Report};
use guard::pattern::{Cause, Kind as Fault, Scope, Severity};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use wire::failure::{Failure, Kind};

/// Which breakers to close: everything, or a path from the left. `*` is what is not told apart: with a
/// provider's name, what its credential leads to as a whole.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reset {
    /// All there are.
    pub everything: bool,
    /// Those of this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Of this model of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Of this operation on it: `chat`, `text_completion` or `embeddings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

/// `GET /admin/breakers`
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let snapshot = gateway.snapshot(0);
    let now = Instant::now();
    let mut rows = Vec::new();
    snapshot.protection.for_each(|lane| rows.push(of_lane(&snapshot, lane, now)));
    snapshot.protection.for_each_account(|account| rows.extend(of_account(account, now)));
    // A provider's credential, `*`, before its models.
    let place = |row: &Value| ["provider", "model", "operation", "alias"].map(|key| row[key].to_string());
    rows.sort_by_cached_key(place);
    let causes = snapshot.protection.patterns().causes(now);
    let causes: Vec<Value> = causes.iter().map(|cause| of_cause(cause, now)).collect();
    Json(json!({ "breakers": rows, "causes": causes })).into_response()
}

/// `POST /admin/breakers/reset`
pub async fn reset(
    State(gateway): State<Arc<Gateway>>,
    which: Result<Json<Reset>, JsonRejection>,
) -> Response {
    let which = which.map_err(refused::body).map(|Json(which)| which);
    let snapshot = gateway.snapshot(0);
    let providers = || snapshot.config.providers.keys().map(String::as_str);
    match which.as_ref().map_err(Clone::clone).and_then(|which| which.which(providers())) {
        Ok(which) => {
            let reset = snapshot.protection.reset(which, Instant::now());
            Json(json!({ "reset": reset })).into_response()
        }
        Err(failure) => refusal(&failure),
    }
}

impl Reset {
    /// Those that it means, of these providers.
    fn which<'a>(&self, providers: impl Iterator<Item = &'a str> + Clone) -> Result<Which<'_>, Failure> {
        let path = [&self.provider, &self.model, &self.operation].map(Option::as_deref);
        let given = path.iter().take_while(|part| part.is_some()).count();
        if path.iter().skip(given).any(Option::is_some) {
            return Err(bad("a \"model\" needs its \"provider\", and an \"operation\" its \"model\""));
        }
        if self.everything == (given > 0) {
            return Err(bad("name \"everything\", or a \"provider\" with its \"model\" and \"operation\""));
        }
        let [provider, model, operation] = path;
        if let Some(name) = provider
            && providers.clone().all(|known| known != name)
        {
            let known = providers.collect::<Vec<_>>().join(", ");
            let public =
                format!("No breaker was reset: there is no such provider '{name}'; there are: {known}.");
            return Err(Failure::new(Kind::NotFound, public).with_param("provider"));
        }
        Ok(Which { provider, model, operation })
    }
}

fn bad(what: &str) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("No breaker was reset: {what}."))
}

fn of_lane(snapshot: &Snapshot, lane: &Lane, now: Instant) -> Value {
    let mut row = of_breaker(&lane.breaker, now);
    row["scope"] = if &*lane.model == "*" { "others" } else { "target" }.into();
    row["provider"] = (*lane.provider).into();
    row["model"] = (*lane.model).into();
    row["operation"] = lane.operation.into();
    row["alias"] = lane.alias.as_deref().into();
    row["strategy"] = strategy(&snapshot.config.guard, &lane.breaker.strategy()).into();
    row
}

/// None where there is nothing to tell: nearly always.
fn of_account(account: &Account, now: Instant) -> Option<Value> {
    let report = account.breaker.report(now);
    if report.state == breaker::State::Closed && report.trips == 0 && report.failures == 0 {
        return None;
    }
    let mut row = of_breaker(&account.breaker, now);
    row["scope"] = "credential".into();
    row["provider"] = (*account.provider).into();
    row["model"] = "*".into();
    row["operation"] = "*".into();
    Some(row)
}

fn of_breaker(breaker: &Breaker, now: Instant) -> Value {
    let Report { state, since, consecutive, calls, failures, trips, reason } = breaker.report(now);
    let until = match state {
        breaker::State::Open { until } => Some(until.saturating_duration_since(now)),
        breaker::State::Closed | breaker::State::HalfOpen => None,
    };
    json!({
        "state": state_name(state),
        "since": since.map(|at| when(at, now)),
        "retry_after_seconds": until.map(|left| left.as_secs_f64()),
        "consecutive": consecutive,
        "calls": calls,
        "failures": failures,
        "trips": trips,
        "reason": reason.map(reason_name),
    })
}

/// A breaker's state, as it is shown.
pub(super) fn state_name(state: breaker::State) -> &'static str {
    match state {
        breaker::State::Closed => "closed",
        breaker::State::Open { .. } => "open",
        breaker::State::HalfOpen => "half_open",
    }
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Consecutive => "consecutive",
        Reason::Rate => "rate",
        Reason::Trial => "trial",
        Reason::Forced => "forced",
    }
}

/// The name of a strategy of the configuration that is the same; `None` where a reload has changed it and the
/// breaker was not asked since.
fn strategy<'a>(guard: &'a config::Guard, of: &breaker::Strategy) -> Option<&'a str> {
    let found = guard.strategies.iter().find(|(_, strategy)| breaker::Strategy::from(**strategy) == *of);
    found.map(|(name, _)| name.as_str())
}

fn of_cause(cause: &Cause, now: Instant) -> Value {
    let (scope, provider, model) = match &cause.scope {
        Scope::Here => ("here", None, None),
        Scope::Provider(provider) => ("provider", Some(provider), None),
        // Which of its credentials is a number that means nothing to anybody.
        Scope::Credential(provider, _) => ("credential", Some(provider), None),
        Scope::Model(provider, model) => ("model", Some(provider), Some(model)),
    };
    json!({
        "scope": scope,
        "provider": provider,
        "model": model,
        "kind": fault_name(cause.kind),
        "since": when(cause.since, now),
        "count": cause.count,
        "severity": match cause.severity {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        },
        "words": cause.words,
        "advice": cause.advice,
    })
}

/// A failure's kind, as it is shown.
pub fn fault_name(kind: Fault) -> &'static str {
    match kind {
        Fault::Dns => "dns",
        Fault::Connect => "connect",
        Fault::Tls => "tls",
        Fault::Timeout => "timeout",
        Fault::Cut => "cut",
        Fault::Status => "status",
        Fault::RateLimited => "rate_limited",
        Fault::Overloaded => "overloaded",
        Fault::Credential => "credential",
        Fault::Quota => "quota",
        Fault::Nonsense => "nonsense",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Reset;

    #[test]
    fn everything_or_a_path_from_the_left_is_reset() {
        let which = |text: &str| {
            let reset: Reset = serde_json::from_str(text).unwrap();
            reset
                .which(["p", "q"].into_iter())
                .map(|which| format!("{:?}", [which.provider, which.model, which.operation]))
        };
        for (text, expected) in [
            (r#"{"everything":true}"#, "[None, None, None]"),
            (r#"{"provider":"p"}"#, r#"[Some("p"), None, None]"#),
            (r#"{"provider":"p","model":"a/b"}"#, r#"[Some("p"), Some("a/b"), None]"#),
            (r#"{"provider":"p","model":"m","operation":"chat"}"#, r#"[Some("p"), Some("m"), Some("chat")]"#),
        ] {
            assert_eq!(which(text).unwrap(), expected, "{text}");
        }
        for text in [
            "{}",
            r#"{"everything":false}"#,
            r#"{"everything":true,"provider":"p"}"#,
            r#"{"model":"m"}"#,
            r#"{"everything":true,"model":"m"}"#,
            r#"{"provider":"p","operation":"chat"}"#,
        ] {
            assert!(which(text).is_err(), "{text}");
        }
        let unknown = which(r#"{"provider":"nope"}"#).unwrap_err();
        assert_eq!(unknown.kind().status(), 404);
        assert!(unknown.to_string().contains("no such provider 'nope'; there are: p, q"), "{unknown}");
        assert!(serde_json::from_str::<Reset>(r#"{"providers":"p"}"#).is_err());
    }
}
