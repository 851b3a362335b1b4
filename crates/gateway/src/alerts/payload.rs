//! What receivers are told, in the form that each expects.
//!
//! | receiver | form |
//! | --- | --- |
//! | webhook | Alertmanager's webhook, version 4 (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>) |
//! | Alertmanager | its API v2, `postableAlerts` |
//! | Slack | an incoming webhook's message with one attachment |
//! | mail | a subject and plain text |

use measure::alerts::{Alert, Labels, Notice, Phase, Severity};
use rig::load::units::rfc3339;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// Alerts that one notification names; how many more there are is said.
const ALERTS_MAX: usize = 100;
/// Alerts that people are shown at once.
const LINES_MAX: usize = 20;
/// How Go writes a time that never was: the end of what still fires.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// For how long Alertmanager is to believe that an alert fires if it hears no more of it.
pub const BELIEVED: Duration = Duration::from_secs(240);

/// Alertmanager's webhook payload, version 4.
pub fn webhook(notice: &Notice, receiver: &str, link: &str) -> Value {
    let alerts: Vec<Value> =
        notice.alerts.iter().take(ALERTS_MAX).map(|alert| of_alert(alert, link)).collect();
    json!({
        "version": "4",
        "groupKey": group_key(&notice.group),
        "truncatedAlerts": notice.alerts.len() - alerts.len(),
        "status": notice.phase().name(),
        "receiver": receiver,
        "groupLabels": notice.group,
        "commonLabels": common(notice.alerts.iter().map(|alert| alert.labels.clone())),
        "commonAnnotations": common(notice.alerts.iter().map(annotations)),
        "externalURL": link,
        "alerts": alerts,
    })
}

fn of_alert(alert: &Alert, link: &str) -> Value {
    json!({
        "status": if alert.phase == Phase::Resolved { "resolved" } else { "firing" },
        "labels": alert.labels,
        "annotations": annotations(alert),
        "startsAt": rfc3339(starts(alert)),
        "endsAt": alert.resolved.map_or(NEVER.to_owned(), |at| rfc3339(at.wall)),
        "generatorURL": generator(link),
        "fingerprint": alert.id,
    })
}

/// The body of Alertmanager's `POST /api/v2/alerts`.
pub fn alertmanager(notice: &Notice, link: &str, now: SystemTime) -> Value {
    let of = |alert: &Alert| {
        let ends = alert.resolved.map_or(now + BELIEVED, |at| at.wall);
        json!({
            "labels": alert.labels,
            "annotations": annotations(alert),
            "startsAt": rfc3339(starts(alert)),
            "endsAt": rfc3339(ends),
            "generatorURL": generator(link),
        })
    };
    notice.alerts.iter().map(of).collect()
}

/// A message with one attachment, its colour by how grave it is.
pub fn slack(notice: &Notice, link: &str) -> Value {
    let colour = match (notice.phase(), gravest(notice)) {
        (Phase::Resolved, _) => "good",
        (_, Severity::Critical) => "danger",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "#439fe0",
    };
    let lines = lines(notice, |alert| {
        format!("*{}* {}: {}", escaped(&alert.rule.summary), told(alert), escaped(&alert.words))
    });
    let title = subject(notice);
    json!({
        "text": escaped(&title),
        "attachments": [{
            "color": colour,
            "fallback": escaped(&title),
            "title": "Tidegate",
            "title_link": link,
            "text": lines,
            "mrkdwn_in": ["text"],
        }],
    })
}

/// One line: `[FIRING:2] errors (model=smart)`.
pub fn subject(notice: &Notice) -> String {
    let firing = notice.alerts.iter().filter(|alert| alert.phase == Phase::Firing).count();
    let status = match notice.phase() {
        Phase::Resolved => "RESOLVED".to_owned(),
        _ => format!("FIRING:{firing}"),
    };
    let names: Vec<&str> = notice.group.values().map(String::as_str).collect();
    let rest = common(notice.alerts.iter().map(|alert| alert.labels.clone()));
    let rest = rest.iter().filter(|(name, _)| !notice.group.contains_key(*name) && *name != "severity");
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value}")).collect();
    let mut text = format!("[{status}] {}", names.join(" "));
    if !rest.is_empty() {
        let _ = write!(text, " ({})", rest.join(", "));
    }
    // What becomes a mail's head is one line, whatever a label holds.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// Plain text for people.
pub fn text(notice: &Notice, link: &str) -> String {
    let lines = lines(notice, |alert| {
        let labels: Vec<String> =
            alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let ends = alert.resolved.map_or(String::new(), |at| format!("\n  until {}", rfc3339(at.wall)));
        format!(
            "{} {}\n  {}\n  since {}{ends}\n  {}\n",
            alert.rule.summary,
            told(alert),
            alert.words,
            rfc3339(starts(alert)),
            labels.join(", ")
        )
    });
    format!("{lines}\n{link}\n")
}

fn lines(notice: &Notice, line: impl Fn(&Alert) -> String) -> String {
    let mut lines: Vec<String> = notice.alerts.iter().take(LINES_MAX).map(line).collect();
    if let Some(more) = notice.alerts.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn told(alert: &Alert) -> String {
    match alert.phase {
        Phase::Resolved => "is over".to_owned(),
        _ => format!("({})", alert.rule.severity.name()),
    }
}

fn gravest(notice: &Notice) -> Severity {
    notice.alerts.iter().map(|alert| alert.rule.severity).max().unwrap_or(Severity::Info)
}

/// As Alertmanager writes it: the route, which is our only one, and the group's labels.
fn group_key(group: &Labels) -> String {
    let labels: Vec<String> = group.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{}}:{{{}}}", labels.join(", "))
}

fn starts(alert: &Alert) -> SystemTime {
    alert.fired.unwrap_or(alert.since).wall
}

fn generator(link: &str) -> String {
    format!("{link}/admin/alerts")
}

fn annotations(alert: &Alert) -> Labels {
    [("summary", alert.rule.summary.clone()), ("description", alert.words.clone())]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

/// What all of them have in common.
fn common(mut all: impl Iterator<Item = Labels>) -> Labels {
    let mut common = all.next().unwrap_or_default();
    for other in all {
        common.retain(|name, value| other.get(name) == Some(value));
    }
    common
}

/// Slack's three characters that mean something.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
