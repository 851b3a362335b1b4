//! The tier in Redis: shared by replicas, and never waited for.
//!
//! * **Calls** go over a few connections that the background opens (`lanes`); each is bounded by a budget
//!   and stands behind a breaker, so that a Redis that is gone, frozen, slow, full or read-only costs a
//!   request some milliseconds at first and then nothing (`call`).
//! * **Entries** are at rest as [`crate::entry::codec`] writes them, with the key in their checksum: what is
//!   torn, foreign or misplaced is treated as absent and removed.
//! * **Invalidations** are numbered by Redis for all replicas at once, told by publication, and read again
//!   twice a second, so that nothing that was missed stays missed (`sync`).
//! * **Claims** let one replica make an answer that others wait for (`claims`).
//!
//! * **A door** ([`Door`]) runs others' scripts on the same Redis, apart from all that.
//!
//! [`Redis::run`] does what happens in the background; without it the tier never connects. One server, a
//! cluster, TLS and Unix sockets are all the same to it; it needs Redis 5 or newer.
//!
//! # The number line
//! Stamps of entries that several replicas share must be comparable. The numbers that Redis gives are: one
//! line for all. The numbers a replica gives itself, until Redis has taken them, are not. So an entry is
//! stored here under the lower of its own stamp and the last number of Redis' up to which this replica knows
//! everything; lowering a stamp can cost a miss and nothing else. And what carries a tag whose invalidation
//! Redis has not taken yet is not believed when read.

mod breaker;
mod call;
mod claims;
mod door;
mod lanes;
mod options;
mod pending;
mod scripts;
mod sync;
#[cfg(test)]
mod tests;

pub use breaker::State;
pub use claims::{Claim, End, Guard, HELD_FOR, Outcome};
pub use door::Door;
pub use options::{Fault, Options};
pub use scripts::Script;

use crate::clock::Millis;
use crate::entry::{Entry, codec};
use crate::epochs::{Epochs, Stamp, Tag};
use crate::key::Key;
use crate::tier::{Error, Tier, TierName};
use bytes::Bytes;
use call::{Caller, Failed, Kind};
use claims::Waiters;
use lanes::Lanes;
use options::Nodes;
use redis::Value;
use scripts::{Names, Scripts};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sync::Sync;
use tokio::time::{Instant as Deadline, sleep};
use tokio_util::sync::CancellationToken;

/// Largest entry that is stored, as it is at rest.
pub const VALUE_BYTES_MAX: usize = 8 << 20;

/// How often the background looks whether the breaker is to be probed.
const PROBE_EVERY: Duration = Duration::from_millis(100);
/// Probes in vain after which the connections are taken for dead.
const VAIN_PROBES_MAX: u32 = 3;

/// Answers in Redis. A handle: clones share everything.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    options: Options,
    names: Names,
    scripts: Scripts,
    caller: Caller,
    sync: Sync,
    waiters: Waiters,
    corrupt: AtomicU64,
}

/// How the tier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The breaker of everything.
    pub server: State,
    /// The breaker of writes alone.
    pub writes: State,
    /// How often either opened.
    pub trips: u64,
    /// Connections that are open.
    pub connections: usize,
    /// Invalidated tags that other replicas have not been told of.
    pub pending_tags: usize,
    /// Values that were not whole or not of their key, and were removed.
    pub corrupt: u64,
}

impl Redis {
    /// A tier that is not connected yet. What other replicas invalidate is applied to `epochs`.
    ///
    /// # Errors
    /// Where the options cannot be followed. Whether Redis is there is not looked at.
    pub fn new(options: Options, epochs: Arc<Epochs>) -> Result<Self, Fault> {
        let nodes = Nodes::new(&options)?;
        let lanes = Lanes::new(&options, nodes);
        Ok(Self(Arc::new(Inner {
            names: Names::new(&options),
            scripts: Scripts::new(),
            caller: Caller::new(lanes, options.budget),
            sync: Sync::new(epochs),
            waiters: Waiters::default(),
            corrupt: AtomicU64::new(0),
            options,
        })))
    }

    /// Connects, probes, tells and hears until the drain; then tells what is untold, within half a second. To
    /// be driven by one task as long as the tier is
    /// used. From its beginning on, what is in any tier is trusted only as long as Redis is heard of, or for
    /// [`Options::age_max_when_away`].
    pub async fn run(&self, drain: CancellationToken) {
        let inner = &*self.0;
        inner.sync.epochs.listen(inner.options.age_max_when_away);
        let working = async {
            tokio::join!(
                Box::pin(inner.probe()),
                Box::pin(inner.keep_in_step()),
                Box::pin(inner.hear()),
                Box::pin(inner.release_dropped()),
            );
        };
        tokio::join!(
            Box::pin(inner.caller.lanes.run(&drain)),
            Box::pin(async {
                let _ = drain.run_until_cancelled(working).await;
                inner.tell_the_rest().await;
            })
        );
    }

    /// How the tier is, for metrics.
    #[must_use]
    pub fn health(&self) -> Health {
        let (server, writes) = self.0.caller.states();
        Health {
            server,
            writes,
            trips: self.0.caller.trips(),
            connections: self.0.caller.lanes.open(),
            pending_tags: self.0.sync.pending.len(),
            corrupt: self.0.corrupt.load(Ordering::Relaxed),
        }
    }
}

impl Inner {
    /// Probes an open breaker, so that requests need not; gives up connections that lead nowhere.
    async fn probe(&self) {
        let mut vain = 0;
        loop {
            sleep(PROBE_EVERY).await;
            match self.caller.probe(redis::cmd("GET").arg(self.names.nothing())).await {
                Some(true) => vain = 0,
                Some(false) => vain += 1,
                None => {}
            }
            if vain >= VAIN_PROBES_MAX {
                vain = 0;
                self.caller.lanes.abandon();
            }
        }
    }

    /// The value under `key`, checked; removed where it is not what it should be.
    async fn read(&self, key: &Key, deadline: Deadline) -> Result<Option<Entry>, Error> {
        let name = self.names.entry(key);
        let corrupt = match self.caller.call(Kind::Read, redis::cmd("GET").arg(&name), deadline).await {
            Ok(Value::Nil) => return Ok(None),
            Ok(Value::BulkString(bytes)) => match codec::decode(key, Bytes::from(bytes)) {
                Ok(entry) => return Ok(Some(entry)),
                Err(corrupt) => corrupt.to_string(),
            },
            Ok(_) => "not a string".to_owned(),
            Err(Failed::Refused(error)) if error.code() == Some("WRONGTYPE") => error.to_string(),
            Err(failed) => return Err(failed.into()),
        };
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%key, %corrupt, "cache found in Redis what it did not put there, and removes it");
        // Where it cannot be removed now it will be found corrupt again.
        let _ = self.caller.call(Kind::Write, redis::cmd("UNLINK").arg(&name), deadline).await;
        Ok(None)
    }

    /// What is to be stored: compressed, and under a stamp that other replicas can go by. `None` where the
    /// entry was invalidated meanwhile.
    fn at_rest<'a>(&self, entry: &'a Entry) -> Option<Cow<'a, Entry>> {
        // In this order: what is invalidated up to `known` shows in the second line, and what is
        // invalidated later gets a number above the stamp.
        let known = self.sync.known();
        if !self.sync.epochs.is_valid(entry) {
            return None;
        }
        let body = entry.body.compress(self.options.compress_above);
        if matches!(body, Cow::Borrowed(_)) && entry.stamp <= known {
            return Some(Cow::Borrowed(entry));
        }
        Some(Cow::Owned(Entry {
            body: body.into_owned(),
            info: entry.info.clone(),
            stamp: entry.stamp.min(known),
            tags: entry.tags.clone(),
            ..*entry
        }))
    }
}

impl Tier for Redis {
    fn name(&self) -> TierName {
        TierName::Redis
    }

    async fn get(&self, key: &Key, now: Millis) -> Result<Option<Arc<Entry>>, Error> {
        let inner = &*self.0;
        let Some(entry) = inner.read(key, inner.caller.deadline()).await? else { return Ok(None) };
        if entry.is_expired(now) || inner.sync.pending.covers(&entry) {
            return Ok(None);
        }
        // What is invalidated here from now on reaches this entry too.
        if entry.stamp > inner.sync.epochs.stamp() {
            inner.sync.epochs.advance(entry.stamp);
        }
        Ok(Some(Arc::new(entry)))
    }

    async fn put(&self, key: &Key, entry: &Arc<Entry>) -> Result<(), Error> {
        let inner = &*self.0;
        let now = Millis::now();
        let life = entry.stale_until.since(now).min(inner.options.ttl);
        if life.is_zero() {
            return Ok(());
        }
        let Some(entry) = inner.at_rest(entry) else { return Ok(()) };
        let value = codec::encode(key, &entry);
        if value.len() > VALUE_BYTES_MAX {
            // What is under the key is older than what is not taken.
            return self.remove(key).await;
        }
        let mut set = redis::cmd("SET");
        set.arg(inner.names.entry(key)).arg(&value[..]).arg("PX").arg(life.as_millis() as u64);
        inner.caller.call(Kind::Write, &set, inner.caller.deadline()).await?;
        Ok(())
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        let inner = &*self.0;
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(inner.names.entry(key));
        inner.caller.call(Kind::Write, &unlink, inner.caller.deadline()).await?;
        Ok(())
    }

    /// Redis forgets what is expired by itself.
    async fn clear_expired(&self, _: Millis) -> Result<u64, Error> {
        Ok(0)
    }

    async fn invalidated(&self, number: Stamp, tags: &[Tag]) -> Result<(), Error> {
        self.0.tell(number, tags).await
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("options", &self.0.options).field("health", &self.health()).finish()
    }
}

/// What is held under these locks is whole at every moment, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
