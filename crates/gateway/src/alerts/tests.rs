//! What receivers are told, and that none waits for another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod mail;

use super::receiver::{Parcel, Receiver};
use super::*;
use crate::config::{BaseUrl, Spot, Way};
use crate::stand::Stand;
use measure::alerts::{Figures, Kind, Limit, Rule, Selector};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A figure that is what it is.
struct Set(f64);

impl Figures for Set {
    fn value(&self, _: &str, _: &[(&str, &str)], _: Duration) -> Option<f64> {
        Some(self.0)
    }

    fn series(&self, _: &str) -> Vec<Labels> {
        vec![Labels::new()]
    }
}

fn rule(name: &str, severity: Severity) -> Rule {
    Rule {
        name: name.into(),
        kind: Kind::Threshold(Limit::Above(0.01)),
        of: Selector {
            figure: "error_share".into(),
            window: Duration::from_secs(300),
            ..Selector::default()
        },
        hold: Duration::ZERO,
        keep_firing: Duration::ZERO,
        severity,
        traffic: None,
        labels: [("team".to_owned(), "a<b".to_owned())].into(),
        summary: "Requests fail".into(),
    }
}

/// Two alerts that fire, of one group; and later are over.
fn notices() -> (Notice, Notice) {
    let terms = Grouping {
        by: vec!["team".into()],
        wait: Duration::ZERO,
        interval: Duration::ZERO,
        ..Grouping::default()
    };
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let start = Moment { wall, ..Moment::now() };
    let mut alerts = Alerts::new(terms);
    alerts.set_rules(vec![rule("errors", Severity::Critical), rule("other", Severity::Info)], start);
    let mut at =
        |value, seconds| alerts.tick(&Set(value), start.after(Duration::from_secs(seconds))).remove(0);
    (at(0.5, 0), at(0.0, 60))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_webhook_is_told_what_alertmanager_would_tell_it() {
    let (firing, over) = notices();
    let said = payload::webhook(&firing, "pager", "http://gateway:4001");
    let expected = [
        "version",
        "groupKey",
        "truncatedAlerts",
        "status",
        "receiver",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "alerts",
    ];
    assert_eq!(keys(&said), BTreeSet::from(expected));
    assert_eq!(said["version"], "4");
    assert_eq!((&said["status"], &said["receiver"]), (&json!("firing"), &json!("pager")));
    assert_eq!(said["groupKey"], r#"{}:{team="a<b"}"#);
    assert_eq!(said["commonLabels"], json!({ "team": "a<b" }));
    let alert = &said["alerts"][0];
    let expected = ["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"];
    assert_eq!(keys(alert), BTreeSet::from(expected));
    assert_eq!(alert["labels"], json!({ "alertname": "errors", "severity": "critical", "team": "a<b" }));
    assert_eq!(alert["annotations"]["description"], "error_share is 50 %, above 1 %, over 5 m");
    assert_eq!(
        (&alert["startsAt"], &alert["endsAt"]),
        (&json!("2030-03-17T17:46:40Z"), &json!("0001-01-01T00:00:00Z"))
    );
    let said = payload::webhook(&over, "pager", "http://gateway:4001");
    assert_eq!(
        (&said["status"], &said["alerts"][0]["endsAt"]),
        (&json!("resolved"), &json!("2030-03-17T17:47:40Z"))
    );
}

#[test]
fn alertmanager_is_told_until_when_to_believe_it() {
    let (firing, over) = notices();
    let now = firing.alerts[0].since.wall;
    let said = payload::alertmanager(&firing, "http://g", now);
    assert_eq!(
        keys(&said[0]),
        BTreeSet::from(["labels", "annotations", "startsAt", "endsAt", "generatorURL"])
    );
    assert_eq!(said[0]["endsAt"], "2030-03-17T17:50:40Z");
    assert_eq!(payload::alertmanager(&over, "http://g", now)[0]["endsAt"], "2030-03-17T17:47:40Z");
}

#[test]
fn people_are_told_in_words() {
    let (firing, over) = notices();
    assert_eq!(payload::subject(&firing), "[FIRING:2] a<b");
    assert_eq!(payload::subject(&over), "[RESOLVED] a<b");
    let text = payload::text(&firing, "http://g");
    for words in ["Requests fail (critical)", "error_share is 50 %", "since 2030-03-17T17:46:40Z", "http://g"]
    {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    let slack = payload::slack(&firing, "http://g");
    assert_eq!(slack["text"], "[FIRING:2] a&lt;b");
    assert_eq!(slack["attachments"][0]["color"], "danger");
    assert_eq!(payload::slack(&over, "http://g")["attachments"][0]["color"], "good");
}

#[test]
fn a_label_cannot_break_out_of_a_subject() {
    let (mut notice, _) = notices();
    notice.group.insert("team".into(), "a\r\nBcc: x@y.z".into());
    assert!(!payload::subject(&notice).contains(['\r', '\n']));
}

/// A receiver at a port of this machine.
fn receiver(port: u16, severity_min: Severity, resolved: bool) -> Receiver {
    let base = BaseUrl {
        https: false,
        host: "127.0.0.1".into(),
        port,
        path: String::new(),
        named_by_operator: true,
    };
    let way = Way::Slack(Spot { base, target: "/".into() });
    let timeout = Duration::from_millis(200);
    Receiver::new(config::Receiver { name: "r".into(), way, timeout, severity_min, resolved })
}

fn parcel(notice: Notice) -> Parcel {
    Parcel { id: "alert_1".into(), notice, link: "http://g".into(), replaces: false }
}

#[test]
fn a_receiver_hears_what_it_wants_to_and_its_queue_has_a_bound() {
    let stand = Stand::start("");
    let (firing, over) = notices();
    let check = |severity, resolved, notice: &Notice, expected: usize| {
        let receiver = receiver(1, severity, resolved);
        receiver.tell(&stand.gateway, &parcel(notice.clone()));
        assert_eq!(receiver.waiting(), expected, "{severity:?} {resolved}");
    };
    check(Severity::Critical, true, &firing, 1);
    check(Severity::Critical, true, &over, 1);
    check(Severity::Critical, false, &over, 0);
    let receiver = receiver(1, Severity::Info, true);
    (0..100).for_each(|_| receiver.tell(&stand.gateway, &parcel(firing.clone())));
    assert_eq!((receiver.waiting(), receiver.health().dropped), (64, 36));
    receiver.tell(&stand.gateway, &Parcel { replaces: true, ..parcel(firing) });
    assert_eq!(receiver.waiting(), 1, "the newest says all that those before it said");
}

#[tokio::test]
async fn one_that_hangs_is_given_up_after_its_time_and_one_that_is_not_public_is_not_called() {
    let stand = Stand::start("");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hanging = receiver(port, Severity::Info, true);
    let fault = hanging.attempt(&stand.gateway, &parcel(notices().0)).await.unwrap_err();
    assert!(!fault.is_lasting && fault.words.contains("no answer within 0.2 s"), "{fault:?}");
    assert_eq!(hanging.health().failing, 1);
    let mut private = receiver(port, Severity::Info, true);
    if let Way::Slack(spot) = &mut private.settings.way {
        spot.base.named_by_operator = false;
    }
    let fault = private.attempt(&stand.gateway, &parcel(notices().0)).await.unwrap_err();
    assert!(fault.is_lasting && fault.words.contains("private = true"), "{fault:?}");
}
