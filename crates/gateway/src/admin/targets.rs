//! `/admin/targets`: every target that was asked for, how it is, how many serve at once and who waits; and the
//! same as metrics.

use super::breakers::{fault_name, state_name};
use super::when;
use crate::gateway::Gateway;
use crate::protect::health::Health;
use crate::protect::{Account, Lane};
use crate::snapshot::Snapshot;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use guard::breaker::{self, Breaker};
use guard::gate;
use guard::pattern::Cause;
use measure::metrics::protection::{BANDS, Circuit, GateReading, Guarded, Reading};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `GET /admin/targets`
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let snapshot = gateway.snapshot(0);
    let now = Instant::now();
    let causes = snapshot.protection.patterns().causes(now);
    let mut rows = Vec::new();
    snapshot.protection.for_each(|lane| rows.push(of_lane(lane, &causes, now)));
    let place = |row: &Value| ["provider", "model", "operation", "alias"].map(|key| row[key].to_string());
    rows.sort_by_cached_key(place);
    Json(json!({ "targets": rows })).into_response()
}

fn of_lane(lane: &Lane, causes: &[Cause], now: Instant) -> Value {
    let breaker = lane.breaker.report(now);
    json!({
        "provider": lane.provider,
        "model": lane.model,
        "operation": lane.operation,
        "alias": lane.alias,
        "breaker": {
            "state": state_name(breaker.state),
            "since": breaker.since.map(|at| when(at, now)),
            "trips": breaker.trips,
        },
        "concurrency": of_gate(&lane.gate.report(now)),
        "latency": of_latency(lane, now),
        "health": of_health(lane, causes, now),
    })
}

fn of_gate(report: &gate::Report) -> Value {
    let by_band: Map<String, Value> = BANDS
        .into_iter()
        .zip(report.waiting)
        .map(|(band, waiting)| (band.to_owned(), waiting.into()))
        .collect();
    json!({
        "limit": limit(report.limit),
        "in_flight": report.in_flight,
        "batch_limit": limit(report.batch_limit),
        "batch_in_flight": report.batch_in_flight,
        "waiting": report.waiting.iter().sum::<usize>(),
        "waiting_by_band": by_band,
        "estimated_wait_ms": millis(report.wait),
        "refused": report.refused_full + report.refused_late,
        "dropped": report.dropped,
    })
}

/// None where any number may call.
pub(super) fn limit(limit: u32) -> Option<u32> {
    Some(limit).filter(|limit| *limit < u32::MAX)
}

/// The first tokens are of the last half minute, of streams alone; the average is of all calls, the last one
/// counting most.
fn of_latency(lane: &Lane, now: Instant) -> Value {
    let first_token = |share| lane.delays.at(share, now).map(millis);
    json!({
        "first_token_p50_ms": first_token(0.5),
        "first_token_p95_ms": first_token(0.95),
        "first_token_p99_ms": first_token(0.99),
        "average_ms": lane.load.latency(now).map(millis),
    })
}

fn of_health(lane: &Lane, causes: &[Cause], now: Instant) -> Value {
    let Health { ok, since, why } = Health::of(lane, causes, now);
    json!({
        "ok": ok,
        "since": since.map(|at| when(at, now)),
        "why": why,
        "last_good": lane.seen.good().map(|at| when(at, now)),
        "last_failure": lane.seen.bad().map(|(at, _)| when(at, now)),
        "last_failure_kind": lane.seen.bad().map(|(_, kind)| fault_name(kind)),
    })
}

/// Milliseconds, to a microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

/// Sets the metrics that are read with the others.
pub fn measure(gateway: &Gateway) {
    let snapshot = gateway.snapshot(0);
    let now = Instant::now();
    let mut readings: BTreeMap<Guarded, Reading> = BTreeMap::new();
    let mut add = |(of, reading): (Guarded, Reading)| readings.entry(of).or_default().join(reading);
    // What the configuration has no longer is forgotten soon.
    snapshot.protection.for_each(|lane| {
        if snapshot.routes.has_provider(&lane.provider) {
            add(read_lane(&snapshot, lane, now));
        }
    });
    snapshot.protection.for_each_account(|account| {
        if snapshot.routes.has_provider(&account.provider) {
            read_account(account, now).into_iter().for_each(&mut add);
        }
    });
    gateway.metrics.protection.show(&readings);
}

/// Under the names that the configuration has; every other model is one of many.
fn read_lane(snapshot: &Snapshot, lane: &Lane, now: Instant) -> (Guarded, Reading) {
    let is_named = snapshot.routes.names(&lane.provider, &lane.model);
    let model = if is_named { &*lane.model } else { "other" };
    let of =
        Guarded { provider: lane.provider.to_string(), model: model.to_owned(), operation: lane.operation };
    let report = lane.gate.report(now);
    let refused = [report.refused_full, report.refused_late, report.dropped];
    let gate = GateReading {
        limit: limit(report.limit).map(u64::from),
        in_flight: report.in_flight.into(),
        waiting: report.waiting.map(|waiting| waiting as u64),
        refused: std::array::from_fn(|index| lane.told_refused[index].more(refused[index])),
    };
    let (circuit, trips) = circuit(&lane.breaker, now);
    (of, Reading { circuit, trips: lane.told_trips.more(trips), gate: Some(gate) })
}

/// None where it has never tripped: nearly always.
fn read_account(account: &Account, now: Instant) -> Option<(Guarded, Reading)> {
    let (circuit, trips) = circuit(&account.breaker, now);
    let of = Guarded { provider: account.provider.to_string(), model: "*".to_owned(), operation: "*" };
    let reading = Reading { circuit, trips: account.told_trips.more(trips), gate: None };
    (trips > 0).then_some((of, reading))
}

fn circuit(breaker: &Breaker, now: Instant) -> (Circuit, u64) {
    let report = breaker.report(now);
    let circuit = match report.state {
        breaker::State::Closed => Circuit::Closed,
        breaker::State::HalfOpen => Circuit::HalfOpen,
        breaker::State::Open { .. } => Circuit::Open,
    };
    (circuit, report.trips)
}
