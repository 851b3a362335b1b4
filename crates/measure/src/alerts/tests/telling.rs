//! Who is told of what, and how often.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn threshold(name: &str, figure: &str) -> Rule {
    let of = Selector { figure: figure.into(), window: seconds(1), ..Selector::default() };
    Rule { name: name.into(), of, ..rule(Kind::Threshold(Limit::Above(0.5))) }
}

fn terms(wait: u64, interval: u64, repeat: u64) -> Grouping {
    let (wait, interval, repeat) = (seconds(wait), seconds(interval), seconds(repeat));
    Grouping { by: vec!["team".into()], wait, interval, repeat }
}

/// When what was told: a second, and each alert with its phase.
fn told(stand: &Stand) -> Vec<(u64, Vec<(&str, &str)>)> {
    stand
        .told
        .iter()
        .map(|(second, notice)| {
            let alerts = notice.alerts.iter();
            let mut alerts: Vec<_> =
                alerts.map(|alert| (alert.rule.name.as_str(), alert.phase.name())).collect();
            alerts.sort_by_key(|(name, phase)| (*phase != "firing", *name));
            (*second, alerts)
        })
        .collect()
}

#[test]
fn what_breaks_together_is_told_together_and_once_a_repeat() {
    let rules = vec![threshold("a", "f"), threshold("b", "g")];
    let mut stand = Stand::new(terms(10, 60, 600), rules);
    stand.script.course("f", &[], |t| Some(f64::from(t < 2000)));
    stand.script.course("g", &[], |t| Some(f64::from((5..2000).contains(&t))));
    stand.run(3000);
    let both = |phase| vec![("a", phase), ("b", phase)];
    let expected = [11, 611, 1211, 1811].map(|second| (second, both("firing")));
    let expected: Vec<_> = expected.into_iter().chain([(2000, both("resolved"))]).collect();
    assert_eq!(told(&stand), expected);
}

#[test]
fn a_change_is_told_at_the_next_interval() {
    let rules = vec![threshold("a", "f"), threshold("b", "g")];
    let mut stand = Stand::new(terms(10, 60, 600), rules);
    stand.script.course("f", &[], |t| Some(f64::from(t < 90)));
    stand.script.course("g", &[], |t| Some(f64::from(t >= 30)));
    stand.run(200);
    let expected = vec![
        (11, vec![("a", "firing")]),
        (71, vec![("a", "firing"), ("b", "firing")]),
        (131, vec![("b", "firing"), ("a", "resolved")]),
    ];
    assert_eq!(told(&stand), expected);
}

#[test]
fn what_is_over_before_anybody_was_told_is_not_told() {
    let mut stand = Stand::new(terms(10, 60, 600), vec![threshold("a", "f")]);
    stand.script.course("f", &[], |t| Some(f64::from(t % 100 < 9)));
    stand.run(1000);
    assert_eq!(told(&stand), []);
    assert!(stand.events().len() >= 18, "it fired all the same");
}

#[test]
fn what_is_silenced_is_not_told_nor_is_its_end() {
    let mut stand = Stand::new(terms(0, 10, 600), vec![threshold("a", "f")]);
    stand.script.course("f", &[], |t| Some(f64::from((100..400).contains(&t) || t > 500)));
    let wall = |second| stand.start.wall + seconds(second);
    let matcher = |value: &str| Matcher { name: "alertname".into(), value: value.into(), equal: true };
    let silence = Silence {
        id: "s".into(),
        matchers: vec![matcher("a")],
        from: wall(200),
        until: wall(600),
        author: String::new(),
        comment: String::new(),
    };
    stand.alerts.silence(silence).unwrap();
    stand.run(1000);
    assert_eq!(told(&stand), [(100, vec![("a", "firing")]), (600, vec![("a", "firing")])]);
    assert_eq!(stand.alerts.silences().count(), 0, "what is over is forgotten");
}

#[test]
fn a_silence_that_is_lifted_lets_its_alert_be_told() {
    let mut stand = Stand::new(terms(0, 10, 600), vec![threshold("a", "f")]);
    stand.script.course("f", &[], |_| Some(1.0));
    let matchers = vec![Matcher { name: "severity".into(), value: "warn*".into(), equal: true }];
    let (from, until) = (stand.start.wall, stand.start.wall + seconds(9000));
    let (author, comment) = ("me".to_owned(), "known".to_owned());
    let silence = Silence { id: "s".into(), matchers, from, until, author, comment };
    stand.alerts.silence(silence).unwrap();
    stand.run(50);
    let alert = stand.alerts.alerts().next().unwrap();
    assert_eq!(stand.alerts.silenced_by(alert, stand.now()).count(), 1);
    assert!(stand.alerts.unsilence("s") && !stand.alerts.unsilence("s"));
    stand.run(100);
    assert_eq!(told(&stand), [(51, vec![("a", "firing")])]);
}

#[test]
fn there_is_a_bound_to_silences() {
    let mut alerts = Alerts::new(Grouping::default());
    let now = Moment::now().wall;
    let silence = |n: usize| Silence {
        id: n.to_string(),
        matchers: vec![],
        from: now,
        until: now + seconds(60),
        author: String::new(),
        comment: String::new(),
    };
    (0..SILENCES_MAX).for_each(|n| alerts.silence(silence(n)).unwrap());
    assert!(alerts.silence(silence(SILENCES_MAX)).is_err());
    assert!(alerts.silence(silence(7)).is_ok(), "in the place of the one of the same id");
}

/// Values that hold for a while each, of four rules in two groups.
fn spans() -> impl Strategy<Value = Vec<(u64, [bool; 4])>> {
    proptest::collection::vec((1_u64..120, any::<[bool; 4]>()), 1..40)
}

/// Whatever is set by hand.
#[derive(Default)]
struct Set(BTreeMap<String, f64>);

impl Figures for Set {
    fn value(&self, name: &str, _: &[(&str, &str)], _: Duration) -> Option<f64> {
        self.0.get(name).copied()
    }

    fn series(&self, _: &str) -> Vec<Labels> {
        vec![Labels::new()]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However figures come and go: a group is not told of more often than its interval, nor of the same thing more
    /// often than its repeat; and no group that fires for longer than the wait and the repeat stays untold.
    #[test]
    fn there_is_no_storm_and_nobody_is_forgotten(spans in spans()) {
        let (wait, interval, repeat) = (10, 30, 300);
        let names = ["f", "g", "h", "i"];
        let rules = names.iter().enumerate().map(|(at, name)| {
            Rule { labels: labels_of(&[("team", ["x", "y"][at % 2])]), ..threshold(name, name) }
        });
        let mut alerts = Alerts::new(terms(wait, interval, repeat));
        let start = Moment::now();
        alerts.set_rules(rules.collect(), start);
        let (mut figures, mut second) = (Set::default(), 0);
        let mut last: BTreeMap<Labels, (u64, BTreeSet<String>)> = BTreeMap::new();
        let mut untold: BTreeMap<Labels, u64> = BTreeMap::new();
        for (span, values) in spans {
            for (name, value) in names.iter().zip(values) {
                figures.0.insert((*name).to_owned(), f64::from(value));
            }
            for _ in 0..span {
                second += 1;
                let notices = alerts.tick(&figures, start.after(seconds(second)));
                for notice in &notices {
                    let firing: BTreeSet<String> = notice.alerts.iter()
                        .filter(|alert| alert.phase == Phase::Firing)
                        .map(|alert| alert.id.clone())
                        .collect();
                    if let Some((at, before)) = last.insert(notice.group.clone(), (second, firing.clone())) {
                        prop_assert!(second - at >= interval, "told {at} and {second}");
                        let has_changed = before != firing || notice.phase() == Phase::Resolved
                            || notice.alerts.len() > firing.len();
                        prop_assert!(has_changed || second - at >= repeat, "the same told {at} and {second}");
                    }
                    untold.remove(&notice.group);
                }
                let firing: BTreeSet<Labels> = alerts.alerts()
                    .filter(|alert| alert.phase == Phase::Firing)
                    .map(|alert| labels_of(&[("team", &alert.labels["team"])]))
                    .collect();
                untold.retain(|group, _| firing.contains(group));
                for group in firing {
                    let since = *untold.entry(group).or_insert(second);
                    prop_assert!(second - since <= repeat.max(interval) + wait, "untold since {since}");
                }
            }
        }
    }
}
