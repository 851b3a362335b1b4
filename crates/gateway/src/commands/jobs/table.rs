//! What `GET /admin/jobs` says, for people. What an older or a newer gateway does not say is left out.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use rig::load::units;
use serde_json::Value;

use crate::commands::grid::{Align, Grid, text};

/// A screen of it: who waits where, then the jobs.
pub(super) fn of(said: &Value) -> String {
    let mut out = queues(said);
    if said["runner"]["store_is_away"] == true {
        out.push_str("The database does not answer now; jobs wait.\n");
    }
    let jobs = said["jobs"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    if jobs.is_empty() {
        out.push_str("No such job.\n");
        return out;
    }
    let mut grid = Grid::new(&[
        ("job", Align::Left),
        ("kind", Align::Left),
        ("queue", Align::Left),
        ("tenant", Align::Left),
        ("state", Align::Left),
        ("attempts", Align::Right),
        ("added", Align::Left),
        ("last error", Align::Left),
    ]);
    jobs.iter().for_each(|job| grid.row(cells(job)));
    let _ = write!(out, "{grid}");
    if said["jobs"]["has_more"] == true {
        let _ = writeln!(out, "\nThere are more: --after {}", word(&said["jobs"]["last_id"]));
    }
    out
}

fn queues(said: &Value) -> String {
    let mut grid = Grid::new(&[
        ("queue", Align::Left),
        ("scheduled", Align::Right),
        ("ready", Align::Right),
        ("running", Align::Right),
        ("oldest", Align::Right),
        ("workers", Align::Right),
    ]);
    let depths = said["depths"].as_array().map(Vec::as_slice).unwrap_or_default();
    let queues = said["runner"]["queues"].as_array().map(Vec::as_slice).unwrap_or_default();
    for queue in queues {
        let of = |state: &str| {
            depths.iter().find(|depth| depth["queue"] == queue["name"] && depth["state"] == state)
        };
        let count = |state| of(state).map_or_else(|| "0".to_owned(), |depth| text(&depth["count"]));
        let oldest = of("ready").and_then(|depth| depth["oldest_seconds"].as_f64());
        grid.row(vec![
            word(&queue["name"]),
            count("scheduled"),
            count("ready"),
            count("running"),
            oldest.map_or_else(String::new, |seconds| format!("{seconds:.0} s")),
            format!("{} of {}", text(&queue["busy"]), text(&queue["workers"])),
        ]);
    }
    format!("{grid}\n")
}

fn cells(job: &Value) -> Vec<String> {
    let added = job["created_at"].as_u64().map(Duration::from_secs);
    let added = added.map_or_else(|| "–".to_owned(), |since| units::rfc3339(SystemTime::UNIX_EPOCH + since));
    let asked = match job["cancel_requested"] == true && job["state"] == "running" {
        true => " (to stop)",
        false => "",
    };
    vec![
        word(&job["id"]),
        word(&job["kind"]),
        word(&job["queue"]),
        word(&job["tenant"]),
        word(&job["state"]) + asked,
        format!("{} of {}", text(&job["attempts"]), text(&job["max_attempts"])),
        added,
        job["error"]["type"].as_str().unwrap_or_default().to_owned(),
    ]
}

/// A word that may be missing.
pub(super) fn word(value: &Value) -> String {
    match value.as_str() {
        Some("") | None => "–".to_owned(),
        Some(text) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::of;
    use serde_json::json;

    #[test]
    fn who_waits_comes_first_and_the_jobs_below() {
        let said = json!({
            "depths": [{ "queue": "default", "state": "ready", "count": 3, "oldest_seconds": 12.4 }],
            "runner": { "queues": [{ "name": "default", "workers": 8, "busy": 2 }], "store_is_away": false },
            "jobs": {
                "data": [{
                    "id": "job_1", "kind": "model", "queue": "default", "tenant": "", "state": "running",
                    "attempts": 2, "max_attempts": 5, "created_at": 951_782_400, "cancel_requested": true,
                    "error": { "type": "timeout", "message": "late" },
                }],
                "has_more": true, "last_id": "job_1",
            },
        });
        let expected = "\
queue    scheduled  ready  running  oldest  workers
default          0      3        0    12 s   2 of 8

job    kind   queue    tenant  state              attempts  added                 last error
job_1  model  default  –       running (to stop)    2 of 5  2000-02-29T00:00:00Z  timeout

There are more: --after job_1
";
        assert_eq!(of(&said), expected);
    }

    #[test]
    fn what_is_not_said_is_no_fault() {
        assert!(of(&json!({})).ends_with("No such job.\n"));
        assert!(of(&json!({ "jobs": { "data": [{}] } })).contains("–"));
    }
}
