//! `POST /admin/cache/lookup`: whether a request would be looked up, under which key, and what lies there. The
//! way to an answer's key, and to why a request that should have been a hit was none. It asks no provider,
//! and no request is counted.

use crate::admin::asked::{bad, headers_of, operation_of};
use crate::admin::{refusal, refused};
use crate::auth::Keyring;
use crate::gateway::Gateway;
use crate::plan::{Draw, affinity};
use crate::remember::question::{Asked, Form};
use crate::remember::status::Status;
use crate::remember::tally::Tally;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cache::clock::Millis;
use cache::{Found, Freshness};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::failure::Failure;
use wire::openai::Request;

/// A request as a caller would send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The path, with or without `/v1`; chat completions where there is none.
    #[serde(default)]
    path: Option<String>,
    /// Whose request it would be: the tenant of its key, or the key's id; none where keys are not used.
    #[serde(default)]
    tenant: Option<String>,
    /// Its headers about the cache.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Its body, as it would be sent.
    body: Box<RawValue>,
}

/// Answers.
pub async fn lookup(
    State(gateway): State<Arc<Gateway>>,
    what: Result<Json<Lookup>, JsonRejection>,
) -> Response {
    let found = match what.map_err(refused::body) {
        Ok(Json(what)) => what.answer(&gateway).await,
        Err(failure) => Err(failure),
    };
    found.map_or_else(|failure| refusal(&failure), |found| Json(found).into_response())
}

impl Lookup {
    /// Whose it would be. Where callers have keys, nothing ever lies under nobody's name, nor under a name that no key
    /// leads to.
    fn tenant(&self, keyring: &Keyring) -> Result<&str, Failure> {
        let tenant = self.tenant.as_deref().unwrap_or_default();
        match tenant {
            _ if !keyring.needed => Ok(tenant),
            "" => Err(bad(
                "callers need keys here: name the \"tenant\" of one, which is the key's id where the key has none",
            )),
            _ if keyring.keys.iter().any(|key| key.tenant_name() == tenant) => Ok(tenant),
            _ => Err(bad("no key that is known here is of this \"tenant\"")),
        }
    }

    async fn answer(&self, gateway: &Gateway) -> Result<Value, Failure> {
        let snapshot = gateway.snapshot(0);
        let operation = operation_of(self.path.as_deref())?;
        let headers = headers_of(&self.headers)?;
        let tenant = self.tenant(&snapshot.keyring)?;
        let body = Bytes::copy_from_slice(self.body.get().as_bytes());
        let request = Request::parse(operation, &body)?;
        let affinity = || affinity::of(&headers, tenant, &request);
        let plan = snapshot.routes.plan(operation, &request.model, Draw::chance(), affinity)?;
        let asked = Asked { headers: &headers, tenant, request: &request, plan: &plan };
        // A handle of its own, so that looking does not show as asking.
        let aside = cache::stats::Stats::default();
        let tally = Tally { metrics: &snapshot.cache_metrics, stats: &aside };
        let target = plan.target.header.to_str().unwrap_or_default();
        let question = match snapshot.remembered.question(&asked, &tally)? {
            Ok(question) => question,
            Err(bypass) => {
                let said = Status::Bypass(bypass).header();
                return Ok(json!({ "target": target, "cache": said.to_str().unwrap_or_default() }));
            }
        };
        let now = Millis::now();
        let found = snapshot.remembered.tiers.get(&question.key, now).await;
        Ok(json!({
            "target": target,
            "key": question.key.to_string(),
            "form": match question.form { Form::Whole => "whole", Form::Stream => "stream" },
            "compared_with_other_questions": snapshot.remembered.kindred(&question, &asked).is_some(),
            "cache": if found.is_some() { "hit" } else { "miss" },
            "answer": found.as_ref().map(|found| of_answer(found, now)),
        }))
    }
}

fn of_answer(found: &Found, now: Millis) -> Value {
    let entry = &found.entry;
    json!({
        "tier": found.tier.name(),
        "fresh": found.freshness == Freshness::Fresh,
        "stored_at_ms": entry.stored_at.0,
        "age_seconds": found.age.as_secs_f64(),
        "fresh_for_seconds": entry.fresh_until.since(now).as_secs_f64(),
        "text_bytes": entry.body.plain_len(),
        "compressed": entry.body.is_compressed(),
        "held_bytes": entry.body.held().len(),
    })
}
