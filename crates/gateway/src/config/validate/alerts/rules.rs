//! Rules: those that are there, those that are given, and what fits their kinds.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use measure::alerts::{
    Burn, FORECAST_WINDOW_MIN, Kind, Limit, PAGE, Rule, Selector, Severity, TICKET, Traffic, WINDOWS_MIN,
};
use measure::past::WINDOW_MAX;

use super::{WAIT, or_nought, table};
use crate::alerts::figures::{KNOWN, Known};
use crate::config::quantity::Span;
use crate::config::raw::{AlertRule, RuleKind, Severity as RawSeverity};
use crate::config::schema::nearest;
use crate::config::tree::Path;
use crate::config::validate::Judge;

/// How many rules are there without a word.
pub(super) const PRESETS: usize = 5;
/// A window that figures are known over.
const WINDOW: RangeInclusive<Span> = Span::seconds(1)..=Span(WINDOW_MAX);
/// One that a line can be drawn through.
const FORECAST_WINDOW: RangeInclusive<Span> = Span(FORECAST_WINDOW_MIN)..=Span(WINDOW_MAX);
/// A forecast's horizon: up to a year.
const WITHIN: RangeInclusive<Span> = Span::seconds(1)..=Span::seconds(366 * 86_400);
/// Fewer requests than this say little of how they go.
const REQUESTS_MIN: u64 = 20;

/// The rules that are there without a word.
fn presets() -> [(&'static str, AlertRule); PRESETS] {
    let rule = |figure: &str, above: f64, window: u64, hold: u64, summary: &str| AlertRule {
        figure: Some(figure.to_owned()),
        above: Some(above),
        window: Some(Span::seconds(window)),
        hold: Some(Span::seconds(hold)),
        keep_firing_for: Some(Span::seconds(60)),
        summary: Some(summary.to_owned()),
        ..AlertRule::default()
    };
    let requests_min = Some(REQUESTS_MIN);
    let response = rule("response_p95_seconds", 0.5, 300, 300, "Answers are slow");
    let errors = rule("error_share", 0.01, 300, 60, "Requests fail");
    let failures = rule("failures", 0.0, 60, 30, "Calls to providers fail");
    let by = ["scope", "provider", "kind"].map(ToOwned::to_owned);
    [
        ("response", AlertRule { requests_min, ..response }),
        ("errors", AlertRule { requests_min, severity: Some(RawSeverity::Critical), ..errors }),
        ("memory", rule("memory_share", 0.8, 60, 300, "Memory runs out")),
        ("cpu", rule("cpu_share", 0.7, 60, 300, "The processors are busy")),
        ("failures", AlertRule { by: Some(by.into()), ..failures }),
    ]
}

impl AlertRule {
    /// What is given here, and `other` where nothing is.
    fn or(self, other: Self) -> Self {
        // Which side a limit is on is one choice: who gives the one takes back the other.
        let (above, below) = match (self.above, self.below) {
            (None, None) => (other.above, other.below),
            given => given,
        };
        Self {
            enabled: self.enabled.or(other.enabled),
            kind: self.kind.or(other.kind),
            figure: self.figure.or(other.figure),
            only: self.only.or(other.only),
            by: self.by.or(other.by),
            above,
            below,
            window: self.window.or(other.window),
            objective: self.objective.or(other.objective),
            burns: self.burns.or(other.burns),
            within: self.within.or(other.within),
            deviations: self.deviations.or(other.deviations),
            windows_min: self.windows_min.or(other.windows_min),
            hold: self.hold.or(other.hold),
            keep_firing_for: self.keep_firing_for.or(other.keep_firing_for),
            severity: self.severity.or(other.severity),
            requests_min: self.requests_min.or(other.requests_min),
            labels: self.labels.or(other.labels),
            summary: self.summary.or(other.summary),
        }
    }
}

impl Judge<'_> {
    pub(super) fn alert_rules(&mut self, at: &Path, given: &BTreeMap<String, AlertRule>) -> Vec<Rule> {
        let mut all: BTreeMap<&str, AlertRule> = presets().into();
        for (name, rule) in given {
            let preset = all.remove(name.as_str()).unwrap_or_default();
            all.insert(name, rule.clone().or(preset));
        }
        let mut rules = Vec::with_capacity(all.len());
        for (name, rule) in all {
            let is_on = rule.enabled.unwrap_or(true);
            rules.extend(self.alert_rule(&at.key(name), name, &rule).filter(|_| is_on));
        }
        rules
    }

    fn alert_rule(&mut self, at: &Path, name: &str, raw: &AlertRule) -> Option<Rule> {
        self.alert_name(at, name);
        let severity = severity(raw.severity.unwrap_or(RawSeverity::Warning));
        let kind = raw.kind.unwrap_or(RuleKind::Threshold);
        self.keys_of_kind(at, kind, raw);
        let of = self.selector(at, kind, raw);
        for label in raw.labels.iter().flatten() {
            self.label_name(&at.key("labels").key(label.0), label.0);
        }
        let kind = self.kind(at, kind, severity, raw);
        let requests = raw.requests_min.filter(|least| *least > 0);
        Some(Rule {
            name: name.to_owned(),
            kind: kind?,
            hold: self.duration(&at.key("for"), or_nought(raw.hold), WAIT),
            keep_firing: self.duration(&at.key("keep_firing_for"), or_nought(raw.keep_firing_for), WAIT),
            severity,
            traffic: requests.map(|least| Traffic { figure: "requests".to_owned(), at_least: least as f64 }),
            labels: table(raw.labels.as_ref()),
            summary: raw.summary.clone().unwrap_or_else(|| format!("The rule {name} holds")),
            of: of?,
        })
    }

    /// Keys that mean nothing to a rule of this kind are a misunderstanding.
    fn keys_of_kind(&mut self, at: &Path, kind: RuleKind, raw: &AlertRule) {
        use RuleKind::{Absence, Anomaly, BurnRate, Forecast, Threshold};
        let keys = [
            ("above", raw.above.is_some(), &[Threshold, Forecast][..]),
            ("below", raw.below.is_some(), &[Threshold, Forecast]),
            ("window", raw.window.is_some(), &[Threshold, Absence, Forecast, Anomaly]),
            ("objective", raw.objective.is_some(), &[BurnRate]),
            ("burns", raw.burns.is_some(), &[BurnRate]),
            ("within", raw.within.is_some(), &[Forecast]),
            ("deviations", raw.deviations.is_some(), &[Anomaly]),
            ("windows_min", raw.windows_min.is_some(), &[Anomaly]),
        ];
        for (key, is_given, kinds) in keys {
            if is_given && !kinds.contains(&kind) {
                let what = format!("a rule of kind `{}` has no `{key}`", kind_name(kind));
                self.fault(&at.key(key), what, "leave it out, or choose another `kind`");
            }
        }
    }

    fn selector(&mut self, at: &Path, kind: RuleKind, raw: &AlertRule) -> Option<Selector> {
        let usual = if kind == RuleKind::BurnRate { Some("error_share") } else { None };
        let Some(name) = raw.figure.as_deref().or(usual) else {
            let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
            self.missing(at, "figure", "no `figure` is given", format!("name one of {}", names.join(", ")));
            return None;
        };
        // The shape check has told of a name that is none.
        let known = KNOWN.iter().find(|known| known.name == name)?;
        for label in raw.only.iter().flatten() {
            self.figure_label(&at.key("where").key(label.0), known, label.0);
        }
        for (index, label) in raw.by.iter().flatten().enumerate() {
            self.figure_label(&at.key("by").index(index), known, label);
        }
        let (usual, allowed) = match kind {
            RuleKind::Forecast => (3600, FORECAST_WINDOW),
            _ => (300, WINDOW),
        };
        let window = raw.window.unwrap_or(Span::seconds(usual));
        Some(Selector {
            figure: name.to_owned(),
            with: table(raw.only.as_ref()),
            by: raw.by.clone().unwrap_or_default(),
            window: self.duration(&at.key("window"), window, allowed),
        })
    }

    fn figure_label(&mut self, at: &Path, known: &Known, label: &str) {
        if known.labels.contains(&label) {
            return;
        }
        let mend = match (nearest(label, known.labels.iter().copied()), known.labels) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "leave it out".to_owned(),
            (None, labels) => format!("it has {}", labels.join(", ")),
        };
        self.fault(at, format!("`{}` has no label `{label}`", known.name), mend);
    }

    fn kind(&mut self, at: &Path, kind: RuleKind, severity: Severity, raw: &AlertRule) -> Option<Kind> {
        Some(match kind {
            RuleKind::Threshold => Kind::Threshold(self.limit(at, raw)?),
            RuleKind::Absence => Kind::Absence,
            RuleKind::BurnRate => self.burn_rate(at, severity, raw)?,
            RuleKind::Forecast => {
                let Some(within) = raw.within else {
                    self.missing(at, "within", "a forecast needs `within`", "say how soon, as in \"72h\"");
                    return None;
                };
                let within = self.duration(&at.key("within"), within, WITHIN);
                Kind::Forecast { limit: self.limit(at, raw)?, within }
            }
            RuleKind::Anomaly => Kind::Anomaly {
                deviations: raw.deviations.unwrap_or(4.0),
                windows_min: raw.windows_min.map_or(WINDOWS_MIN, |least| least as usize),
            },
        })
    }

    fn limit(&mut self, at: &Path, raw: &AlertRule) -> Option<Limit> {
        match (raw.above, raw.below) {
            (Some(limit), None) if limit.is_finite() => Some(Limit::Above(limit)),
            (None, Some(limit)) if limit.is_finite() => Some(Limit::Below(limit)),
            _ => {
                let is_told = ["above", "below"].iter().any(|key| self.is_told(&at.key(key)));
                if !is_told {
                    self.fault_of_key(at, "it needs one limit, a number", "give either `above` or `below`");
                }
                None
            }
        }
    }

    fn burn_rate(&mut self, at: &Path, severity: Severity, raw: &AlertRule) -> Option<Kind> {
        let Some(objective) = raw.objective.filter(|objective| (0.0..1.0).contains(objective)) else {
            let what = "a burn rate needs an `objective` below 1";
            self.missing(at, "objective", what, "say which share of requests should go well, as 0.999");
            return None;
        };
        let burns = match (&raw.burns, severity) {
            (Some(burns), _) => {
                let at = at.key("burns");
                burns.iter().enumerate().map(|(index, burn)| self.burn(&at.index(index), *burn)).collect()
            }
            (None, Severity::Critical) => PAGE.to_vec(),
            (None, _) => TICKET.to_vec(),
        };
        // No share is more than the whole.
        let is_share = raw.figure.as_deref().is_none_or(|figure| figure.ends_with("_share"));
        if is_share && !burns.iter().any(|burn| burn.factor * (1.0 - objective) < 1.0) {
            let what = "this can never fire: no share of failures spends what the objective leaves so fast";
            self.fault(
                &at.key("objective"),
                what,
                "take a higher `objective`, or a smaller factor in `burns`",
            );
        }
        Some(Kind::BurnRate { objective, burns })
    }

    fn burn(&mut self, at: &Path, raw: crate::config::raw::Burn) -> Burn {
        let long: Duration = self.duration(&at.key("long"), raw.long, WINDOW);
        let short = self.duration(&at.key("short"), raw.short, WINDOW);
        if short >= long {
            self.fault(
                &at.key("short"),
                "the short window is not the shorter one",
                "take a twelfth of `long`",
            );
        }
        Burn { factor: raw.factor, long, short }
    }
}

/// How grave an alert is.
pub(super) fn severity(raw: RawSeverity) -> Severity {
    match raw {
        RawSeverity::Info => Severity::Info,
        RawSeverity::Warning => Severity::Warning,
        RawSeverity::Critical => Severity::Critical,
    }
}

fn kind_name(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::Threshold => "threshold",
        RuleKind::Absence => "absence",
        RuleKind::BurnRate => "burn_rate",
        RuleKind::Forecast => "forecast",
        RuleKind::Anomaly => "anomaly",
    }
}
