//! How long the database takes, under the plain name that the requirements give.

use super::histogram::{Histogram, Times, ToldTimes};
use super::sharded::Shards;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelSet)]
struct OfQuery {
    query: &'static str,
}

/// The metrics of the database.
#[derive(Debug, Default)]
pub struct DatabaseMetrics {
    queries: Family<OfQuery, ToldTimes>,
}

impl DatabaseMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "database_query_duration",
            "How long the database takes: for what a caller asks of it, and to claim jobs",
            Unit::Seconds,
            self.queries.clone(),
        );
    }

    /// Shows these durations, by what was asked. It is called by the scrape itself.
    pub fn show(&self, queries: impl IntoIterator<Item = (&'static str, Times)>) {
        for (query, times) in queries {
            self.queries.get_or_create(&OfQuery { query }).set(times);
        }
    }
}

/// Durations of one kind of question, counted where they are asked.
#[derive(Debug)]
pub struct QueryTimes(Histogram);

impl QueryTimes {
    /// None yet; the buckets have these upper bounds, in seconds and ascending.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self(Histogram::alone(Shards(1), bounds))
    }

    /// One took so long.
    pub fn note(&self, time: Duration) {
        self.0.shard(0).observe(time.as_secs_f64());
    }

    /// All so far.
    pub fn read(&self) -> Times {
        self.0.read().times()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::QueryTimes;
    use crate::metrics::Metrics;
    use std::time::Duration;

    #[test]
    fn durations_show_under_what_was_asked() {
        let (metrics, times) = (Metrics::new("0", 1), QueryTimes::new(&[0.001, 0.01]));
        times.note(Duration::from_millis(5));
        times.note(Duration::from_secs(1));
        metrics.database.show([("ask", times.read())]);
        let text = metrics.encode().unwrap();
        for line in [
            r#"database_query_duration_seconds_bucket{le="0.01",query="ask"} 1"#,
            r#"database_query_duration_seconds_count{query="ask"} 2"#,
            r#"database_query_duration_seconds_sum{query="ask"} 1.005"#,
        ] {
            assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
        }
    }
}
