//! A report as a person reads it in a terminal: rates, then times, then errors. Plain text without
//! colour, so that it reads the same in a file.

use std::fmt::Write;

use super::{Comparison, Delta, Load, Measured, Points, Report, Series};
use crate::load::options::{Arrivals, Mode};
use crate::load::units;

const LABEL: usize = 16;
const CELL: usize = 11;

/// The whole table.
pub(super) fn table(report: &Report) -> String {
    let mut out = String::from("\n");
    head(&mut out, report);
    rates(&mut out, report);
    times(&mut out, report);
    errors(&mut out, report);
    if report.interrupted {
        line(&mut out, "", "Stopped early: the figures are of the part that took place.");
        out.push('\n');
    }
    out
}

/// A label and what it is about.
fn line(out: &mut String, label: &str, text: &str) {
    let line = format!("  {label:<9}{text}");
    out.push_str(line.trim_end());
    out.push('\n');
}

/// A label and right-aligned cells under each other.
fn row<'a>(out: &mut String, label: &str, cells: impl IntoIterator<Item = &'a str>) {
    let mut line = format!("  {label:<LABEL$}");
    for cell in cells {
        // Writing to a string cannot fail.
        let _ = write!(line, "{cell:>CELL$}");
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

fn rule(out: &mut String, cells: usize) {
    let rule = "─".repeat(LABEL + CELL * cells);
    out.push_str("  ");
    out.push_str(&rule);
    out.push('\n');
}

fn head(out: &mut String, report: &Report) {
    let side = |side: &Measured| format!("{}  {}", side.url, side.model);
    line(out, "target", &side(&report.target));
    if let Some(against) = &report.against {
        line(out, "against", &side(against));
    }
    line(out, "load", &load(&report.load));
    out.push('\n');
}

/// The load in one line.
fn load(load: &Load) -> String {
    let mut parts = vec![match load.mode {
        Mode::Closed { concurrency } => {
            format!("closed loop, {} at once", units::count(concurrency as u64))
        }
        Mode::Open { rate, arrivals, .. } => {
            let spaced = match arrivals {
                Arrivals::Constant => "evenly spaced",
                Arrivals::Poisson => "poisson",
            };
            format!("open loop, {}/s {spaced}", units::rate(rate))
        }
    }];
    parts.push(if load.stream { "streams" } else { "plain answers" }.to_owned());
    if let Some(requests) = load.requests {
        parts.push(format!("{} requests", units::count(requests)));
    }
    if let Some(duration_s) = load.duration_s {
        parts.push(units::span(duration_s));
    }
    if load.rounds > 1 {
        parts.push(format!("in {} alternating rounds", load.rounds));
    }
    if load.threads > 1 {
        parts.push(format!("{} threads", load.threads));
    }
    parts.join(", ")
}

/// A row of the first part: a figure of each side, and their ratio where it means something.
struct Rate {
    label: &'static str,
    of: fn(&Measured) -> Option<String>,
    ratio: fn(&Comparison) -> Option<f64>,
}

const fn no_ratio(_: &Comparison) -> Option<f64> {
    None
}

const RATES: [Rate; 9] = [
    Rate {
        label: "requests/s",
        of: |side| Some(units::rate(side.requests_per_second)),
        ratio: |comparison| comparison.requests_per_second,
    },
    Rate {
        label: "frames/s",
        of: |side| (side.frames > 0).then(|| units::rate(side.frames_per_second)),
        ratio: |comparison| comparison.frames_per_second,
    },
    Rate {
        label: "tokens/s",
        of: |side| side.tokens_per_second.map(units::rate),
        ratio: |comparison| comparison.tokens_per_second,
    },
    Rate { label: "succeeded", of: |side| Some(units::count(side.succeeded)), ratio: no_ratio },
    Rate { label: "failed", of: |side| Some(units::count(side.failed)), ratio: no_ratio },
    Rate {
        label: "interrupted",
        of: |side| (side.unfinished > 0).then(|| units::count(side.unfinished)),
        ratio: no_ratio,
    },
    Rate { label: "sent", of: |side| Some(units::bytes(side.bytes_sent)), ratio: no_ratio },
    Rate { label: "received", of: |side| Some(units::bytes(side.bytes_received)), ratio: no_ratio },
    Rate { label: "connections", of: |side| Some(units::count(side.connections)), ratio: no_ratio },
];

fn rates(out: &mut String, report: &Report) {
    if report.against.is_some() {
        row(out, "", ["target", "against", "ratio"]);
        rule(out, 3);
    } else {
        rule(out, 1);
    }
    for rate in &RATES {
        let ours = (rate.of)(&report.target);
        let theirs = report.against.as_ref().and_then(rate.of);
        if ours.is_none() && theirs.is_none() {
            continue;
        }
        let ratio = report.comparison.as_ref().and_then(rate.ratio);
        let mut cells = vec![ours.unwrap_or_else(dash)];
        if report.against.is_some() {
            cells.push(theirs.unwrap_or_else(dash));
            cells.push(ratio.map(units::ratio).unwrap_or_default());
        }
        row(out, rate.label, cells.iter().map(String::as_str));
    }
    out.push('\n');
}

fn dash() -> String {
    "–".to_owned()
}

type TimesOf = fn(&Measured) -> Option<&Series>;
type DeltaOf = fn(&Comparison) -> Option<&Delta>;

const TIMES: [(&str, TimesOf, DeltaOf); 4] = [
    ("total", |side| side.total_us.as_ref(), |comparison| comparison.total.as_ref()),
    ("first token", |side| side.first_token_us.as_ref(), |comparison| comparison.first_token.as_ref()),
    (
        "between tokens",
        |side| side.between_tokens_us.as_ref(),
        |comparison| comparison.between_tokens.as_ref(),
    ),
    ("send lag", |side| side.send_lag_us.as_ref(), |_| None),
];

fn times(out: &mut String, report: &Report) {
    row(out, "", ["p50", "p90", "p99", "p99.9", "max", "mean"]);
    rule(out, 6);
    for (label, of, delta) in TIMES {
        let ours = of(&report.target);
        let theirs = report.against.as_ref().and_then(of);
        if ours.is_none() && theirs.is_none() {
            continue;
        }
        if report.against.is_none() {
            points(out, label, ours.map(|series| &series.points), units::time);
            continue;
        }
        row(out, label, []);
        points(out, "  target", ours.map(|series| &series.points), units::time);
        points(out, "  against", theirs.map(|series| &series.points), units::time);
        if let Some(delta) = report.comparison.as_ref().and_then(delta) {
            points(out, "  ratio", Some(&delta.ratio), units::ratio);
            points(out, "  added", Some(&delta.added_us), units::added);
        }
    }
    if report.target.total_us.is_none() {
        row(out, "no request was answered well", []);
    }
    out.push('\n');
}

fn points(out: &mut String, label: &str, points: Option<&Points>, unit: fn(f64) -> String) {
    let cells: Vec<String> = match points {
        None => vec![dash(); 6],
        Some(p) => [p.p50, p.p90, p.p99, p.p999, p.max, p.mean].into_iter().map(unit).collect(),
    };
    row(out, label, cells.iter().map(String::as_str));
}

fn errors(out: &mut String, report: &Report) {
    let sides = [("target", Some(&report.target)), ("against", report.against.as_ref())];
    for (name, side) in sides {
        let Some(side) = side.filter(|side| !side.errors.is_empty()) else {
            continue;
        };
        let share = units::percent(side.error_rate);
        row(out, &format!("errors of the {name}: {share} of its requests"), []);
        for (kind, seen) in &side.errors {
            let times = units::count(seen.count);
            let example = cut(&seen.example);
            row(out, &format!("  {kind:<LABEL$}{times:>9}   {example}"), []);
        }
        out.push('\n');
    }
}

/// As much of an example as a line has room for.
fn cut(example: &str) -> String {
    const ROOM: usize = 52;
    if example.chars().count() <= ROOM {
        return example.to_owned();
    }
    let mut short: String = example.chars().take(ROOM - 1).collect();
    short.push('…');
    short
}
