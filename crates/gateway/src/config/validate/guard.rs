//! Protection: every bound on its right side of the others. Strategies have a file of their own.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Judge;
use crate::config::quantity::{Size, Span};
use crate::config::raw;
use crate::config::tree::Path;
use crate::config::{
    Algorithm, Background, Concurrency, Guard, Health, Hedge, Pressure, Queue, Registry, Retry,
};

/// The shortest time that means something.
const TICK: Span = Span(Duration::from_millis(1));
/// What a pause or a wait within one request may last.
const WAIT: RangeInclusive<Span> = TICK..=Span::seconds(3600);
/// What is done now and then may wait up to a week.
const PERIOD: RangeInclusive<Span> = Span::seconds(1)..=Span::seconds(7 * 86_400);

impl Judge<'_> {
    pub(super) fn guard(&mut self, raw: &raw::Guard) -> Guard {
        let at = Path::of(&["guard"]);
        let concurrency = self.concurrency(&at.key("concurrency"), &raw.concurrency);
        Guard {
            enabled: raw.enabled,
            strategies: self.strategies(&at.key("strategies"), &raw.strategies),
            registry: self.registry(&at.key("registry"), &raw.registry),
            retry: self.retry(&at.key("retry"), &raw.retry),
            hedge: Hedge {
                enabled: raw.hedge.enabled,
                quantile: raw.hedge.quantile,
                budget: raw.hedge.budget,
            },
            concurrency,
            batch: self.batch(&at.key("batch"), &raw.batch, concurrency),
            queue: self.queue(&at.key("queue"), &raw.queue),
            pressure: self.pressure(&at.key("process"), &raw.process),
            background: Background {
                at_once: raw.background.at_once as usize,
                waiting: raw.background.waiting as usize,
            },
            health: self.health(&at.key("health"), &raw.health),
        }
    }

    fn registry(&mut self, at: &Path, raw: &raw::Registry) -> Registry {
        Registry {
            enabled: raw.enabled,
            entries: raw.entries as usize,
            idle: self.duration(&at.key("idle"), raw.idle, PERIOD),
            sweep: self.duration(&at.key("sweep"), raw.sweep, PERIOD),
        }
    }

    fn retry(&mut self, at: &Path, raw: &raw::Retry) -> Retry {
        self.at_most(at, ("backoff", raw.backoff), ("backoff_max", raw.backoff_max));
        Retry {
            tries: raw.tries,
            backoff: self.duration(&at.key("backoff"), raw.backoff, WAIT),
            backoff_max: self.duration(&at.key("backoff_max"), raw.backoff_max, WAIT),
            wait_max: self.duration(&at.key("wait_max"), raw.wait_max, Span::seconds(0)..=*WAIT.end()),
            budget: raw.budget,
            budget_per_second: raw.budget_per_second,
            accepted: raw.accepted,
        }
    }

    fn concurrency(&mut self, at: &Path, raw: &raw::Concurrency) -> Concurrency {
        self.bounds(at, raw.min, raw.initial, raw.max);
        self.below(at, ("latency_good", raw.latency_good), ("latency_bad", raw.latency_bad));
        self.below(at, ("errors_good", raw.errors_good), ("errors_bad", raw.errors_bad));
        Concurrency {
            algorithm: algorithm(raw.algorithm),
            initial: raw.initial,
            min: raw.min,
            max: raw.max,
            latency_good: self.duration(&at.key("latency_good"), raw.latency_good, WAIT),
            latency_bad: self.duration(&at.key("latency_bad"), raw.latency_bad, WAIT),
            errors_good: raw.errors_good,
            errors_bad: raw.errors_bad,
        }
    }

    fn batch(&mut self, at: &Path, raw: &raw::Batch, all: Concurrency) -> Concurrency {
        self.bounds(at, raw.min, raw.initial, raw.max);
        Concurrency { initial: raw.initial, min: raw.min, max: raw.max, ..all }
    }

    /// A provider's own: what is not written there gives way to what is.
    pub(super) fn provider_concurrency(
        &mut self,
        at: &Path,
        raw: &raw::ConcurrencyChange,
        all: &Concurrency,
    ) -> Concurrency {
        let all = Concurrency { algorithm: raw.algorithm.map_or(all.algorithm, algorithm), ..*all };
        let written = [raw.min, raw.initial, raw.max];
        if written == [None; 3] {
            return all;
        }
        let written = || written.into_iter().flatten();
        let min = raw.min.unwrap_or_else(|| written().fold(all.min, u32::min));
        let max = raw.max.unwrap_or_else(|| written().fold(all.max, u32::max));
        let initial = raw.initial.unwrap_or_else(|| all.initial.max(min).min(max));
        self.bounds(at, min, initial, max);
        Concurrency { initial, min, max, ..all }
    }

    fn queue(&mut self, at: &Path, raw: &raw::Queue) -> Queue {
        self.at_most(at, ("target", raw.target), ("interval", raw.interval));
        Queue {
            size: raw.size as usize,
            aging: self.duration(&at.key("aging"), raw.aging, WAIT),
            target: self.duration(&at.key("target"), raw.target, WAIT),
            interval: self.duration(&at.key("interval"), raw.interval, WAIT),
        }
    }

    fn pressure(&mut self, at: &Path, raw: &raw::Process) -> Pressure {
        let memory = ("memory", raw.memory);
        self.at_most(at, ("memory_grow_below", raw.memory_grow_below), memory);
        self.at_most(at, memory, ("memory_shed", raw.memory_shed));
        let buffered = Size(1 << 20)..=Size(1 << 40);
        Pressure {
            cpu: raw.cpu,
            memory: raw.memory,
            memory_grow_below: raw.memory_grow_below,
            memory_shed: raw.memory_shed,
            buffered_bytes: self.size(&at.key("buffered_bytes"), raw.buffered_bytes, buffered) as u64,
        }
    }

    fn health(&mut self, at: &Path, raw: &raw::Health) -> Health {
        self.at_most(at, ("timeout", raw.timeout), ("interval", raw.interval));
        Health {
            probe: raw.probe,
            interval: self.duration(&at.key("interval"), raw.interval, PERIOD),
            timeout: self.duration(&at.key("timeout"), raw.timeout, WAIT),
        }
    }

    fn bounds(&mut self, at: &Path, min: u32, initial: u32, max: u32) {
        let (min, initial, max) = (("min", min), ("initial", initial), ("max", max));
        if self.at_most(at, min, max) {
            self.at_most(at, min, initial);
            self.at_most(at, initial, max);
        }
    }

    /// Whether one key's value is at most another's of the same table; otherwise it is told.
    pub(super) fn at_most<T: Copy + PartialOrd + Display>(
        &mut self,
        at: &Path,
        low: (&str, T),
        high: (&str, T),
    ) -> bool {
        let fits = low.1 <= high.1;
        if !fits {
            self.out_of_order(at, "is more than", low, high);
        }
        fits
    }

    /// Whether one key's value is below another's of the same table; otherwise it is told.
    fn below<T: Copy + PartialOrd + Display>(&mut self, at: &Path, low: (&str, T), high: (&str, T)) -> bool {
        let fits = low.1 < high.1;
        if !fits {
            self.out_of_order(at, "is not below", low, high);
        }
        fits
    }

    /// Points at the one of the two that was written; one that was told already had no value to compare.
    fn out_of_order<T: Copy + Display>(&mut self, at: &Path, how: &str, low: (&str, T), high: (&str, T)) {
        let (low_at, high_at) = (at.key(low.0), at.key(high.0));
        if self.is_told(&low_at) || self.is_told(&high_at) {
            return;
        }
        let what = format!("`{}` ({}) {how} `{}` ({})", low.0, low.1, high.0, high.1);
        let mend = format!("lower `{}`, or raise `{}`", low.0, high.0);
        let written = if self.tree.at(&low_at).is_some() { low_at } else { high_at };
        self.fault(&written, what, mend);
    }
}

fn algorithm(raw: raw::Algorithm) -> Algorithm {
    match raw {
        raw::Algorithm::Aimd => Algorithm::Aimd,
        raw::Algorithm::Gradient2 => Algorithm::Gradient2,
        raw::Algorithm::Fixed => Algorithm::Fixed,
        raw::Algorithm::Off => Algorithm::Off,
    }
}
