//! Alerts, as a scrape sees them: how many are in each state, and how telling of them went.

use crate::alerts::{Phase, Severity};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What became of one thing that a receiver was to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The receiver has taken it.
    Ok,
    /// It would not be taken, after all attempts.
    Failed,
    /// It never got its turn: the queue was full of others.
    Dropped,
}

impl Told {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Standing {
    state: &'static str,
    severity: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Notification {
    receiver: String,
    result: &'static str,
}

/// The metrics of alerts.
#[derive(Debug, Default)]
pub struct AlertMetrics {
    alerts: Family<Standing, Gauge>,
    notifications: Family<Notification, Counter>,
}

impl AlertMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tidegate_alerts", "Alerts by state and severity", self.alerts.clone());
        registry.register(
            "tidegate_alert_notifications",
            "What receivers were to be told, by what became of it",
            self.notifications.clone(),
        );
    }

    /// Shows how many of these alerts are in each state.
    pub fn show(&self, alerts: impl Iterator<Item = (Phase, Severity)>) {
        let mut counts = [[0_i64; Severity::ALL.len()]; 2];
        for (phase, severity) in alerts {
            match phase {
                Phase::Pending => counts[0][severity as usize] += 1,
                Phase::Firing => counts[1][severity as usize] += 1,
                Phase::Resolved => {}
            }
        }
        for (phase, counts) in [Phase::Pending, Phase::Firing].into_iter().zip(counts) {
            for (severity, count) in Severity::ALL.into_iter().zip(counts) {
                let standing = Standing { state: phase.name(), severity: severity.name() };
                self.alerts.get_or_create(&standing).set(count);
            }
        }
    }

    /// Counts what became of a notification.
    pub fn told(&self, receiver: &str, told: Told) {
        let notification = Notification { receiver: receiver.to_owned(), result: told.name() };
        self.notifications.get_or_create(&notification).inc();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Told;
    use crate::alerts::{Phase, Severity};
    use crate::metrics::Metrics;

    #[test]
    fn a_scrape_shows_alerts_and_notifications() {
        let metrics = Metrics::new("0", 1);
        let alerts = [
            (Phase::Firing, Severity::Critical),
            (Phase::Firing, Severity::Critical),
            (Phase::Pending, Severity::Info),
            (Phase::Resolved, Severity::Info),
        ];
        metrics.alerts.show(alerts.into_iter());
        metrics.alerts.told("pager", Told::Ok);
        metrics.alerts.told("pager", Told::Dropped);
        let text = metrics.encode().unwrap();
        for line in [
            r#"tidegate_alerts{state="firing",severity="critical"} 2"#,
            r#"tidegate_alerts{state="pending",severity="info"} 1"#,
            r#"tidegate_alerts{state="pending",severity="critical"} 0"#,
            r#"tidegate_alert_notifications_total{receiver="pager",result="ok"} 1"#,
            r#"tidegate_alert_notifications_total{receiver="pager",result="dropped"} 1"#,
        ] {
            assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
        }
    }
}
