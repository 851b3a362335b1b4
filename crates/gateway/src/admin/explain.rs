//! `POST /admin/explain`: what would become of a request: on whose behalf, under which limits, whether it may be
//! answered from memory, and whom it would be sent to, in which order and why. Nobody is asked and nothing is counted.
//!
//! It goes through the same plan and the same order as the request itself would. Where chance has a part in it, this
//! is one draw of many, and the shares say how they fall in the long run.

use super::asked::Sent;
use super::{breakers, limits, refusal, refused};
use crate::auth::Principal;
use crate::dispatch;
use crate::gateway::Gateway;
use crate::limits::Scope;
use crate::plan::{Alias, Draw, Plan, Target, affinity};
use crate::protect::health::Health;
use crate::remember::question::Asked;
use crate::remember::status::Status;
use crate::remember::tally::Tally;
use crate::snapshot::Snapshot;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use cache::clock::Millis;
use guard::pattern::Cause;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use wire::failure::Failure;
use wire::openai::Request;
use wire::operation::Operation;

/// Answers.
pub async fn explain(
    State(gateway): State<Arc<Gateway>>,
    what: Result<Json<Sent>, JsonRejection>,
) -> Response {
    let explained = match what.map_err(refused::body) {
        Ok(Json(sent)) => answer(&sent, &gateway).await,
        Err(failure) => Err(failure),
    };
    explained.map_or_else(|failure| refusal(&failure), |explained| Json(explained).into_response())
}

async fn answer(sent: &Sent, gateway: &Gateway) -> Result<Value, Failure> {
    let snapshot = gateway.snapshot(0);
    let operation = sent.operation()?;
    let headers = sent.headers()?;
    let principal = sent.principal(gateway)?;
    let body = sent.body();
    let request = Request::parse(operation, &body)?;
    let affinity = || affinity::of(&headers, &principal.tenant, &request);
    let plan = snapshot.routes.plan(operation, &request.model, Draw::chance(), affinity)?;
    let caller = snapshot.callers.on_behalf_of(&principal)?;
    let refused = caller.may_use(&request.model).err().map(|failure| failure.to_string());
    let asked = Asked { headers: &headers, tenant: &principal.tenant, request: &request, plan: &plan };
    Ok(json!({
        "model": request.model,
        "operation": operation.name(),
        "stream": request.stream,
        "caller": { "key": principal.key, "tenant": principal.tenant, "refused": refused },
        "limits": of_limits(gateway, &principal, &request.model, &plan),
        "cache": of_cache(&snapshot, &asked).await?,
        "alias": plan.alias.as_deref().map(|alias| of_alias(alias, &plan)),
        "tries": tries(&snapshot, &plan),
        "targets": targets(&snapshot, &plan, operation),
    }))
}

/// What would be counted against it, and how that stands.
fn of_limits(gateway: &Gateway, principal: &Principal, model: &str, plan: &Plan) -> Vec<Value> {
    let provider = plan.target.upstream.name();
    let concerns = |scope: Scope, name: &str| match scope {
        Scope::Key => principal.key.as_deref() == Some(name),
        Scope::Tenant => *principal.tenant == *name,
        Scope::Alias => plan.alias.is_some() && name == model,
        Scope::Provider => name == provider,
    };
    let rows = gateway.limits.report(Instant::now()).into_iter();
    rows.filter(|(scope, name, _)| concerns(*scope, name)).map(limits::of_account).collect()
}

/// Whether it may be answered from memory, and whether it would be.
async fn of_cache(snapshot: &Snapshot, asked: &Asked<'_>) -> Result<Value, Failure> {
    // A handle of its own, so that looking does not show as asking.
    let aside = cache::stats::Stats::default();
    let tally = Tally { metrics: &snapshot.cache_metrics, stats: &aside };
    let question = match snapshot.remembered.question(asked, &tally)? {
        Ok(question) => question,
        Err(bypass) => {
            let said = Status::Bypass(bypass).header();
            let reason = said.to_str().unwrap_or_default().rsplit('=').next().unwrap_or_default();
            return Ok(json!({ "eligible": false, "reason": reason }));
        }
    };
    let found = snapshot.remembered.tiers.get(&question.key, Millis::now()).await;
    Ok(json!({
        "eligible": true,
        "key": question.key.to_string(),
        "compared_with_other_questions": snapshot.remembered.kindred(&question, asked).is_some(),
        "hit": found.as_ref().map(|found| found.tier.name()),
        "age_seconds": found.as_ref().map(|found| found.age.as_secs_f64()),
    }))
}

fn of_alias(alias: &Alias, plan: &Plan) -> Value {
    json!({
        "balance": alias.balance(),
        "drawn_by": if plan.draw.affinity.is_some() { "conversation" } else { "chance" },
        "hedge": alias.hedge,
    })
}

/// Tries in all.
fn tries(snapshot: &Snapshot, plan: &Plan) -> u32 {
    let guard = &snapshot.config.guard;
    let tries = plan.alias.as_ref().map_or(guard.retry.tries, |alias| alias.retry.tries);
    if guard.enabled { tries } else { 1 }
}

/// Whom it would be sent to, in the order in which they would be tried now.
fn targets(snapshot: &Snapshot, plan: &Plan, operation: Operation) -> Vec<Value> {
    let now = Instant::now();
    let causes = snapshot.protection.patterns().causes(now);
    let order = dispatch::order(snapshot, plan, operation, now);
    let row = |target: &Arc<Target>| {
        let mut row = of_target(snapshot, target, operation, &causes, now);
        if let Some(part) = plan.alias.as_deref().and_then(|alias| part_of(alias, target)) {
            row["part"] = part;
        }
        row["first_choice"] = Arc::ptr_eq(target, &plan.target).into();
        row
    };
    order.iter().map(row).collect()
}

/// The part that a target has in an alias: its share of what its group is asked.
fn part_of(alias: &Alias, target: &Arc<Target>) -> Option<Value> {
    let (at, (_, weight, group)) =
        alias.choices().enumerate().find(|(_, (choice, ..))| Arc::ptr_eq(choice, target))?;
    let is_drawn = at < alias.drawn();
    let of_group = alias.choices().filter(|(_, _, other)| *other == group);
    let sum: u64 = of_group.map(|(_, weight, _)| u64::from(weight)).sum();
    Some(json!({
        "role": if is_drawn { "target" } else { "fallback" },
        "weight": weight,
        "priority": group,
        "share": f64::from(weight) / sum.max(1) as f64,
    }))
}

fn of_target(
    snapshot: &Snapshot,
    target: &Target,
    operation: Operation,
    causes: &[Cause],
    now: Instant,
) -> Value {
    let lane = snapshot.protection.lane(target, operation, now);
    let (gate, health) = (lane.gate.report(now), Health::of(&lane, causes, now));
    json!({
        "target": target.header.to_str().unwrap_or_default(),
        "open": lane.is_open(now),
        "breaker": breakers::state_name(lane.breaker.report(now).state),
        "ok": health.ok,
        "why": health.why,
        "in_flight": gate.in_flight,
        "limit": super::targets::limit(gate.limit),
        "waiting": gate.waiting.iter().sum::<usize>(),
        "average_ms": lane.load.latency(now).map(|time| time.as_micros() as f64 / 1e3),
        "usd_per_million_input": target.price.map(|price| price.input),
        "usd_per_million_output": target.price.map(|price| price.output),
    })
}
