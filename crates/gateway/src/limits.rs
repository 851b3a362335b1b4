//! Limits: how many requests and tokens a minute, and how many requests and streams at once, for each key,
//! tenant, alias and provider. Who is asking and what a call may cost is told; nobody waits here.
//!
//! ```text
//! admit(subject, tokens) ──► Granted ── settle(used) ──► the difference is charged or credited
//!    │                          └── dropped: what was reserved stays, slots are free again
//!    └──► Denied { what, after }
//! ```
//!
//! Where replicas share a Redis, one script decides for all of them (`shared`). Where they do not, or Redis
//! is away, each replica decides alone, by buckets of its own (`account`).
//!
//! # What is promised
//! Let a limit be `L` a minute and let `n` replicas be known. In any `t` minutes are admitted, beside what
//! calls use beyond their reservations:
//!
//! * **alone, without Redis**: `L × (1 + t)` by each replica;
//! * **together**: `L × (1 + t)` by all of them, exactly, however many ask at once;
//! * **while Redis is away**: `max(1, ⌊L / n⌋) × (1 + t)` by each replica, so `L × (1 + t)` by all where
//!   `n` is right and no larger than `L`. A replica that has never heard of Redis takes itself for the
//!   only one;
//! * **over a time in which Redis goes away once**: at most `L` more, `L × (2 + t)`: what Redis gave out
//!   before, and the stand-ins' first fill. A replica's stand-in is drained by whatever Redis allows it, so
//!   the surplus is what stand-ins still hold at the change: nothing where load is spread evenly, and
//!   `L × (1 − 1 / n)` where one replica alone had used all;
//! * **over a time in which it comes back once**: at most `L` more. Each replica tells Redis what it has
//!   admitted alone before it asks Redis again, as far as it has not flowed back since; so the surplus is
//!   what replicas that have yet to tell, within some [`shared::BEAT_EVERY`], have admitted. What Redis reserved
//!   without its answer coming in time counts twice until it has flowed back: too little is admitted then;
//! * **Redis forgets** (restarted empty, evicting keys): its buckets are full again: `L` more.
//!
//! Slots at once: exactly the limit together; while Redis is away each replica gives out new ones up to
//! `max(1, ⌊limit / n⌋)` and those under way go on: never more than twice the limit. What a replica held
//! that has died is free again after [`shared::LIFE`].

mod account;
mod accounts;
mod granted;
mod levels;
mod owing;
mod shared;
#[cfg(test)]
mod tests;

pub use account::{Account, Measure, Rates, Report, Scope};
pub use accounts::Accounts;
pub use granted::{Denied, Granted};
pub use levels::Levels;

use account::{Line, Room};
use foldhash::HashMap;
use owing::Owing;
use shared::Shared;
use smallvec::SmallVec;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Everyone's accounts: one for the process, from one configuration to the next.
pub struct Limits {
    accounts: Mutex<Known>,
    owing: Arc<Owing>,
    shared: watch::Sender<Option<Arc<Shared>>>,
}

type Known = HashMap<(Scope, Box<str>), Arc<Account>>;

/// Whose limits a call counts against. What has no account is not limited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The caller's key.
    pub key: Option<&'a Arc<Account>>,
    /// The caller's tenant.
    pub tenant: Option<&'a Arc<Account>>,
    /// The alias that was asked for.
    pub alias: Option<&'a Arc<Account>>,
    /// The provider that is to be asked.
    pub provider: Option<&'a Arc<Account>>,
    /// Whether the answer is a stream.
    pub stream: bool,
}

/// What a call needs of everything that limits it.
#[derive(Default)]
struct Wanted {
    lines: SmallVec<[(Arc<Line>, u64); 8]>,
    rooms: SmallVec<[Arc<Room>; 4]>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { accounts: Mutex::default(), owing: Arc::default(), shared: watch::Sender::new(None) }
    }
}

impl Limits {
    /// The account of one key, tenant, alias or provider, at these rates once it is in force; what it has used stays
    /// used. `None` where nothing is limited. To be asked for when a configuration is prepared, not for every
    /// request.
    #[must_use]
    pub fn account(&self, scope: Scope, name: &str, rates: &Rates, now: Instant) -> Option<Arc<Account>> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = || accounts.get(&(scope, Box::from(name)));
        (!rates.is_unlimited()).then(|| Arc::new(Account::new(scope, name, rates, before(), now)))
    }

    /// From now on these are in force.
    pub fn enforce<'a>(&self, fresh: impl IntoIterator<Item = (&'a (Scope, Box<str>), &'a Arc<Account>)>) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        for (known, account) in fresh {
            account.enforce();
            accounts.insert(known.clone(), Arc::clone(account));
        }
    }

    /// How everyone who is limited stands, as far as this replica knows: by scope, then by name.
    #[must_use]
    pub fn report(&self, now: Instant) -> Vec<(Scope, Box<str>, Report)> {
        // What the last requests under another configuration still held.
        self.sweep();
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<_> = accounts
            .iter()
            .map(|((scope, name), account)| (*scope, name.clone(), account.report(now)))
            .collect();
        rows.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        rows
    }

    /// Forgets the accounts that nobody refers to any more, once a configuration was replaced.
    pub fn sweep(&self) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, account| Arc::strong_count(account) > 1);
    }

    /// From now on replicas count together through this Redis, or each alone.
    ///
    /// # Errors
    /// Where the options cannot be followed; nothing has changed then.
    pub fn share(&self, redis: Option<&cache::redis::Options>) -> Result<(), cache::redis::Fault> {
        let replicas = replicas(self.shared().as_deref());
        let shared = redis.map(|options| Shared::new(options, replicas, &self.owing)).transpose()?;
        self.shared.send_replace(shared.map(Arc::new));
        Ok(())
    }

    /// Counts a request that costs no provider's call: asks nobody, refuses nobody and leaves no debt.
    pub fn note(&self, subject: &Subject<'_>, now: Instant) {
        let shared = self.shared();
        for (line, _) in subject.wanted(0).lines {
            if line.measure == Measure::Requests {
                line.drain(1, replicas(shared.as_deref()), now);
                if shared.is_some() {
                    self.owing.line_later(&line, |owed| owed.noted += 1);
                }
            }
        }
    }

    /// Reserves a request and so many tokens with everyone whom the call counts against, or with none.
    /// Where Redis is asked it takes no longer than its budget, and no failure of it is the caller's.
    ///
    /// # Errors
    /// Which limit it is, and after what time to come again.
    pub async fn admit(&self, subject: &Subject<'_>, tokens: u64, now: Instant) -> Result<Granted, Denied> {
        let wanted = subject.wanted(tokens);
        if wanted.lines.is_empty() && wanted.rooms.is_empty() {
            return Ok(Granted::default());
        }
        let shared = self.shared();
        if let Some(shared) = &shared
            && let Some(verdict) = shared.admit(&wanted, now).await
        {
            return verdict;
        }
        let owing = shared.is_some().then_some(&self.owing);
        Granted::alone(wanted, replicas(shared.as_deref()), owing, now)
    }

    /// Keeps in touch with Redis, whichever is in force, until the drain; then tells it what it does not know
    /// yet. To be driven by one task.
    pub async fn run(&self, drain: CancellationToken) {
        let mut current = self.shared.subscribe();
        while !drain.is_cancelled() {
            let shared = current.borrow_and_update().clone();
            let replaced = drain.child_token();
            let mut keeping = Box::pin(async {
                match &shared {
                    Some(shared) => shared.run(&replaced, || self.rooms()).await,
                    None => replaced.cancelled().await,
                }
            });
            tokio::select! {
                () = &mut keeping => {}
                _ = current.changed() => {
                    replaced.cancel();
                    keeping.await;
                }
            }
        }
    }

    /// Whether replicas count together.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.borrow().is_some()
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        self.shared.borrow().clone()
    }

    /// Every room there is.
    fn rooms(&self) -> Vec<Arc<Room>> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.values().flat_map(|account| account.rooms()).cloned().collect()
    }
}

impl Subject<'_> {
    /// Whether nothing limits it.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        [self.key, self.tenant, self.alias, self.provider].iter().all(Option::is_none)
    }

    fn wanted(&self, tokens: u64) -> Wanted {
        let mut wanted = Wanted::default();
        for account in [self.key, self.tenant, self.alias, self.provider].into_iter().flatten() {
            account.want(tokens, self.stream, &mut wanted);
        }
        wanted
    }
}

fn replicas(shared: Option<&Shared>) -> u64 {
    shared.map_or(1, Shared::replicas)
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("shared", &*self.shared.borrow()).finish_non_exhaustive()
    }
}
