//! What the live figures are told of requests: the one place that knows both an account and [`measure::live`].
//!
//! A request counts for all, for its route, for its key and, where its route is an alias, for that. A try counts for
//! its target, whoever it was made for: where one fails and another answers, each shows as it was. A call to a
//! provider that several requests waited for is one call, told by whoever made it, and so is what it used.

mod lately;

use super::account::{Account, Role};
use super::trail::{Came, Label, Mark, Micros, Trail};
use super::tray::Gaps;
use crate::auth::Principal;
use crate::remember::status::Status;
use lately::Lately;
use measure::live::{Ended, Figure, Kind, Live, Minute, Options, Quantiles, Rates, ScopeId, Spent, Window};
use measure::moment::Moment;
use serde::Serialize;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

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

/// Those for whom a request counts.
type Scopes = SmallVec<[ScopeId; 4]>;

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
        self.note_attempts(account, &scopes);
        match account.role {
            Role::Request => self.note_request(account, &scopes),
            Role::Errand if account.pays => {
                let spent = spent(account);
                scopes.iter().for_each(|scope| self.live.spend(*scope, spent));
            }
            Role::Errand => {}
        }
    }

    /// Pieces of output have come.
    pub fn between_tokens(&mut self, gaps: &Gaps) {
        let mut scopes = self.scopes(gaps.route.as_ref(), gaps.is_alias, gaps.who.as_ref());
        scopes.extend(gaps.target.as_ref().map(|target| self.target(target)));
        for gap in gaps.micros.times() {
            self.record(&scopes, Figure::BetweenTokens, Duration::from_micros((*gap).into()));
        }
    }

    /// For whom a request counts.
    fn scopes(&mut self, route: Option<&Arc<str>>, is_alias: bool, who: Option<&Arc<Principal>>) -> Scopes {
        let is_it = |known: &&Known| {
            is_same(known.route.as_ref(), route)
                && is_same(known.who.as_ref(), who)
                && known.is_alias == is_alias
        };
        if let Some(known) = self.known.find(is_it) {
            return Scopes::from_slice(&known.scopes);
        }
        let scopes = self.look_up(route.map(|name| &**name), is_alias, who.map(|who| &**who));
        let (route, who) = (route.cloned(), who.cloned());
        self.known.hold(Known { route, who, is_alias, scopes: scopes.clone() });
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
        let mut scopes = Scopes::from_slice(&[ScopeId::ALL, self.live.scope(Kind::Route, route)]);
        if is_alias {
            scopes.push(self.live.scope(Kind::Alias, route));
        }
        if let Some(key) = who.and_then(|who| who.key.as_deref()) {
            scopes.push(self.live.scope(Kind::Key, key));
        }
        scopes
    }

    fn note_request(&mut self, account: &Account, scopes: &Scopes) {
        // Lines of a provider's batch come by thousands, and each takes no time at all.
        if !account.trail.is_given() {
            self.note_times(account, scopes);
        }
        let spent = if account.pays { spent(account) } else { Spent::default() };
        let ended = Ended { outcome: account.outcome, hit: hit(account.cache), spent };
        scopes.iter().for_each(|scope| self.live.count(*scope, ended));
    }

    /// How long it took.
    fn note_times(&mut self, account: &Account, scopes: &Scopes) {
        let trail = &account.trail;
        let answered = Trail::answered(trail.asked()).map(|attempt| self.target(&attempt.target));
        let of_all = scopes.iter().copied().chain(answered);
        self.live.record_each(of_all, Figure::Total, account.total.after());
        self.record(scopes, Figure::Overhead, account.overhead.after());
        if let Some(first) = trail.passed(Mark::FirstToken) {
            self.record(scopes, Figure::FirstToken, first.after());
        }
        if let Some(took) = lookup(account) {
            self.record(scopes, Figure::Cache, took);
        }
    }

    /// Each of its own tries, for its target.
    fn note_attempts(&mut self, account: &Account, scopes: &Scopes) {
        let answered = Trail::answered(account.trail.own());
        for attempt in account.trail.own() {
            let is_it = answered.is_some_and(|answered| std::ptr::eq(answered, attempt));
            let target = self.target(&attempt.target);
            if let Some(took) = attempt.took() {
                self.live.record_each(scopes.iter().copied().chain([target]), Figure::External, took);
            }
            // What was used is that one's who answered.
            let spent = if is_it { spent(account) } else { Spent::default() };
            match attempt.outcome() {
                // The target was not asked now; only what it used is to be told.
                Some(_) if attempt.came == Came::Given => self.live.spend(target, spent),
                Some(outcome) => self.live.count(target, Ended { outcome, hit: None, spent }),
                None => {}
            }
            if let (Some(first), Some(began)) = (attempt.first_token(), attempt.began()) {
                self.live.record(target, Figure::FirstToken, between(began, first));
            }
        }
    }

    fn record(&mut self, scopes: &[ScopeId], figure: Figure, value: Duration) {
        self.live.record_each(scopes.iter().copied(), figure, value);
    }
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

/// How long the cache was asked: memory, and the tiers farther away.
fn lookup(account: &Account) -> Option<Duration> {
    let passed = |mark| account.trail.passed(mark);
    let remembered = passed(Mark::Remembered)?;
    let near = between(passed(Mark::Planned)?, remembered);
    let far = passed(Mark::Looked).max(passed(Mark::Compared));
    let boarded = passed(Mark::Admitted).unwrap_or(remembered);
    Some(near + far.map_or(Duration::ZERO, |far| between(boarded, far)))
}

fn between(earlier: Micros, later: Micros) -> Duration {
    later.after().saturating_sub(earlier.after())
}

#[cfg(test)]
mod tests;
