//! `/admin/system`: what the process takes of the machine, how that went, and whether it loses memory.

use super::{refusal, refused};
use crate::gateway::Gateway;
use crate::resources::{Held, reader};
use crate::{allocator, resources};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Json, Query, State};
use axum::response::{IntoResponse, Response};
use guard::pressure::{Memory, Source};
use measure::leak::{Evidence, Verdict};
use measure::metrics::resources::Runtime;
use measure::resources::{Point, Reading, Traffic};
use rig::load::units;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;

/// Which part of the trend.
#[derive(Debug, Deserialize)]
pub struct Asked {
    #[serde(default = "hour")]
    minutes: usize,
}

fn hour() -> usize {
    60
}

/// `GET /admin/system`: read now; the trend's last `minutes`, 60 where nothing is said, 1440 at most. Shares are from 0
/// to 1, of what this process may use; null where the system does not say.
pub async fn show(
    State(gateway): State<Arc<Gateway>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    match asked {
        Ok(Query(asked)) => shown(&gateway, &asked),
        Err(rejection) => refusal(&refused::query(rejection)),
    }
}

fn shown(gateway: &Gateway, asked: &Asked) -> Response {
    let reading = reader(gateway).read();
    let look = gateway.resources.last().unwrap_or_default();
    let latest = gateway.resources.trend(1);
    let latest = latest.first();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": gateway.resources.uptime().as_secs_f64(),
        "processors": {
            "used_seconds": reading.pressure.process_cpu.map(|time| time.as_secs_f64()),
            "cores": reading.pressure.cores,
            "share": gateway.pressure.verdict().and_then(|verdict| verdict.cpu),
            "machine_share": gateway.pressure.verdict().and_then(|verdict| verdict.machine_cpu),
        },
        "memory": of_memory(gateway, &reading),
        "threads": reading.threads,
        "open_files": { "open": reading.open_files, "max": reading.open_files_max },
        "disk": reading.disk.map(|disk| json!({ "free_bytes": disk.free_bytes, "size_bytes": disk.size_bytes })),
        "network": of_traffic(reading.network, latest.and_then(|point| point.network_bytes_per_second)),
        "storage": of_traffic(reading.storage, latest.and_then(|point| point.storage_bytes_per_second)),
        "requests": {
            "in_flight": gateway.metrics.sums().in_flight,
            "per_second": look.requests_per_second,
            "failed_share": look.failed,
            "connections": look.connections,
        },
        "runtimes": gateway.runtimes.stands().iter().map(of_runtime).collect::<Vec<_>>(),
        "trend": trend(gateway, asked.minutes),
    }))
    .into_response()
}

fn of_memory(gateway: &Gateway, reading: &Reading) -> Value {
    let held = Held::of(gateway);
    let limit = |memory: Memory| {
        let of = match memory.source {
            Source::Group => "group",
            Source::Machine => "machine",
        };
        json!({ "of": of, "used_bytes": memory.used, "limit_bytes": memory.limit, "share": memory.share() })
    };
    let allocator = allocator::figures().map(
        |figures| json!({ "committed_bytes": figures.committed_bytes, "reserved_bytes": figures.reserved_bytes }),
    );
    json!({
        "resident_bytes": reading.pressure.resident,
        "virtual_bytes": reading.virtual_bytes,
        "fullest": reading.pressure.memory.map(limit),
        "held_bytes": { "cache": held.cache, "flights": held.flights, "bodies": held.bodies },
        "allocator": allocator,
        "leak": of_leak(&gateway.resources.leak()),
    })
}

fn of_leak(verdict: &Verdict) -> Value {
    let evidence = |evidence: &Evidence| {
        json!({
            "minutes": evidence.span.as_secs_f64() / 60.0,
            "samples": evidence.samples,
            "resident_bytes": evidence.own,
            "growth_bytes": evidence.growth,
            "held_growth_bytes": evidence.held_growth,
            "load_ratio": evidence.load_ratio,
            "unexplained_bytes": evidence.unexplained,
            "unexplained_bytes_per_hour": evidence.per_hour(),
            "trend_deviations": evidence.trend,
            "steadiness": evidence.steadiness,
        })
    };
    json!({
        "verdict": verdict.level.name(),
        "words": verdict.words,
        "evidence": verdict.evidence.as_ref().map(evidence),
    })
}

fn of_traffic(traffic: Option<Traffic>, rates: Option<(f64, f64)>) -> Value {
    let Some(Traffic { in_bytes, out_bytes }) = traffic else { return Value::Null };
    let (in_rate, out_rate) = rates.unzip();
    json!({
        "in_bytes": in_bytes, "out_bytes": out_bytes,
        "in_bytes_per_second": in_rate, "out_bytes_per_second": out_rate,
    })
}

/// A thread that runs tasks, as it is shown.
pub(super) fn of_runtime(runtime: &Runtime) -> Value {
    json!({
        "thread": runtime.thread,
        "tasks": runtime.tasks,
        "queued": runtime.queue,
        "busy_seconds": runtime.busy.as_secs_f64(),
        "parks": runtime.parks,
    })
}

fn trend(gateway: &Gateway, minutes: usize) -> Vec<Value> {
    let (uptime, now) = (gateway.resources.uptime(), SystemTime::now());
    let row = |point: &Point| {
        let at = now.checked_sub(uptime.saturating_sub(point.at)).unwrap_or(SystemTime::UNIX_EPOCH);
        let (received, sent) = point.network_bytes_per_second.unzip();
        let (read, written) = point.storage_bytes_per_second.unzip();
        json!({
            "at": units::rfc3339(at),
            "cpu": point.cpu,
            "memory": point.memory,
            "resident_bytes": point.resident_bytes,
            "disk_free_bytes": point.disk_free_bytes,
            "open_files": point.open_files,
            "network_in_bytes_per_second": received,
            "network_out_bytes_per_second": sent,
            "storage_read_bytes_per_second": read,
            "storage_written_bytes_per_second": written,
            "requests_per_second": point.requests_per_second,
            "connections": point.connections,
        })
    };
    gateway.resources.trend(minutes).iter().map(row).collect()
}

/// Sets the metrics that are read with the others.
pub fn measure(gateway: &Gateway) {
    resources::measure(gateway);
}
