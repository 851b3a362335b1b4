//! Which of the kept requests are looked for.

use super::entry::Entry;
use super::recent::Recent;
use measure::metrics::Outcome;
use std::time::SystemTime;

/// What a request must be to be found; what is left out is not asked.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Its id.
    pub id: Option<String>,
    /// The public part of its caller's key.
    pub key: Option<String>,
    /// Whose it is.
    pub tenant: Option<String>,
    /// The name under which it is counted: an alias, or `provider/model`.
    pub route: Option<String>,
    /// The same, where that is an alias.
    pub alias: Option<String>,
    /// A target that was asked for it.
    pub target: Option<String>,
    /// What it asked for.
    pub operation: Option<String>,
    /// Its answer's status.
    pub status: Option<Statuses>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What the cache had to do with it: `hit`, `miss`, `coalesced`, `bypass`, or a tier or a reason.
    pub cache: Option<String>,
    /// Whether it was a stream.
    pub stream: Option<bool>,
    /// It arrived then or later.
    pub since: Option<SystemTime>,
    /// It arrived before then.
    pub until: Option<SystemTime>,
    /// It was slow.
    pub slow: bool,
    /// We or a provider failed it.
    pub failed: bool,
    /// It ended before the one of this number.
    pub before: Option<u64>,
}

/// One status, or a hundred of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// Just this one.
    One(u16),
    /// Those that begin with this digit.
    Class(u16),
}

impl Statuses {
    /// Reads `429` or `4xx`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("xx") {
            Some(class) => class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class),
            None => text.parse().ok().filter(|status| (100..600).contains(status)).map(Self::One),
        }
    }

    fn hold(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Class(class) => status / 100 == class,
        }
    }
}

/// A page of those that are found.
#[derive(Debug, Default)]
pub struct Page<'a> {
    /// The newest first.
    pub found: Vec<&'a Entry>,
    /// Whether there are more.
    pub has_more: bool,
}

impl Recent {
    /// The newest `limit` that are as `filter` says.
    pub fn find(&self, filter: &Filter, limit: usize) -> Page<'_> {
        let slow_after = self.bounds().slow_after;
        let is = |entry: &&Entry| filter.takes(entry) && (!filter.slow || entry.account.is_slow(slow_after));
        let mut found: Vec<_> = self.iter().filter(is).take(limit + 1).collect();
        let has_more = found.len() > limit;
        found.truncate(limit);
        Page { found, has_more }
    }
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let account = &entry.account;
        let who = account.who.as_deref();
        let is = |asked: &Option<String>, found: Option<&str>| {
            asked.as_deref().is_none_or(|asked| found == Some(asked))
        };
        let route = Some(account.route.as_deref().unwrap_or(super::OTHER));
        self.before.is_none_or(|before| entry.number < before)
            && is(&self.id, Some(entry.id()))
            && is(&self.key, who.and_then(|who| who.key.as_deref()))
            && is(&self.tenant, who.map(|who| &*who.tenant))
            && is(&self.route, route)
            && is(&self.alias, route.filter(|_| account.is_alias))
            && is(&self.operation, Some(account.operation.name()))
            && self.status.is_none_or(|statuses| statuses.hold(entry.status()))
            && self.outcome.is_none_or(|outcome| account.outcome == outcome)
            && self.stream.is_none_or(|stream| account.stream == stream)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && (!self.failed || entry.account.is_failed())
            && self.takes_cache(entry)
            && self.takes_target(entry)
    }

    /// By any of the words that the answer's head says.
    fn takes_cache(&self, entry: &Entry) -> bool {
        let Some(asked) = self.cache.as_deref() else { return true };
        let said = entry.cache().unwrap_or_default();
        said == asked || said.split(['=', ';', ' ']).any(|word| !word.is_empty() && word == asked)
    }

    fn takes_target(&self, entry: &Entry) -> bool {
        let Some(asked) = self.target.as_deref() else { return true };
        entry.account.trail.attempts().iter().any(|attempt| &*attempt.target.name == asked)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::recent::{Bounds, Recent};
    use super::super::stage;
    use super::{Filter, Statuses};
    use crate::auth::Principal;
    use crate::remember::status::{Bypass, Status};
    use cache::tier::TierName;
    use measure::metrics::Outcome;
    use std::sync::Arc;
    use std::time::Duration;

    /// Ten requests, one a second: 0 is a hit of key `tg-1` by alias `smart`, 1 failed, 2 was slow, 3 was refused.
    fn kept() -> Recent {
        let bounds =
            Bounds { newest: 100, slow: 10, failed: 10, bytes: 1 << 20, slow_after: Duration::from_secs(5) };
        let mut recent = Recent::new(bounds);
        recent.push(stage::entry(0, |account| {
            account.who = Some(Arc::new(Principal { key: Some("tg-1".into()), tenant: "acme".into() }));
            (account.route, account.is_alias) = (Some("smart".into()), true);
            account.cache = Some(Status::Hit(TierName::Redis));
        }));
        recent.push(stage::entry(1, |account| {
            (account.outcome, account.status) = (Outcome::ProviderError, 502);
            account.route = Some("sim/fast".into());
            stage::attempt(account, "sim/fast");
        }));
        recent.push(stage::entry(2, |account| {
            (account.total, account.stream) = (stage::millis(5_001), true);
            account.cache = Some(Status::Bypass(Bypass::Temperature));
        }));
        recent.push(stage::entry(3, |account| {
            (account.outcome, account.status) = (Outcome::CallerError, 429);
        }));
        (4..10).for_each(|number| recent.push(stage::entry(number, |_| {})));
        recent
    }

    fn found(filter: &Filter) -> Vec<u64> {
        kept().find(filter, 100).found.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn each_request_is_found_by_what_it_was() {
        let text = |text: &str| Some(text.to_owned());
        let plain = Filter::default;
        for (filter, expected) in [
            (Filter { id: text("r3"), ..plain() }, vec![3]),
            (Filter { key: text("tg-1"), ..plain() }, vec![0]),
            (Filter { tenant: text("acme"), ..plain() }, vec![0]),
            (Filter { route: text("smart"), ..plain() }, vec![0]),
            (Filter { alias: text("smart"), ..plain() }, vec![0]),
            (Filter { route: text("sim/fast"), ..plain() }, vec![1]),
            (Filter { alias: text("sim/fast"), ..plain() }, vec![]),
            (Filter { target: text("sim/fast"), ..plain() }, vec![1]),
            (Filter { operation: text("embeddings"), ..plain() }, vec![]),
            (Filter { status: Some(Statuses::One(429)), ..plain() }, vec![3]),
            (Filter { status: Some(Statuses::Class(5)), ..plain() }, vec![1]),
            (Filter { outcome: Some(Outcome::CallerError), ..plain() }, vec![3]),
            (Filter { cache: text("hit"), ..plain() }, vec![0]),
            (Filter { cache: text("redis"), ..plain() }, vec![0]),
            (Filter { cache: text("temperature"), ..plain() }, vec![2]),
            (Filter { cache: text("bypass; reason=temperature"), ..plain() }, vec![2]),
            (Filter { cache: text("memory"), ..plain() }, vec![]),
            (Filter { stream: Some(true), ..plain() }, vec![2]),
            (Filter { slow: true, ..plain() }, vec![2]),
            (Filter { failed: true, ..plain() }, vec![1]),
            (Filter { since: Some(stage::second(8)), ..plain() }, vec![9, 8]),
            (Filter { until: Some(stage::second(2)), ..plain() }, vec![1, 0]),
            (Filter { before: Some(2), ..plain() }, vec![1, 0]),
        ] {
            assert_eq!(found(&filter), expected, "{filter:?}");
        }
    }

    #[test]
    fn pages_follow_one_another_without_a_gap() {
        let (recent, mut before, mut seen) = (kept(), None, Vec::new());
        loop {
            let page = recent.find(&Filter { before, ..Filter::default() }, 3);
            seen.extend(page.found.iter().map(|entry| entry.number));
            before = page.found.last().map(|entry| entry.number);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seen, (0..10).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_status_is_one_or_a_hundred() {
        for (text, expected) in [
            ("200", Some(Statuses::One(200))),
            ("5xx", Some(Statuses::Class(5))),
            ("6xx", None),
            ("99", None),
            ("xx", None),
            ("4x", None),
        ] {
            assert_eq!(Statuses::parse(text), expected, "{text}");
        }
    }
}
