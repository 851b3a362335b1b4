//! Whether a rule holds for a series now, by its kind, and in which words.
//!
//! Rules are looked at once a second. What is counted over a window is not known before a window has passed: until
//! then nothing is called absent, too little or unusual.

use super::anomaly::Usual;
use super::life::Holds;
use super::rule::{Burn, Kind, Limit, Rule};
use super::{Figures, Labels, label};
use crate::forecast::Trend;
use crate::moment::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Points of a forecast, over its whole window, and the least time between two: figures are no finer.
const POINTS: u32 = 120;
const STEP_MIN: Duration = Duration::from_secs(1);
/// The fewest points, and the share of the window that they must span, for a line through them.
const POINTS_MIN: usize = 10;
const SPAN_MIN: f64 = 0.25;
/// The shortest window that has points enough, even where some looks are late.
pub const FORECAST_WINDOW_MIN: Duration = Duration::from_secs(20);
/// How well they must fit it, as R².
const FIT_MIN: f64 = 0.5;
/// Looks come by a timer that may be late or early, and what is due is not to wait for the next one for that.
const SLACK: Duration = Duration::from_millis(200);

/// What a rule remembers of a series.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// When it was looked at for the first time.
    began: Option<Moment>,
    /// Of a forecast: times and values, the oldest first.
    points: VecDeque<(Moment, f64)>,
    /// Of an anomaly: what is usual, and how the last value stood to it.
    usual: Usual,
    last: Option<(Moment, Option<Holds>)>,
}

/// What a rule looks at, for one of its series.
struct Look<'a> {
    rule: &'a Rule,
    labels: Vec<(&'a str, &'a str)>,
    figures: &'a dyn Figures,
}

/// Whether the rule holds for the series of these labels, and how.
pub(super) fn look(
    rule: &Rule,
    series: &Labels,
    memory: &mut Memory,
    figures: &dyn Figures,
    now: Moment,
) -> Option<Holds> {
    let mut labels = label::pairs(&rule.of.with);
    labels.extend(label::pairs(series));
    let look = Look { rule, labels, figures };
    let watched = now.since(*memory.began.get_or_insert(now));
    let is_window_known = watched + SLACK >= rule.of.window;
    match &rule.kind {
        Kind::Threshold(Limit::Below(_)) | Kind::Absence | Kind::Anomaly { .. } if !is_window_known => None,
        Kind::Threshold(limit) => look.threshold(*limit),
        Kind::Absence => look.absence(),
        Kind::BurnRate { objective, burns } => look.burn(1.0 - objective, burns),
        Kind::Forecast { .. } if watched + SLACK < step(rule.of.window) => None,
        Kind::Forecast { limit, within } => look.forecast(*limit, *within, memory, now),
        Kind::Anomaly { deviations, windows_min } => look.anomaly(*deviations, *windows_min, memory, now),
    }
}

impl Look<'_> {
    fn value(&self, window: Duration) -> Option<f64> {
        let value = self.figures.value(&self.rule.of.figure, &self.labels, window);
        value.filter(|value| value.is_finite())
    }

    /// Whether there is traffic enough for the figure to mean anything.
    fn is_busy(&self, window: Duration) -> bool {
        self.rule.traffic.as_ref().is_none_or(|traffic| {
            let value = self.figures.value(&traffic.figure, &self.labels, window);
            value.is_some_and(|value| value >= traffic.at_least)
        })
    }

    /// The value with what it means, and what the figures themselves have to say of it.
    fn holds(&self, value: f64, meaning: String) -> Holds {
        let words = match self.figures.words(&self.rule.of.figure, &self.labels) {
            Some(words) => format!("{words} ({meaning})"),
            None => meaning,
        };
        Holds { value, words }
    }

    fn shown(&self, value: f64) -> String {
        shown(&self.rule.of.figure, value)
    }

    fn threshold(&self, limit: Limit) -> Option<Holds> {
        let window = self.rule.of.window;
        let value = self.value(window).filter(|value| limit.is_passed(*value) && self.is_busy(window))?;
        let side = side(limit);
        let meaning = format!(
            "{} is {}, {side} {}, over {}",
            self.rule.of.figure,
            self.shown(value),
            self.shown(limit.value()),
            lasting(window)
        );
        Some(self.holds(value, meaning))
    }

    fn absence(&self) -> Option<Holds> {
        let window = self.rule.of.window;
        let is_there = self.value(window).is_some_and(|value| value != 0.0);
        let meaning = || format!("nothing of {} for {}", self.rule.of.figure, lasting(window));
        (!is_there).then(|| self.holds(0.0, meaning()))
    }

    fn burn(&self, budget: f64, burns: &[Burn]) -> Option<Holds> {
        burns.iter().find_map(|burn| {
            let share = self.value(burn.long)?;
            let most = burn.factor * budget;
            let is_burning = share > most && self.value(burn.short)? > most && self.is_busy(burn.short);
            let meaning = || {
                format!(
                    "{} is {} over {} and no less than {} over {}: the error budget of {} is spent {:.1} times too fast",
                    self.rule.of.figure,
                    self.shown(share),
                    lasting(burn.long),
                    self.shown(most),
                    lasting(burn.short),
                    self.shown(budget),
                    share / budget
                )
            };
            is_burning.then(|| self.holds(share, meaning()))
        })
    }

    fn forecast(&self, limit: Limit, within: Duration, memory: &mut Memory, now: Moment) -> Option<Holds> {
        let window = self.rule.of.window;
        // The figure of this moment: over the window it would be smoothed, and late.
        let value = self.value(step(window))?;
        memory.keep(value, limit, window, now);
        if limit.is_passed(value) {
            let meaning =
                format!("{} is {}, {} already", self.rule.of.figure, self.shown(value), side_of(self, limit));
            return Some(self.holds(value, meaning));
        }
        let left = memory.trend(window, now)?.reaches(limit.value()).filter(|left| *left <= within)?;
        let meaning = format!(
            "{} is {} and reaches {} in {} if it goes on as over the last {}",
            self.rule.of.figure,
            self.shown(value),
            self.shown(limit.value()),
            lasting(left),
            lasting(window)
        );
        self.is_busy(window).then(|| self.holds(value, meaning))
    }

    /// Looks once a window, so that no two values are of the same time; between them the last word stands.
    fn anomaly(
        &self,
        deviations: f64,
        windows_min: usize,
        memory: &mut Memory,
        now: Moment,
    ) -> Option<Holds> {
        let window = self.rule.of.window;
        if let Some((at, holds)) = &memory.last
            && now.since(*at) + SLACK < window
        {
            return holds.clone();
        }
        if !self.is_busy(window) {
            memory.last = None;
            return None;
        }
        let value = self.value(window)?;
        let usual = memory.usual.average();
        let score = memory.usual.learn(value, deviations, windows_min);
        let score = score.filter(|score| score.abs() > deviations);
        let holds = score.map(|score| {
            let meaning = format!(
                "{} is {}, where {} is usual: {:.1} deviations away",
                self.rule.of.figure,
                self.shown(value),
                self.shown(usual),
                score.abs()
            );
            self.holds(value, meaning)
        });
        memory.last = Some((now, holds.clone()));
        holds
    }
}

impl Memory {
    /// Keeps a point, if the last one is old enough. A figure that is suddenly much further from its limit was reset,
    /// as a budget is on the first of the month: what was before says nothing any more.
    fn keep(&mut self, value: f64, limit: Limit, window: Duration, now: Moment) {
        if self.points.back().is_some_and(|(at, _)| now.since(*at) + SLACK < step(window)) {
            return;
        }
        let distances = || self.points.iter().map(|(_, value)| limit.distance(*value));
        let furthest = distances().fold(0.0, f64::max);
        if distances().next_back().is_some_and(|last| limit.distance(value) > last + furthest / 2.0) {
            self.points.clear();
        }
        while self.points.front().is_some_and(|(at, _)| now.since(*at) > window + SLACK) {
            self.points.pop_front();
        }
        self.points.push_back((now, value));
    }

    /// The line through the points, if they are enough and lie on one.
    fn trend(&self, window: Duration, now: Moment) -> Option<Trend> {
        let (first, _) = self.points.front()?;
        let spanned = now.since(*first).as_secs_f64();
        if self.points.len() < POINTS_MIN || spanned < SPAN_MIN * window.as_secs_f64() {
            return None;
        }
        let points = self.points.iter().map(|(at, value)| (at.since(*first).as_secs_f64(), *value));
        Trend::through(points).filter(|trend| trend.fit >= FIT_MIN)
    }
}

/// The time between two points of a forecast.
fn step(window: Duration) -> Duration {
    (window / POINTS).max(STEP_MIN)
}

fn side(limit: Limit) -> &'static str {
    match limit {
        Limit::Above(_) => "above",
        Limit::Below(_) => "below",
    }
}

fn side_of(look: &Look<'_>, limit: Limit) -> String {
    format!("{} {}", side(limit), look.shown(limit.value()))
}

/// A value in the unit that its figure's name ends in.
fn shown(figure: &str, value: f64) -> String {
    let unit = figure.rsplit('_').next().unwrap_or_default();
    match unit {
        "share" => format!("{} %", short(value * 100.0)),
        "seconds" if value.abs() < 1.0 => format!("{} ms", short(value * 1e3)),
        "seconds" => format!("{} s", short(value)),
        "bytes" if value.abs() >= 1e6 => format!("{} MB", short(value / 1e6)),
        "bytes" => format!("{} bytes", short(value)),
        _ => short(value),
    }
}

/// Three digits, or all before the point.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 100.0 => 0,
        medium if medium >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A time in its two largest units.
fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let Some(first) = units.iter().position(|(worth, _)| seconds >= *worth) else {
        return format!("{} ms", time.as_millis());
    };
    let mut left = seconds;
    let parts = units.iter().skip(first).take(2).map(|(worth, unit)| {
        let count = left / worth;
        left %= worth;
        (count, unit)
    });
    let parts: Vec<String> =
        parts.filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{lasting, shown};
    use std::time::Duration;

    #[test]
    fn values_are_told_in_their_unit() {
        for (figure, value, text) in [
            ("error_share", 0.01, "1 %"),
            ("response_p95_seconds", 0.5, "500 ms"),
            ("response_p95_seconds", 12.345, "12.3 s"),
            ("disk_free_bytes", 3.2e9, "3200 MB"),
            ("requests", 100.0, "100"),
            ("requests", 0.0, "0"),
        ] {
            assert_eq!(shown(figure, value), text, "{figure} {value}");
        }
    }

    #[test]
    fn times_are_told_in_two_units() {
        for (seconds, text) in
            [(0.25, "250 ms"), (5.0, "5 s"), (300.0, "5 m"), (5400.0, "1 h 30 m"), (266_400.0, "3 d 2 h")]
        {
            assert_eq!(lasting(Duration::from_secs_f64(seconds)), text);
        }
    }
}
