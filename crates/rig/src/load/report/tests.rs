//! Sample reports, and what a report must keep: its JSON form and its table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn series(p50: f64) -> Option<Series> {
    Some(Series {
        count: 1000,
        points: Points {
            p50,
            p90: p50 * 1.5,
            p95: p50 * 1.9,
            p99: p50 * 2.0,
            p999: p50 * 3.0,
            max: p50 * 4.0,
            mean: p50 * 1.1,
        },
    })
}

fn measured(url: &str, scale: f64) -> Measured {
    Measured {
        url: url.parse().unwrap(),
        model: "sim/fast".to_owned(),
        duration_s: 10.0,
        requests: 1010,
        succeeded: 1000,
        failed: 10,
        unfinished: 0,
        errors: BTreeMap::from([(
            "status_503".to_owned(),
            Seen { count: 10, example: r#"{"error":{"message":"overloaded"}}"#.to_owned() },
        )]),
        error_rate: 0.01,
        requests_per_second: 100.0,
        frames: 66_000,
        frames_per_second: 6_600.0,
        input_tokens: None,
        output_tokens: None,
        tokens_per_second: None,
        bytes_sent: 123_456,
        bytes_received: 12_345_678,
        connections: 16,
        total_us: series(20_000.0 * scale),
        first_token_us: series(10_000.0 * scale),
        between_tokens_us: series(2_000.0 * scale),
        send_lag_us: None,
    }
}

/// A report of one side.
pub(in crate::load) fn plain() -> Report {
    Report {
        version: Report::VERSION,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        machine: Machine {
            cores: 2,
            os: "linux".to_owned(),
            kernel: "6.1.0".to_owned(),
            arch: "x86_64".to_owned(),
        },
        load: Load {
            mode: Mode::Closed { concurrency: 16 },
            stream: true,
            duration_s: Some(10.0),
            requests: None,
            warmup_s: 1.0,
            rounds: 1,
            prompt_bytes: 44,
            unique_prompts: false,
            max_tokens: None,
            timeout_s: 60.0,
            threads: 1,
            seed: 1,
            api_key: Some("[redacted]".to_owned()),
            against_api_key: None,
            headers: Vec::new(),
        },
        interrupted: false,
        target: measured("http://127.0.0.1:4000/v1", 1.0),
        against: None,
        comparison: None,
    }
}

/// A report of two sides, the second twice as fast.
pub(in crate::load) fn compared() -> Report {
    let mut report = plain();
    report.load.rounds = 4;
    let mut against = measured("http://127.0.0.1:4010/v1", 0.5);
    against.errors.clear();
    against.failed = 0;
    report.comparison = Some(Comparison::new(&report.target, &against));
    report.against = Some(against);
    report
}

#[test]
fn a_report_comes_back_from_json_as_it_went() {
    for report in [plain(), compared()] {
        let json = serde_json::to_string(&report).unwrap();
        let again: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(again, report);
    }
}

#[test]
fn the_form_of_the_json_is_kept() {
    let json = serde_json::to_value(compared()).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["load"]["mode"]["closed"]["concurrency"], 16);
    assert_eq!(json["target"]["url"], "http://127.0.0.1:4000/v1");
    assert_eq!(json["target"]["total_us"]["p99"], 40_000.0);
    assert_eq!(json["target"]["errors"]["status_503"]["count"], 10);
    assert_eq!(json["comparison"]["total"]["ratio"]["p50"], 2.0);
    assert_eq!(json["comparison"]["total"]["added_us"]["p99"], 20_000.0);
    assert_eq!(json["comparison"]["requests_per_second"], 1.0);
}

#[test]
fn the_tables_read_as_they_should() {
    let check = |report: &Report, expected: &str| {
        let table = report.table();
        assert_eq!(table.trim_matches('\n'), expected.trim_matches('\n'), "{table}");
    };
    check(&plain(), include_str!("tests/plain.txt"));
    check(&compared(), include_str!("tests/compared.txt"));
}

#[test]
fn a_run_without_an_answer_has_a_table_too() {
    let mut report = plain();
    report.target.total_us = None;
    report.target.first_token_us = None;
    report.target.between_tokens_us = None;
    report.interrupted = true;
    let table = report.table();
    assert!(table.contains("no request was answered well"), "{table}");
    assert!(table.contains("Stopped early"), "{table}");
}
