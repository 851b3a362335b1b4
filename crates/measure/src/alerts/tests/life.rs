//! The states of an alert, and what leads from one to the next.

use super::*;

fn above() -> Rule {
    rule(Kind::Threshold(Limit::Above(0.5)))
}

fn at_once() -> Rule {
    Rule { of: Selector { window: seconds(1), ..above().of }, ..above() }
}

#[test]
fn an_alert_is_pending_until_it_has_held_for_long_enough() {
    let mut stand = Stand::of(Rule { hold: seconds(30), ..at_once() }, |t| Some(f64::from(t > 10)));
    stand.run(11);
    assert_eq!(stand.phases()["r"], Phase::Pending);
    stand.run(40);
    assert_eq!((stand.phases()["r"], stand.told.len()), (Phase::Pending, 0));
    stand.run(41);
    assert_eq!((stand.phases()["r"], stand.events()), (Phase::Firing, vec![("firing", 41)]));
}

#[test]
fn what_does_not_hold_for_long_enough_leaves_no_trace() {
    let mut stand = Stand::of(Rule { hold: seconds(30), ..at_once() }, |t| Some(f64::from(t % 30 > 2)));
    stand.run(300);
    assert_eq!((stand.events(), stand.told.len()), (vec![], 0));
}

#[test]
fn what_flaps_goes_on_firing_while_it_is_kept() {
    let flapping: Course = |t| Some(f64::from(t < 300 && t % 20 < 10));
    let mut stand = Stand::of(Rule { keep_firing: seconds(30), ..at_once() }, flapping);
    stand.run(400);
    assert_eq!(stand.events(), [("firing", 1), ("resolved", 319)]);
}

#[test]
fn too_little_traffic_says_nothing() {
    let traffic = Some(Traffic { figure: "requests".into(), at_least: 5.0 });
    let mut stand = Stand::of(Rule { traffic, ..at_once() }, |_| Some(1.0));
    stand.script.course("requests", &[], |t| Some(if t > 100 { 5.0 } else { 4.0 }));
    stand.run(200);
    assert_eq!(stand.events(), [("firing", 101)]);
}

#[test]
fn each_series_has_an_alert_of_its_own_and_the_rules_labels() {
    let of = Selector { by: vec!["model".into()], with: labels_of(&[("operation", "chat")]), ..at_once().of };
    let rule = Rule { of, labels: labels_of(&[("team", "a")]), ..at_once() };
    let mut stand = Stand::new(Grouping::default(), vec![rule]);
    stand.script.course("f", &[("model", "m"), ("operation", "chat")], |_| Some(1.0));
    stand.script.course("f", &[("model", "n"), ("operation", "chat")], |_| Some(0.0));
    stand.script.course("f", &[("model", "o"), ("operation", "other")], |_| Some(1.0));
    stand.run(5);
    let labels: Vec<Labels> = stand.alerts.alerts().map(|alert| alert.labels.clone()).collect();
    let expected = [("alertname", "r"), ("model", "m"), ("severity", "warning"), ("team", "a")];
    assert_eq!(labels, [labels_of(&expected)]);
}

#[test]
fn a_series_that_is_gone_is_resolved() {
    let rule = Rule { of: Selector { by: vec!["model".into()], ..at_once().of }, ..at_once() };
    let mut stand = Stand::new(Grouping::default(), vec![rule]);
    stand.script.course("f", &[("model", "m")], |_| Some(1.0));
    stand.run(10);
    stand.script = Script::default();
    stand.run(11);
    assert_eq!(stand.events(), [("firing", 1), ("resolved", 11)]);
}

#[test]
fn a_rule_that_is_changed_or_taken_away_resolves_its_alerts_and_tells_so() {
    let mut stand = Stand::of(at_once(), |_| Some(1.0));
    stand.run(5);
    stand.alerts.set_rules(vec![at_once()], stand.now());
    stand.run(10);
    assert_eq!(stand.events(), [("firing", 1)], "the same rule goes on");
    stand.alerts.set_rules(vec![], stand.now());
    stand.run(11);
    assert_eq!(stand.events(), [("firing", 1), ("resolved", 10)]);
    assert_eq!(stand.told.last().unwrap().1.phase(), Phase::Resolved);
}

#[test]
fn there_is_a_bound_to_series_rules_and_events() {
    let rule = Rule { of: Selector { by: vec!["n".into()], ..at_once().of }, ..at_once() };
    let flapping: Course = |t| Some(f64::from(t % 2 == 0));
    let mut stand = Stand::new(Grouping::default(), vec![rule]);
    for n in 0..ALERTS_OF_RULE_MAX + 7 {
        stand.script.course("f", &[("n", &n.to_string())], flapping);
    }
    stand.run(20);
    assert_eq!((stand.alerts.alerts().count(), stand.alerts.left_out()), (ALERTS_OF_RULE_MAX, 7));
    assert_eq!(stand.alerts.history().count(), 1000);
    let many = (0..RULES_MAX + 1).map(|n| Rule { name: n.to_string(), ..at_once() }).collect();
    stand.alerts.set_rules(many, stand.now());
    assert_eq!(stand.alerts.rules().count(), RULES_MAX);
}

#[test]
fn an_alerts_id_is_what_alertmanager_calls_it() {
    // As `amtool` and its interface show it, of Prometheus' `model.LabelSet.Fingerprint`.
    assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
    assert_ne!(fingerprint(&labels_of(&[("a", "bc")])), fingerprint(&labels_of(&[("ab", "c")])));
}
