//! From traces to the histograms that their requests were counted in: who looks at a figure finds one that made it.
//!
//! Whoever takes traces to a collector says so here once it has them, so that no figure points at a trace that is not
//! there. Nothing is made for it: what is not counted has no example.

use super::Metrics;
use super::histogram::{Exemplar, Histogram, Histograms, labels};
use std::time::{Duration, SystemTime};

/// Where traces are told of. Copies lead to the same histograms.
#[derive(Clone, Debug)]
pub struct Examples {
    duration: Histograms,
    overhead: Histograms,
    attempts: Histograms,
    first_token: Histograms,
}

/// What requests of one kind are counted in, as far as there is any.
#[derive(Clone, Debug)]
pub struct OfRequests {
    duration: Option<Histogram>,
    overhead: Option<Histogram>,
}

/// What tries at one target are counted in, as far as there is any.
#[derive(Clone, Debug)]
pub struct OfAttempts {
    duration: Option<Histogram>,
    first_token: Option<Histogram>,
}

impl Metrics {
    /// Where traces are told of.
    pub fn examples(&self) -> Examples {
        Examples {
            duration: self.requests.duration.clone(),
            overhead: self.requests.overhead.clone(),
            attempts: self.targets.durations.clone(),
            first_token: self.targets.first_token.clone(),
        }
    }
}

impl Examples {
    /// Requests for this operation, counted under this model.
    #[must_use]
    pub fn of_requests(&self, operation: &str, model: &str) -> OfRequests {
        let (operation, model) = (("operation", operation), ("model", model));
        OfRequests {
            duration: self.duration.find(&labels([operation, model])),
            overhead: self.overhead.find(&labels([operation])),
        }
    }

    /// Tries at this provider and model.
    #[must_use]
    pub fn of_attempts(&self, provider: &str, model: &str) -> OfAttempts {
        let labels = labels([("gen_ai_provider_name", provider), ("gen_ai_request_model", model)]);
        OfAttempts { duration: self.attempts.find(&labels), first_token: self.first_token.find(&labels) }
    }
}

impl OfRequests {
    /// One ended at that time: it took `total`, of which `overhead` was ours.
    pub fn note(&self, trace_id: u128, at: SystemTime, (total, overhead): (Duration, Duration)) {
        note(self.duration.as_ref(), trace_id, total, at);
        note(self.overhead.as_ref(), trace_id, overhead, at);
    }
}

impl OfAttempts {
    /// One ended at that time, after so long.
    pub fn note(&self, trace_id: u128, at: SystemTime, took: Duration) {
        note(self.duration.as_ref(), trace_id, took, at);
    }

    /// The first token of one came at that time, so long after its beginning.
    pub fn first_token(&self, trace_id: u128, at: SystemTime, after: Duration) {
        note(self.first_token.as_ref(), trace_id, after, at);
    }
}

fn note(histogram: Option<&Histogram>, trace_id: u128, value: Duration, at: SystemTime) {
    if let Some(histogram) = histogram {
        histogram.exemplify(Exemplar { trace_id, value: value.as_secs_f64(), at });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use crate::metrics::{AttemptResult, Format, Metrics, Outcome};
    use std::time::{Duration, SystemTime};

    /// The metrics of a request with one try, of which a trace tells.
    fn exemplified() -> Metrics {
        let metrics = Metrics::new("0", 1);
        let (total, overhead) = (Duration::from_millis(50), Duration::from_micros(20));
        metrics.shard(0).route("chat", "a \"b\"").ends(Outcome::Ok, total, overhead);
        let target = metrics.shard(0).target("p", "m");
        target.attempted(AttemptResult::Ok, total);
        target.first_token(overhead);
        let (examples, at) = (metrics.examples(), SystemTime::UNIX_EPOCH + Duration::from_millis(1500));
        examples.of_requests("chat", "a \"b\"").note(0xabc, at, (total, overhead));
        examples.of_attempts("p", "m").note(0xdef, at, total);
        examples.of_attempts("p", "m").first_token(0xdef, at, overhead);
        metrics
    }

    fn told(metrics: &Metrics, format: Format) -> String {
        String::from_utf8(metrics.told(format).unwrap()).unwrap()
    }

    #[test]
    fn a_trace_stands_behind_each_bucket_that_its_request_was_counted_in() {
        let open = told(&exemplified(), Format::Open);
        let (of_request, of_try) = ("00000000000000000000000000000abc", "00000000000000000000000000000def");
        for (bucket, trace, value) in [
            (
                r#"http_request_duration_seconds_bucket{le="0.08",operation="chat",model="a \"b\""} 1"#,
                of_request,
                "0.05",
            ),
            (
                r#"gen_ai_server_request_duration_seconds_bucket{le="0.08",gen_ai_operation_name="chat",gen_ai_request_model="a \"b\""} 1"#,
                of_request,
                "0.05",
            ),
            (r#"tidegate_overhead_seconds_bucket{le="0.000025",operation="chat"} 1"#, of_request, "0.00002"),
            (
                r#"gen_ai_client_operation_duration_seconds_bucket{le="0.08",gen_ai_provider_name="p",gen_ai_request_model="m"} 1"#,
                of_try,
                "0.05",
            ),
            (
                r#"gen_ai_server_time_to_first_token_seconds_bucket{le="0.001",gen_ai_provider_name="p",gen_ai_request_model="m"} 1"#,
                of_try,
                "0.00002",
            ),
        ] {
            let line = format!("{bucket} # {{trace_id=\"{trace}\"}} {value} 1.500\n");
            assert!(open.contains(&line), "{line} is not in\n{open}");
        }
        assert_eq!(open.matches("trace_id").count(), 5);
    }

    #[test]
    fn exemplars_are_all_that_the_newer_text_has_besides() {
        let (with, without) = (exemplified(), Metrics::new("0", 1));
        assert_eq!(told(&without, Format::Open), without.encode().unwrap());
        let lines = told(&with, Format::Open);
        let bare: Vec<_> = lines.lines().map(|line| line.split(" # {").next().unwrap()).collect();
        assert_eq!(bare, with.encode().unwrap().lines().collect::<Vec<_>>());
        assert!(!told(&with, Format::Classic).contains("trace_id"));
    }

    #[test]
    fn nothing_is_made_for_a_trace_of_what_is_not_counted() {
        let metrics = exemplified();
        let before = told(&metrics, Format::Open);
        for number in 0..1000 {
            let (name, at) = (format!("invented-{number}"), SystemTime::now());
            let (times, began) = ((Duration::MAX, Duration::ZERO), SystemTime::UNIX_EPOCH);
            metrics.examples().of_requests("chat", &name).note(1, began, times);
            metrics.examples().of_attempts(&name, "m").note(1, at, Duration::ZERO);
        }
        let of_overhead = |line: &&str| !line.starts_with("tidegate_overhead_seconds_bucket");
        let after = told(&metrics, Format::Open);
        assert!(after.lines().filter(of_overhead).eq(before.lines().filter(of_overhead)));
        assert_eq!(after.lines().count(), before.lines().count());
    }
}
