//! Where a provider's name leads: addresses resolved, judged and remembered, asked for anew before they are
//! too old, and used a while longer where the name server does not answer.
//!
//! The system's resolver tells no time to live, so that a name's addresses are good for five minutes here.

use super::Error;
use crate::config::BaseUrl;
use measure::metrics::{Lookup, PoolMetrics};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a name's addresses are good.
const TTL: Duration = Duration::from_secs(300);
/// They are asked for anew so long before that: a dozen tries, if the first ones fail.
const AHEAD: Duration = Duration::from_secs(60);
/// How long they are used where nobody tells of others, counted from when they were told.
const STALE_MAX: Duration = Duration::from_secs(3600);
/// How long a request waits for other addresses than those that did not answer.
const DOUBT: Duration = Duration::from_secs(1);
/// A name server may answer with any number of addresses; this many are tried.
const ADDRESSES_MAX: usize = 8;

pub(super) type Addresses = Arc<[SocketAddr]>;

/// One provider's name.
pub(super) struct Names {
    host: Box<str>,
    port: u16,
    /// Where the host is an address and needs no resolving.
    literal: Option<IpAddr>,
    /// Private addresses are reached only where the operator named this host.
    private_allowed: bool,
    known: Mutex<Known>,
    refreshing: AtomicBool,
    metrics: PoolMetrics,
}

/// What the name server said last.
#[derive(Default)]
struct Known {
    resolved: Option<(Instant, Addresses)>,
    /// None of the addresses answered when they were tried last.
    doubted: bool,
}

/// What is known of a name when a connection is to be opened.
#[derive(Debug, PartialEq, Eq)]
enum Recall {
    /// These.
    Sure(Addresses),
    /// These, unless the name server says otherwise.
    Doubtful(Addresses),
    /// Nothing.
    Unknown,
}

impl Known {
    fn recall(&self, now: Instant) -> Recall {
        match &self.resolved {
            Some((at, addresses)) if now.saturating_duration_since(*at) < STALE_MAX => match self.doubted {
                false => Recall::Sure(Arc::clone(addresses)),
                true => Recall::Doubtful(Arc::clone(addresses)),
            },
            _ => Recall::Unknown,
        }
    }

    /// Whether the name server is to be asked behind the requests' backs.
    fn is_due(&self, now: Instant) -> bool {
        let age = self.age(now);
        age.is_some_and(|age| (TTL.saturating_sub(AHEAD)..STALE_MAX).contains(&age))
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        self.resolved.as_ref().map(|(at, _)| now.saturating_duration_since(*at))
    }

    fn learn(&mut self, addresses: Addresses, now: Instant) {
        *self = Self { resolved: Some((now, addresses)), doubted: false };
    }
}

impl Names {
    /// The name of `url`'s host, of which nothing is known yet.
    pub(super) fn new(url: &BaseUrl, metrics: PoolMetrics) -> Self {
        Self {
            host: url.host.as_str().into(),
            port: url.port,
            literal: url.host.parse().ok(),
            private_allowed: url.named_by_operator,
            known: Mutex::default(),
            refreshing: AtomicBool::new(false),
            metrics,
        }
    }

    /// The name itself.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Where it leads. Asks only where nothing is known, or none of what is known answered.
    ///
    /// # Errors
    /// Where it leads nowhere, or nowhere that may be reached.
    pub(super) async fn addresses(&self) -> Result<Addresses, Error> {
        if let Some(literal) = self.literal {
            return self.judge(&[SocketAddr::new(literal, self.port)]);
        }
        let recalled = self.lock().recall(Instant::now());
        match recalled {
            Recall::Sure(addresses) => Ok(addresses),
            Recall::Unknown => self.ask().await,
            Recall::Doubtful(addresses) => match tokio::time::timeout(DOUBT, self.ask()).await {
                Ok(Err(Error::Unresolved(_))) | Err(_) => Ok(addresses),
                Ok(answered) => answered,
            },
        }
    }

    /// None of its addresses can be reached: perhaps they have moved.
    pub(super) fn doubt(&self) {
        self.lock().doubted = true;
    }

    /// Asks anew where that is due and nobody else is about it.
    pub(super) async fn refresh(&self) {
        if !self.lock().is_due(Instant::now()) || self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let _ends = Refreshing(&self.refreshing);
        if let Err(error) = self.ask().await {
            tracing::debug!(host = &*self.host, %error, "addresses are used beyond their time");
        }
    }

    /// How long ago it was resolved; `None` where it never was or need not be.
    pub(super) fn age(&self) -> Option<Duration> {
        self.lock().age(Instant::now())
    }

    async fn ask(&self) -> Result<Addresses, Error> {
        let answer = tokio::net::lookup_host((&*self.host, self.port)).await;
        let found: Vec<_> = match answer {
            Ok(found) => found.take(ADDRESSES_MAX).collect(),
            Err(error) => {
                self.metrics.looked_up(Lookup::Failed);
                return Err(Error::Unresolved(format!("{}: {error}", self.host)));
            }
        };
        self.learn(&found)
    }

    fn learn(&self, found: &[SocketAddr]) -> Result<Addresses, Error> {
        if found.is_empty() {
            self.metrics.looked_up(Lookup::Failed);
            return Err(Error::Unresolved(format!("{}: it has no address", self.host)));
        }
        self.metrics.looked_up(Lookup::Ok);
        let judged = self.judge(found);
        match &judged {
            Ok(addresses) => self.lock().learn(Arc::clone(addresses), Instant::now()),
            // The name leads elsewhere now, and not where we may go.
            Err(_) => *self.lock() = Known::default(),
        }
        judged
    }

    /// Those that may be reached.
    fn judge(&self, found: &[SocketAddr]) -> Result<Addresses, Error> {
        let is_allowed = |found: &&SocketAddr| self.private_allowed || guard::address::is_public(found.ip());
        let allowed: Addresses = found.iter().filter(is_allowed).copied().collect();
        match allowed.is_empty() {
            true => Err(Error::Forbidden { host: self.host.clone() }),
            false => Ok(allowed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each step leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody asks; the mark is taken off also where the task is dropped.
struct Refreshing<'a>(&'a AtomicBool);

impl Drop for Refreshing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{AHEAD, Known, Names, Recall, STALE_MAX, TTL};
    use crate::config::BaseUrl;
    use crate::upstream::Error;
    use measure::metrics::Metrics;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    fn names(host: &str, named_by_operator: bool) -> (Names, measure::metrics::PoolMetrics) {
        let url =
            BaseUrl { https: false, host: host.into(), port: 443, path: String::new(), named_by_operator };
        let metrics = Metrics::new("0", 1).shard(0).pool("p");
        (Names::new(&url, metrics.clone()), metrics)
    }

    fn addresses(of: &[&str]) -> Vec<SocketAddr> {
        of.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_are_asked_for_ahead_of_time_and_used_beyond_it() {
        let (start, told) = (Instant::now(), Arc::from(addresses(&["9.9.9.9:443"])));
        let mut known = Known::default();
        assert_eq!((known.recall(start), known.is_due(start)), (Recall::Unknown, false));
        known.learn(Arc::clone(&told), start);
        for (age, is_due, is_known) in [
            (Duration::ZERO, false, true),
            (TTL - AHEAD - MS, false, true),
            (TTL - AHEAD, true, true),
            (TTL, true, true),
            (STALE_MAX - MS, true, true),
            (STALE_MAX, false, false),
        ] {
            let recalled = if is_known { Recall::Sure(Arc::clone(&told)) } else { Recall::Unknown };
            assert_eq!((known.recall(start + age), known.is_due(start + age)), (recalled, is_due), "{age:?}");
        }
    }

    #[tokio::test]
    async fn a_name_server_that_fails_does_not_take_back_what_it_said() {
        let (names, metrics) = names("tidegate.invalid", true);
        assert!(matches!(names.addresses().await, Err(Error::Unresolved(_))), "nothing is known yet");
        let told = names.learn(&addresses(&["127.0.0.1:443"])).unwrap();
        assert_eq!(names.addresses().await.unwrap(), told);
        names.doubt();
        assert_eq!(names.addresses().await.unwrap(), told, "nobody knows better");
        let totals = metrics.totals();
        assert_eq!((totals.lookups, totals.lookups_failed), (1, 2));
        assert!(names.age().is_some());
    }

    #[tokio::test]
    async fn a_name_that_moves_to_a_private_address_leads_nowhere() {
        let (names, _) = names("tidegate.invalid", false);
        let told = names.learn(&addresses(&["9.9.9.9:443", "10.0.0.1:443"])).unwrap();
        assert_eq!(*told, *addresses(&["9.9.9.9:443"]));
        assert!(matches!(names.learn(&addresses(&["10.0.0.1:443"])), Err(Error::Forbidden { .. })));
        assert!(matches!(names.addresses().await, Err(Error::Unresolved(_))));
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup() {
        for (named, allowed) in [(true, true), (false, false)] {
            let (names, metrics) = names("127.0.0.1", named);
            assert_eq!(names.addresses().await.is_ok(), allowed);
            assert_eq!((metrics.totals().lookups, names.age()), (0, None));
        }
    }
}
