//! What the live figures are told of requests: the one place that knows both an account and [`measure::live`].
//!
//! A request counts for all, for its route, for its key and, where its route is an alias, for that. A try counts for
//! its target, whoever it was made for: where one fails and another answers, each shows as it was. A call to a
//! provider that several requests waited for is one call, told by whoever made it, and so is what it used.

mod lately;

use super::account::{Account, Role};
use super::trail::{Came, Label, Mark, Micros, Trail};
use super::tray::{BATCH, Gaps};
use crate::auth::Principal;
use crate::remember::status::Status;
use lately::Lately;
use measure::live::{
    Ended, Figure, Kind, Live, Minute, Options, Quantiles, Rates, Sample, ScopeId, Spent, Window,
};
use measure::moment::Moment;
use serde::Serialize;
use smallvec::SmallVec;
use std::sync::Arc;

/// The live figures.
#[derive(Debug)]
pub struct Figures {
    live: Live,
    /// For whom the requests just before counted. The live figures may forget a scope as time passes, so that then
    /// this is forgotten too.
    known: Lately<Known>,
    /// And the targets that were asked.
    targets: Lately<(Arc<Label>, ScopeId)>,
}

/// Requests that are known without being looked up: most are of a few routes and keys. Held, so that no other name
/// takes its place in memory, by which it is compared.
#[derive(Debug)]
struct Known {
    route: Option<Arc<str>>,
    who: Option<Arc<Principal>>,
    is_alias: bool,
    scopes: Scopes,
}

/// Those for whom a request counts: all, its route, its alias, its key.
type Scopes = [Option<ScopeId>; 4];

/// How long one request took, in several ways.
type Samples = SmallVec<[Sample; 6]>;

/// How one of them does over a window.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Reading {
    /// What was counted.
    pub rates: Rates,
    /// How long things took.
    pub figures: Table,
}

/// Each figure by its name.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Table {
    total: Quantiles,
    overhead: Quantiles,
    first_token: Quantiles,
    between_tokens: Quantiles,
    cache: Quantiles,
    external: Quantiles,
}

impl Figures {
    /// Nothing is known yet; so many bytes may be taken.
    pub fn new(bytes_max: usize, now: Moment) -> Self {
        let live = Live::new(Options { bytes_max, ..Options::default() }, now);
        Self { live, known: Lately::new(), targets: Lately::new() }
    }

    /// The figures themselves.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Takes back a minute of the last day, as it was kept before a restart. Before anything is noted, and in order.
    pub fn restore(&mut self, minute: &Minute) {
        self.live.restore(minute);
    }

    /// Time passes. Where a minute is over, gives what it was like.
    pub fn tick(&mut self, now: Moment) -> Option<Minute> {
        self.known.forget();
        self.targets.forget();
        self.live.tick(now)
    }

    /// The end: gives what the minute under way was like so far.
    pub fn finish(self) -> Option<Minute> {
        self.live.finish()
    }

    /// How a scope does.
    pub fn reading(&self, scope: ScopeId, window: Window) -> Reading {
        let read = |figure| self.live.read(scope, figure, window);
        let figures = Table {
            total: read(Figure::Total),
            overhead: read(Figure::Overhead),
            first_token: read(Figure::FirstToken),
            between_tokens: read(Figure::BetweenTokens),
            cache: read(Figure::Cache),
            external: read(Figure::External),
        };
        Reading { rates: self.live.rates(scope, window), figures }
    }

    /// A request, or an errand, is over.
    pub fn note(&mut self, account: &Account) {
        let scopes = self.scopes(account.route.as_ref(), account.is_alias, account.who.as_ref());
        let mut samples = self.note_attempts(account);
        // Lines of a provider's batch come by thousands, and each takes no time at all.
        if account.role == Role::Request && !account.trail.is_given() {
            self.note_times(account, &mut samples);
        }
        let spent = if account.pays { spent(account) } else { Spent::default() };
        let ended = Ended { outcome: account.outcome, hit: hit(account.cache), spent };
        for scope in scopes.into_iter().flatten() {
            self.live.record_all(scope, &samples);
            match account.role {
                Role::Request => self.live.count(scope, ended),
                Role::Errand if account.pays => self.live.spend(scope, spent),
                Role::Errand => {}
            }
        }
    }

    /// Pieces of output have come.
    pub fn between_tokens(&mut self, gaps: &Gaps) {
        let scopes = self.scopes(gaps.route.as_ref(), gaps.is_alias, gaps.who.as_ref());
        let target = gaps.target.as_ref().map(|target| self.target(target));
        let sample = |micros: &u32| Sample::of_micros(Figure::BetweenTokens, *micros);
        let samples: SmallVec<[Sample; BATCH]> = gaps.micros.times().iter().map(sample).collect();
        let scopes = scopes.into_iter().flatten().chain(target);
        scopes.for_each(|scope| self.live.record_all(scope, &samples));
    }

    /// For whom a request counts.
    fn scopes(&mut self, route: Option<&Arc<str>>, is_alias: bool, who: Option<&Arc<Principal>>) -> Scopes {
        let is_it = |known: &&Known| {
            is_same(known.route.as_ref(), route)
                && is_same(known.who.as_ref(), who)
                && known.is_alias == is_alias
        };
        if let Some(known) = self.known.find(is_it) {
            return known.scopes;
        }
        let scopes = self.look_up(route.map(|name| &**name), is_alias, who.map(|who| &**who));
        let (route, who) = (route.cloned(), who.cloned());
        self.known.hold(Known { route, who, is_alias, scopes });
        scopes
    }

    /// A target's own.
    fn target(&mut self, label: &Arc<Label>) -> ScopeId {
        if let Some((_, scope)) = self.targets.find(|(known, _)| Arc::ptr_eq(known, label)) {
            return *scope;
        }
        let scope = self.live.scope(Kind::Target, label.counted());
        self.targets.hold((Arc::clone(label), scope));
        scope
    }

    fn look_up(&mut self, route: Option<&str>, is_alias: bool, who: Option<&Principal>) -> Scopes {
        let route = route.unwrap_or(super::OTHER);
        let key = who.and_then(|who| who.key.as_deref());
        [
            Some(ScopeId::ALL),
            Some(self.live.scope(Kind::Route, route)),
            is_alias.then(|| self.live.scope(Kind::Alias, route)),
            key.map(|key| self.live.scope(Kind::Key, key)),
        ]
    }

    /// How long it took: records the whole for the target that answered, and adds to `samples` what is to be recorded for
    /// whom it counts.
    fn note_times(&mut self, account: &Account, samples: &mut Samples) {
        let trail = &account.trail;
        let total = sample(Figure::Total, account.total);
        if let Some(attempt) = Trail::answered(trail.asked()) {
            let target = self.target(&attempt.target);
            self.live.record_all(target, &[total]);
        }
        samples.push(total);
        samples.push(sample(Figure::Overhead, account.overhead));
        if let Some(first) = trail.passed(Mark::FirstToken) {
            samples.push(sample(Figure::FirstToken, first));
        }
        if let Some(micros) = lookup(account) {
            samples.push(Sample::of_micros(Figure::Cache, micros));
        }
    }

    /// Each of its own tries, for its target; gives how long they took.
    fn note_attempts(&mut self, account: &Account) -> Samples {
        let mut calls = Samples::new();
        let answered = Trail::answered(account.trail.own());
        for attempt in account.trail.own() {
            let is_it = answered.is_some_and(|answered| std::ptr::eq(answered, attempt));
            let target = self.target(&attempt.target);
            if let Some(took) = attempt.took() {
                let call = sample(Figure::External, took);
                self.live.record_all(target, &[call]);
                calls.push(call);
            }
            if let Some((first, began)) = attempt.first_token().zip(attempt.began()) {
                self.live.record_all(target, &[sample(Figure::FirstToken, first.past(began))]);
            }
            // What was used is that one's who answered.
            let spent = if is_it { spent(account) } else { Spent::default() };
            match attempt.outcome() {
                // The target was not asked now; only what it used is to be told.
                Some(_) if attempt.came == Came::Given => self.live.spend(target, spent),
                Some(outcome) => self.live.count(target, Ended { outcome, hit: None, spent }),
                None => {}
            }
        }
        calls
    }
}

fn sample(figure: Figure, took: Micros) -> Sample {
    Sample::of_micros(figure, took.count())
}

/// Whether two names are one, by where they are.
fn is_same<T: ?Sized>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// What was used, as the account says.
fn spent(account: &Account) -> Spent {
    Spent {
        tokens_in: account.tokens.input.into(),
        tokens_out: account.tokens.output.into(),
        cost_micro_usd: account.cost_micro_usd.unwrap_or(0).into(),
    }
}

/// Whether the cache had the answer; `None` where it was not asked, or somebody else's call answered.
fn hit(status: Option<Status>) -> Option<bool> {
    match status? {
        Status::Hit(_) | Status::Alike(_) => Some(true),
        Status::Miss => Some(false),
        Status::Coalesced | Status::Bypass(_) => None,
    }
}

/// How long the cache was asked, in microseconds: memory, and the tiers farther away.
fn lookup(account: &Account) -> Option<u32> {
    let passed = |mark| account.trail.passed(mark);
    let remembered = passed(Mark::Remembered)?;
    let near = remembered.past(passed(Mark::Planned)?).count();
    let far = passed(Mark::Looked).max(passed(Mark::Compared));
    let boarded = passed(Mark::Admitted).unwrap_or(remembered);
    Some(near.saturating_add(far.map_or(0, |far| far.past(boarded).count())))
}

#[cfg(test)]
mod tests;
