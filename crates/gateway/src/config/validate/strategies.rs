//! Strategies: each starts from another or from a preset, and none from itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Judge;
use super::providers::is_name;
use crate::config::quantity::Span;
use crate::config::raw;
use crate::config::schema::nearest;
use crate::config::tree::Path;
use crate::config::{Guard, Strategy};

/// Most strategies of a file. It bounds how far `like` is followed, too.
const STRATEGIES_MAX: usize = 64;
/// What a strategy may wait for or look back on.
const PERIOD: RangeInclusive<Span> = Span(Duration::from_millis(1))..=Span::seconds(86_400);

type Written = BTreeMap<String, raw::Strategy>;

impl Judge<'_> {
    /// Every strategy there is: the presets, changed or not, and the file's own.
    pub(super) fn strategies(&mut self, at: &Path, written: &Written) -> BTreeMap<String, Strategy> {
        if written.len() > STRATEGIES_MAX {
            self.fault(at, format!("more than {STRATEGIES_MAX} strategies"), "write fewer");
            return presets().collect();
        }
        let mut strategies: BTreeMap<String, Strategy> = presets().collect();
        for (name, raw) in written {
            let at = at.key(name);
            if !is_name(name) {
                self.fault_of_key(&at, "this is no strategy's name", "use letters, digits, `.`, `_` and `-`");
            }
            self.periods(&at, raw);
            let Some(strategy) = self.descended(&at, name, written) else { continue };
            // What is only inherited is told where it is written.
            if raw.open.is_some() || raw.open_max.is_some() {
                self.at_most(&at, ("open", Span(strategy.open)), ("open_max", Span(strategy.open_max)));
            }
            strategies.insert(name.clone(), strategy);
        }
        strategies
    }

    /// A strategy with all that it takes from those before it; `None`: there is no first, which has been told.
    fn descended(&mut self, at: &Path, name: &str, written: &Written) -> Option<Strategy> {
        let mut line = vec![name];
        let mut strategy = loop {
            let last = *line.last()?;
            let preset = Strategy::named(last);
            let like = written.get(last).and_then(|raw| raw.like.as_deref());
            match like.or(preset.is_none().then_some("balanced")) {
                None => break preset?,
                Some(like) if line.contains(&like) => {
                    // Told once, of the first in the circle, and not of those that only lead into it.
                    if like == name && line.iter().all(|other| name <= *other) {
                        let what = format!("it starts from itself: {} → {name}", line.join(" → "));
                        self.fault(&at.key("like"), what, "let one of them start from a preset");
                    }
                    return None;
                }
                Some(like) if !written.contains_key(like) && Strategy::named(like).is_none() => {
                    if last == name {
                        self.unknown_strategy(&at.key("like"), like, written.keys());
                    }
                    return None;
                }
                Some(like) => line.push(like),
            }
        };
        for raw in line.iter().rev().filter_map(|name| written.get(*name)) {
            strategy = changed(strategy, raw);
        }
        Some(strategy)
    }

    fn periods(&mut self, at: &Path, raw: &raw::Strategy) {
        let periods = [
            ("window", raw.window),
            ("open", raw.open),
            ("open_max", raw.open_max),
            ("half_open_for", raw.half_open_for),
        ];
        for (key, span) in periods {
            if let Some(span) = span {
                self.duration(&at.key(key), span, PERIOD);
            }
        }
    }

    /// The strategy that a value names.
    pub(super) fn strategy(&mut self, at: &Path, name: &str, guard: &Guard) -> Strategy {
        let known = guard.strategies.get(name).copied();
        // One that is there and wrong has been told under its own name.
        if known.is_none() && self.tree.at(&Path::of(&["guard", "strategies", name])).is_none() {
            self.unknown_strategy(at, name, guard.strategies.keys());
        }
        known.unwrap_or(Strategy::BALANCED)
    }

    fn unknown_strategy<'n>(&mut self, at: &Path, name: &str, written: impl Iterator<Item = &'n String>) {
        let known: BTreeSet<&str> =
            Strategy::PRESETS.into_iter().chain(written.map(String::as_str)).collect();
        let what = format!("{}: there is no such strategy", self.quoted(at, name));
        let mend = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let known: Vec<&str> = known.into_iter().collect();
                format!("add it under `[guard.strategies]`, or use one of {}", known.join(", "))
            }
        };
        self.fault(at, what, mend);
    }
}

fn presets() -> impl Iterator<Item = (String, Strategy)> {
    Strategy::PRESETS.into_iter().filter_map(|name| Some((name.to_owned(), Strategy::named(name)?)))
}

/// A strategy with what one table of the file changes of it.
fn changed(like: Strategy, raw: &raw::Strategy) -> Strategy {
    let or = |span: Option<Span>, otherwise: Duration| span.map_or(otherwise, |span| span.0);
    Strategy {
        consecutive: raw.consecutive.unwrap_or(like.consecutive),
        success_below: raw.success_below.unwrap_or(like.success_below),
        window: or(raw.window, like.window),
        calls_min: raw.calls_min.unwrap_or(like.calls_min),
        open: or(raw.open, like.open),
        open_max: or(raw.open_max, like.open_max),
        half_open: raw.half_open.unwrap_or(like.half_open),
        half_open_for: or(raw.half_open_for, like.half_open_for),
        last_resort: raw.last_resort.unwrap_or(like.last_resort),
    }
}
