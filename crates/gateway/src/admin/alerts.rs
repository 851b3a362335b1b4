//! `/admin/alerts`: what fires, what may, what was; silences; and whether those who are to be told can be.

use super::refusal;
use super::refused::{self, Path};
use crate::alerts::figures::{KNOWN, Known};
use crate::alerts::receiver::Receiver;
use crate::alerts::{Refused, Tested};
use crate::gateway::Gateway;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use measure::alerts::{Alert, Alerts, Event, Matcher, Phase, Rule, Silence};
use measure::moment::Moment;
use rig::load::units::{parse_duration, rfc3339};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;
use wire::failure::{Failure, Kind};

/// Events that are shown.
const HISTORY_MAX: usize = 200;
/// Matchers of one silence, and bytes of each text of it.
const MATCHERS_MAX: usize = 20;
const TEXT_BYTES_MAX: usize = 1000;

/// A silence that is asked for.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What is to be silent; all of them must match.
    pub matchers: Vec<AskedMatcher>,
    /// For how long, as `2h`; or `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Until when, as RFC 3339 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Who wants it.
    #[serde(default)]
    pub author: String,
    /// Why.
    #[serde(default)]
    pub comment: String,
}

/// A word on one label.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AskedMatcher {
    /// The label.
    pub name: String,
    /// Its value; `*` stands for anything.
    pub value: String,
    /// `false`: every value but this.
    #[serde(default = "yes")]
    pub equal: bool,
}

fn yes() -> bool {
    true
}

/// `GET /admin/alerts`
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let now = Moment::now();
    let is_enabled = gateway.snapshot(0).config.alerts.enabled;
    let view = gateway.alerting.view();
    let alerts = view.alerts();
    let (resolved, standing): (Vec<_>, Vec<_>) =
        alerts.alerts().partition(|alert| alert.phase == Phase::Resolved);
    // What fires first, the gravest of it first.
    let mut standing = standing;
    standing.sort_by_key(|alert| (alert.phase != Phase::Firing, std::cmp::Reverse(alert.rule.severity)));
    let said = json!({
        "enabled": is_enabled,
        "alerts": standing.iter().map(|alert| of_alert(alerts, alert, now)).collect::<Vec<_>>(),
        "resolved": resolved.iter().map(|alert| of_alert(alerts, alert, now)).collect::<Vec<_>>(),
        "history": alerts.history().take(HISTORY_MAX).map(of_event).collect::<Vec<_>>(),
        "silences": alerts.silences().map(of_silence).collect::<Vec<_>>(),
        "rules": alerts.rules().map(of_rule).collect::<Vec<_>>(),
        "receivers": view.receivers().iter().map(|receiver| of_receiver(receiver)).collect::<Vec<_>>(),
        "figures": KNOWN.iter().map(of_figure).collect::<Vec<_>>(),
        "left_out": alerts.left_out(),
    });
    drop(view);
    Json(said).into_response()
}

/// `POST /admin/alerts/silences`
pub async fn silence(
    State(gateway): State<Arc<Gateway>>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Response {
    let asked = asked.map_err(refused::body).map(|Json(asked)| asked);
    let silence = match asked.and_then(|asked| asked.silence(SystemTime::now())) {
        Ok(silence) => silence,
        Err(failure) => return refusal(&failure),
    };
    let said = of_silence(&silence);
    match gateway.alerting.silence(silence).await {
        Ok(()) => Json(said).into_response(),
        Err(why) => refusal(&failure(&why)),
    }
}

/// `DELETE /admin/alerts/silences/{id}`
pub async fn unsilence(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    match gateway.alerting.unsilence(&id).await {
        Ok(()) => Json(json!({ "id": id, "ended": true })).into_response(),
        Err(why) => refusal(&failure(&why)),
    }
}

/// `POST /admin/alerts/test`
pub async fn test(State(gateway): State<Arc<Gateway>>) -> Response {
    let tested = gateway.alerting.test(&gateway).await;
    Json(json!({ "receivers": tested.iter().map(of_tested).collect::<Vec<_>>() })).into_response()
}

impl Asked {
    fn silence(self, now: SystemTime) -> Result<Silence, Failure> {
        if self.matchers.is_empty() || self.matchers.len() > MATCHERS_MAX {
            return Err(bad(&format!("name 1 to {MATCHERS_MAX} 'matchers'")));
        }
        let texts = self.matchers.iter().flat_map(|matcher| [&matcher.name, &matcher.value]);
        if texts.chain([&self.author, &self.comment]).any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(bad(&format!("no text may be longer than {TEXT_BYTES_MAX} bytes")));
        }
        if self.matchers.iter().any(|matcher| matcher.name.is_empty()) {
            return Err(bad("a matcher needs the 'name' of a label"));
        }
        let until = self.end(now)?;
        let of = |AskedMatcher { name, value, equal }| Matcher { name, value, equal };
        Ok(Silence {
            id: format!("{:016x}", fastrand::u64(..)),
            matchers: self.matchers.into_iter().map(of).collect(),
            from: now,
            until,
            author: self.author,
            comment: self.comment,
        })
    }

    fn end(&self, now: SystemTime) -> Result<SystemTime, Failure> {
        let until = match (&self.duration, &self.until) {
            (Some(duration), None) => {
                let duration = parse_duration(duration);
                now + duration
                    .map_err(|_| bad("'duration' is no duration of up to 100 days; write it as 2h"))?
            }
            (None, Some(until)) => {
                let until: Result<jiff::Timestamp, _> = until.parse();
                until.map_err(|_| bad("'until' is no time; write it as 2030-01-31T12:00:00Z"))?.into()
            }
            _ => return Err(bad("give either 'duration' or 'until'")),
        };
        if until <= now {
            return Err(bad("it would be over already"));
        }
        Ok(until)
    }
}

fn bad(what: &str) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("Nothing was silenced: {what}."))
}

fn failure(why: &Refused) -> Failure {
    match why {
        Refused::TooMany => bad("there are as many silences as there may be"),
        Refused::Unknown => Failure::new(Kind::NotFound, "There is no such silence.").with_code("not_found"),
        Refused::NotKept(error) => {
            let public = "The silences could not be written to the data folder.";
            Failure::new(Kind::Internal, public).with_detail(error.to_string())
        }
    }
}

fn of_alert(alerts: &Alerts, alert: &Alert, now: Moment) -> Value {
    let silenced: Vec<&str> = alerts.silenced_by(alert, now).map(|silence| silence.id.as_str()).collect();
    json!({
        "id": alert.id,
        "name": alert.rule.name,
        "state": alert.phase.name(),
        "severity": alert.rule.severity.name(),
        "kind": alert.rule.kind.name(),
        "labels": alert.labels,
        "summary": alert.rule.summary,
        "description": alert.words,
        "figure": alert.rule.of.figure,
        "value": alert.value,
        "since": rfc3339(alert.since.wall),
        "fired_at": alert.fired.map(|at| rfc3339(at.wall)),
        "resolved_at": alert.resolved.map(|at| rfc3339(at.wall)),
        "silenced_by": silenced,
    })
}

fn of_event(event: &Event) -> Value {
    json!({
        "at": rfc3339(event.at.wall),
        "id": event.id,
        "name": event.name,
        "state": event.phase.name(),
        "severity": event.severity.name(),
        "labels": event.labels,
        "fired_at": event.fired.map(|at| rfc3339(at.wall)),
        "value": event.value,
        "description": event.words,
    })
}

fn of_silence(silence: &Silence) -> Value {
    let of =
        |matcher: &Matcher| json!({ "name": matcher.name, "value": matcher.value, "equal": matcher.equal });
    json!({
        "id": silence.id,
        "matchers": silence.matchers.iter().map(of).collect::<Vec<_>>(),
        "from": rfc3339(silence.from),
        "until": rfc3339(silence.until),
        "author": silence.author,
        "comment": silence.comment,
    })
}

fn of_rule(rule: &Rule) -> Value {
    json!({
        "name": rule.name,
        "kind": rule.kind.name(),
        "figure": rule.of.figure,
        "where": rule.of.with,
        "by": rule.of.by,
        "window_seconds": rule.of.window.as_secs_f64(),
        "for_seconds": rule.hold.as_secs_f64(),
        "keep_firing_for_seconds": rule.keep_firing.as_secs_f64(),
        "severity": rule.severity.name(),
        "summary": rule.summary,
    })
}

/// What rules may name.
fn of_figure(known: &Known) -> Value {
    json!({ "name": known.name, "labels": known.labels, "help": known.help })
}

/// Its host may be shown; the rest of an address may be secret.
fn of_receiver(receiver: &Receiver) -> Value {
    let (settings, health) = (&receiver.settings, receiver.health());
    let fault = health.fault.map(|(at, words)| json!({ "at": rfc3339(at), "words": words }));
    json!({
        "name": settings.name,
        "kind": settings.way.name(),
        "place": settings.way.place(),
        "severity_min": settings.severity_min.name(),
        "healthy": health.failing == 0,
        "waiting": receiver.waiting(),
        "ok": health.ok,
        "failed": health.failed,
        "dropped": health.dropped,
        "ok_at": health.ok_at.map(rfc3339),
        "last_fault": fault,
    })
}

fn of_tested(tested: &Tested) -> Value {
    let (Ok(words) | Err(words)) = &tested.result;
    json!({
        "name": tested.receiver.settings.name,
        "kind": tested.receiver.settings.way.name(),
        "place": tested.receiver.settings.way.place(),
        "ok": tested.result.is_ok(),
        "said": words,
        "seconds": tested.took.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Asked;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_silence_has_matchers_and_an_end_that_is_to_come() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        let lasts = |text: &str| {
            let asked: Asked = serde_json::from_str(text).unwrap();
            asked.silence(now).ok().map(|silence| silence.until.duration_since(now).unwrap().as_secs())
        };
        let one = r#""matchers":[{"name":"alertname","value":"errors"}]"#;
        for (text, expected) in [
            (format!(r#"{{{one},"duration":"2h"}}"#), Some(7200)),
            (format!(r#"{{{one},"until":"2030-03-17T17:46:41Z"}}"#), Some(1)),
            (format!(r#"{{{one},"until":"2030-03-17T17:46:40Z"}}"#), None),
            (format!(r#"{{{one},"until":"tomorrow"}}"#), None),
            (format!(r#"{{{one},"duration":"soon"}}"#), None),
            (format!(r#"{{{one},"duration":"0s"}}"#), None),
            (format!(r#"{{{one}}}"#), None),
            (format!(r#"{{{one},"duration":"1h","until":"2030-03-17T17:46:41Z"}}"#), None),
            (r#"{"matchers":[],"duration":"2h"}"#.to_owned(), None),
            (r#"{"matchers":[{"name":"","value":"x"}],"duration":"2h"}"#.to_owned(), None),
        ] {
            assert_eq!(lasts(&text), expected, "{text}");
        }
        assert!(serde_json::from_str::<Asked>(r#"{"matchers":[],"for":"2h"}"#).is_err());
    }
}
