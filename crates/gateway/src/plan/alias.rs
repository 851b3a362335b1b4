//! A name for several targets: which is the first choice, and who stands in for it.
//!
//! The first choice knows nothing of health, so that a remembered answer is found also while whoever gave it
//! is down. Health decides later, when somebody is to be asked: see [`Alias::order`].

use super::target::Target;
use super::{Draw, Route};
use crate::config::{self, AliasCache, Balance};
use crate::limits::Account;
use cache::stats::Stats;
use guard::balance::{self, Candidate, Load, Method};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Instant;

/// Targets in the order in which they are to be tried.
pub type Targets = SmallVec<[Arc<Target>; 4]>;

/// An alias of the configuration, resolved.
pub struct Alias {
    /// Its name.
    pub name: Arc<str>,
    /// Those that are drawn from, and behind them those to fall back on.
    choices: Box<[Choice]>,
    /// How many are drawn from.
    drawn: usize,
    method: Method,
    affinity: bool,
    pub(super) route: Arc<Route>,
    pub(super) cache: AliasCache,
    pub(super) hour: Arc<Stats>,
    /// What all callers together may use of it.
    pub account: Option<Arc<Account>>,
    /// How it is tried again.
    pub retry: config::AliasRetry,
    /// Whether a slow try is made a second time elsewhere.
    pub hedge: bool,
    /// The first of its targets at the price of its provider's own batch API, where lines of batches are for that.
    pub batch: Option<Arc<Target>>,
}

struct Choice {
    target: Arc<Target>,
    weight: u32,
    group: u32,
}

impl Alias {
    /// Resolves `alias`; `target` makes the target of a provider's model. `None` where none can be drawn.
    pub(super) fn new(
        name: &str,
        alias: &config::Alias,
        route: Arc<Route>,
        hour: Arc<Stats>,
        account: Option<Arc<Account>>,
        mut target: impl FnMut(&str, &str) -> Option<Arc<Target>>,
    ) -> Option<Self> {
        let mut choices: Vec<Choice> = alias
            .targets
            .iter()
            .filter(|choice| choice.weight > 0)
            .filter_map(|choice| {
                let target = target(&choice.provider, &choice.model)?;
                Some(Choice { target, weight: choice.weight, group: choice.priority })
            })
            .collect();
        let drawn = choices.len();
        // Each a group of its own: they are tried in the order in which they were written.
        let mut group = choices.iter().map(|choice| choice.group).max()?;
        for fallback in &alias.fallback {
            group = group.saturating_add(1);
            choices.extend(target(&fallback.provider, &fallback.model).map(|target| Choice {
                target,
                weight: 1,
                group,
            }));
        }
        let batch = in_batches(alias);
        let batch = batch.and_then(|choice| target(&choice.provider, &choice.model)?.in_batches());
        let method = match alias.balance {
            Balance::Weights => Method::Weights,
            Balance::LeastLoaded => Method::LeastLoaded,
        };
        Some(Self {
            name: name.into(),
            choices: choices.into(),
            drawn,
            method,
            affinity: alias.affinity,
            route,
            cache: alias.cache,
            hour,
            account,
            retry: alias.retry,
            hedge: alias.hedge,
            batch,
        })
    }

    /// Whether the draw is worth a look at who talks: one target is always the same.
    pub(super) fn minds_affinity(&self) -> bool {
        self.affinity && self.drawn > 1
    }

    /// The first choice.
    pub(super) fn first(&self, draw: Draw) -> Option<&Arc<Target>> {
        let drawn = self.choices.get(..self.drawn)?;
        let [_, _, ..] = drawn else { return drawn.first().map(|choice| &choice.target) };
        let candidates: SmallVec<[Candidate<'_>; 8]> =
            drawn.iter().map(|choice| choice.candidate(true, None)).collect();
        let order = balance::order(&candidates, Method::Weights, draw.affinity, draw.dice, draw.at);
        drawn.get(*order.first()?).map(|choice| &choice.target)
    }

    /// All targets, in the order in which they are to be tried: the first choice of the same draw before all
    /// others while it is healthy, and whoever is not healthy last.
    pub fn order(
        &self,
        draw: Draw,
        now: Instant,
        state: impl Fn(&Target) -> (bool, Option<Load>),
    ) -> Targets {
        let states: SmallVec<[(bool, Option<Load>); 8]> =
            self.choices.iter().map(|choice| state(&choice.target)).collect();
        let candidates: SmallVec<[Candidate<'_>; 8]> = self
            .choices
            .iter()
            .zip(&states)
            .map(|(choice, (healthy, load))| choice.candidate(*healthy, load.as_ref()))
            .collect();
        let order = balance::order(&candidates, self.method, draw.affinity, draw.dice, now);
        order
            .iter()
            .filter_map(|&index| self.choices.get(index))
            .map(|choice| Arc::clone(&choice.target))
            .collect()
    }

    /// All of them as they were written, each with its weight and its group: those that are drawn from first, then
    /// those to fall back on.
    pub fn choices(&self) -> impl Iterator<Item = (&Arc<Target>, u32, u32)> {
        self.choices.iter().map(|choice| (&choice.target, choice.weight, choice.group))
    }

    /// How many of these are drawn from.
    pub fn drawn(&self) -> usize {
        self.drawn
    }

    /// How one is chosen, in words of the configuration.
    pub fn balance(&self) -> &'static str {
        match self.method {
            Method::Weights => "weights",
            Method::LeastLoaded => "least_loaded",
        }
    }

    /// The one of this name, `provider/model`.
    pub(super) fn at(&self, place: &str) -> Option<&Arc<Target>> {
        self.choices.iter().map(|choice| &choice.target).find(|target| target.is_at(place))
    }

    /// All of them, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.choices.iter().map(|choice| &*choice.target)
    }

    /// Whether there is anybody besides the first choice.
    pub fn has_others(&self) -> bool {
        self.choices.len() > 1
    }
}

/// The target whose provider's own batch API runs the alias' lines, where one is to.
fn in_batches(alias: &config::Alias) -> Option<&config::AliasTarget> {
    let drawn = alias.targets.iter().filter(|choice| choice.weight > 0);
    drawn.min_by_key(|choice| choice.priority).filter(|_| alias.batch_at_provider)
}

impl Choice {
    fn candidate<'a>(&self, healthy: bool, load: Option<&'a Load>) -> Candidate<'a> {
        Candidate { id: self.target.id, priority: self.group, weight: self.weight, healthy, load }
    }
}
