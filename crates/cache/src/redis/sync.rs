//! Invalidation across replicas.
//!
//! Three things happen, of which the first alone would do and the others make it prompt:
//!
//! * **In step.** Twice a second, and whenever something is known to have changed, Redis is asked for the
//!   last number ([`Inner::keep_in_step`]). Where it is above the last one known here, the tags above are
//!   fetched and applied; then everything that anybody had invalidated before the question was sent is known
//!   here, and [`Epochs::heard`] says so. Where it is *below*, Redis has lost its memory, and is given back
//!   what is known here.
//! * **Telling.** An invalidation made here goes to Redis by a script that numbers, remembers and publishes
//!   it in one step. What Redis does not take is kept and delivered first of all when it is back.
//! * **Hearing.** What others publish is applied at once ([`Inner::hear`]).
//!
//! A number is applied once, by whichever way it arrives first.

use super::call::{Failed, Kind};
use super::pending::Pending;
use super::scripts::{Script, TAGS_MAX};
use super::{Inner, lock};
use crate::clock::Millis;
use crate::epochs::{Epochs, Stamp, Tag};
use crate::tier::Error;
use futures_util::StreamExt;
use redis::aio::PubSubSink;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant as Deadline, sleep, timeout};

/// How often Redis is asked for the last number.
const BEAT_EVERY: Duration = Duration::from_millis(400);
/// The least pause between two such questions, however much is invalidated.
const BEAT_PAUSE: Duration = Duration::from_millis(10);
/// An answer in the background comes within this.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// All tags that Redis remembers come within this.
const FETCH_MAX: Duration = Duration::from_secs(5);
/// A subscription is made within this.
const SUBSCRIBE_MAX: Duration = Duration::from_secs(1);
/// The longest pause between two attempts to subscribe.
const PAUSE_MAX: Duration = Duration::from_millis(800);
/// Tags that one script takes.
const TAGS_AT_ONCE: usize = 500;
/// Numbers applied out of turn that are remembered, so that they are not applied again.
const APPLIED_MAX: usize = 10_000;

/// What this replica knows of the others' invalidations.
pub(super) struct Sync {
    pub(super) epochs: Arc<Epochs>,
    pub(super) pending: Pending,
    /// Everything up to this number of Redis' is applied.
    known: AtomicU64,
    /// Numbers above `known` that are applied already.
    applied: Mutex<BTreeSet<u64>>,
    /// Who publishes from here.
    origin: String,
    /// Wakes whoever keeps in step.
    changed: Notify,
}

impl Sync {
    pub(super) fn new(epochs: Arc<Epochs>) -> Self {
        Self {
            epochs,
            pending: Pending::default(),
            known: AtomicU64::new(0),
            applied: Mutex::default(),
            origin: format!("{:032x}", fastrand::u128(..)),
            changed: Notify::new(),
        }
    }

    /// The last number up to which everything is applied.
    pub(super) fn known(&self) -> Stamp {
        Stamp(self.known.load(Ordering::Acquire))
    }

    /// Applies what another replica invalidated, unless it was applied already.
    fn apply(&self, number: u64, tags: &[Tag]) {
        // Applied under the lock: whoever finds the number there may rely on it.
        let mut applied = lock(&self.applied);
        if number <= self.known().0 || !applied.insert(number) {
            return;
        }
        if applied.len() > APPLIED_MAX {
            // Forgotten, it may be applied a second time: too much rather than too little.
            applied.pop_first();
        }
        self.epochs.apply(Stamp(number), tags);
    }

    /// Notes the number that an invalidation of this replica's own was given.
    fn apply_own(&self, number: u64, tags: &[(Tag, Stamp)]) {
        let mut applied = lock(&self.applied);
        applied.insert(number);
        self.epochs.import(Stamp(0), tags.iter().map(|(tag, _)| (*tag, Stamp(number))));
    }

    /// From now on everything up to `last` is known.
    fn reached(&self, last: u64, floor: u64) {
        self.epochs.raise_floor(Stamp(floor));
        self.epochs.advance(Stamp(last));
        let mut applied = lock(&self.applied);
        self.known.store(last, Ordering::Release);
        *applied = applied.split_off(&(last + 1));
    }
}

impl Inner {
    /// Tells other replicas, or keeps it until they can be told.
    pub(super) async fn tell(&self, number: Stamp, tags: &[Tag]) -> Result<(), Error> {
        // Kept first: whoever drops this call half-way has still invalidated.
        self.sync.pending.add(number, tags);
        let tags: Vec<_> = tags.iter().map(|tag| (*tag, number)).collect();
        let deadline = self.caller.deadline();
        let mut told = Ok(());
        for tags in tags.chunks(TAGS_AT_ONCE) {
            told = told.and(self.deliver(Kind::Write, tags, deadline).await);
        }
        self.sync.changed.notify_one();
        told.map_err(|failed| {
            let why = Error::from(failed);
            Error::Unavailable(format!("other replicas will hear of it when Redis is back: {why}"))
        })
    }

    /// Delivers some of what is pending.
    async fn deliver(&self, kind: Kind, tags: &[(Tag, Stamp)], deadline: Deadline) -> Result<(), Failed> {
        let least = tags.iter().map(|(_, number)| number.0).max().unwrap_or_default();
        let args = |cmd: &mut Cmd| {
            self.names.epoch_keys(cmd).arg(least).arg(&self.names.invalidations).arg(&self.sync.origin);
            cmd.arg(TAGS_MAX);
            for (tag, _) in tags {
                cmd.arg(format!("{:016x}", tag.0));
            }
        };
        let answer = self.caller.script(kind, &self.scripts.invalidate, args, deadline).await?;
        self.sync.apply_own(read(answer)?, tags);
        self.sync.pending.delivered(tags);
        Ok(())
    }

    /// Keeps in step with the other replicas, for ever.
    pub(super) async fn keep_in_step(&self) {
        let mut opened = self.caller.lanes.opened();
        loop {
            if let Err(failed) = self.step().await {
                tracing::debug!(error = %Error::from(failed), "cache does not hear of invalidations");
            }
            sleep(BEAT_PAUSE).await;
            tokio::select! {
                () = sleep(BEAT_EVERY) => {}
                () = self.sync.changed.notified() => {}
                _ = opened.changed() => {}
            }
        }
    }

    /// Delivers all that is pending. Where Redis does not take it now, it is lost with this process: the
    /// caller of [`Inner::tell`] was told so.
    pub(super) async fn tell_the_rest(&self) {
        let _ = timeout(ANSWER_MAX, self.deliver_pending()).await;
    }

    async fn deliver_pending(&self) -> Result<(), Failed> {
        loop {
            let tags = self.sync.pending.some(TAGS_AT_ONCE);
            if tags.is_empty() {
                return Ok(());
            }
            self.deliver(Kind::Background, &tags, Deadline::now() + ANSWER_MAX).await?;
        }
    }

    async fn step(&self) -> Result<(), Failed> {
        self.deliver_pending().await?;
        let asked = Millis::now();
        let known = self.sync.known().0;
        let args = |cmd: &mut Cmd| {
            self.names.epoch_keys(cmd).arg(self.sync.epochs.stamp().0).arg(known);
        };
        let (last, floor) = read(self.background(&self.scripts.beat, args).await?)?;
        if last < known {
            return self.restore(known).await;
        }
        if known == 0 {
            self.take_in(0, last).await?;
        } else if last > known {
            for (number, tags) in self.fetch(known + 1).await? {
                self.sync.apply(number, &tags);
            }
        }
        self.sync.reached(last, floor);
        self.sync.epochs.heard(asked);
        Ok(())
    }

    /// Takes in the numbers up to `last` that are not known here as they stand.
    async fn take_in(&self, least: u64, last: u64) -> Result<(), Failed> {
        let found = self.fetch(least).await?;
        let held: HashMap<Tag, Stamp> = self.sync.epochs.export().1.into_iter().collect();
        for (number, mut tags) in found {
            tags.retain(|tag| held.get(tag) != Some(&Stamp(number)));
            if number <= last && !tags.is_empty() {
                self.sync.epochs.apply(Stamp(number), &tags);
            }
        }
        Ok(())
    }

    /// The tags that Redis remembers from the number `least` on, by number.
    async fn fetch(&self, least: u64) -> Result<BTreeMap<u64, Vec<Tag>>, Failed> {
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(&self.names.epochs[1]).arg(least).arg("+inf").arg("WITHSCORES");
        let answer = self.caller.call(Kind::Background, &range, Deadline::now() + FETCH_MAX).await?;
        let rows: Vec<(String, f64)> = read(answer)?;
        let mut found = BTreeMap::<u64, Vec<Tag>>::new();
        for (tag, number) in rows {
            if let Some(tag) = tag_of(&tag) {
                found.entry(number as u64).or_default().push(tag);
            }
        }
        Ok(found)
    }

    /// Gives Redis back what it has lost, after taking in what it has been told since.
    async fn restore(&self, known: u64) -> Result<(), Failed> {
        tracing::warn!("Redis has lost the cache's invalidations: it is given back what is known here");
        let last = known.max(self.sync.epochs.stamp().0);
        // The last number first: whatever is invalidated from now on is numbered above it, and is found as
        // usual. What was numbered meanwhile may be below what is known here, and is taken in now.
        self.give_back(last, Stamp(0), &[]).await?;
        self.take_in(0, last).await?;
        let (floor, ours) = self.sync.epochs.export();
        for tags in ours.chunks(TAGS_AT_ONCE) {
            self.give_back(last, floor, tags).await?;
        }
        self.sync.changed.notify_one();
        Ok(())
    }

    async fn give_back(&self, last: u64, floor: Stamp, tags: &[(Tag, Stamp)]) -> Result<(), Failed> {
        let args = |cmd: &mut Cmd| {
            self.names.epoch_keys(cmd).arg(last).arg(floor.0);
            for (tag, number) in tags {
                cmd.arg(number.0).arg(format!("{:016x}", tag.0));
            }
        };
        self.background(&self.scripts.restore, args).await?;
        Ok(())
    }

    async fn background(&self, script: &Script, args: impl Fn(&mut Cmd) + Send) -> Result<Value, Failed> {
        self.caller.script(Kind::Background, script, args, Deadline::now() + ANSWER_MAX).await
    }

    /// Hears what is published, for ever.
    pub(super) async fn hear(&self) {
        let mut pause = Duration::from_millis(50);
        for attempt in 0.. {
            match self.subscribe(attempt).await {
                Ok(()) => pause = Duration::from_millis(50),
                Err(error) => {
                    tracing::debug!(%error, "cache is not subscribed to Redis");
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
            sleep(pause.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        }
    }

    /// Subscribes and hears until the connection is lost.
    async fn subscribe(&self, attempt: usize) -> Result<(), RedisError> {
        let Some(client) = self.caller.lanes.nodes().node(attempt) else { return Ok(()) };
        let subscribing = async {
            let (mut sink, messages) = client.get_async_pubsub().await?.split();
            sink.subscribe(&[&self.names.invalidations, &self.names.outcomes]).await?;
            Ok::<_, RedisError>((sink, messages))
        };
        let (sink, mut messages) = timeout(SUBSCRIBE_MAX, subscribing).await.map_err(|_| late())??;
        self.sync.changed.notify_one();
        let hearing = async {
            while let Some(message) = messages.next().await {
                let text = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
                if message.get_channel_name() == self.names.invalidations {
                    self.heard(&text);
                } else {
                    self.waiters.heard(&text);
                }
            }
        };
        tokio::select! {
            () = hearing => {}
            () = stay_alive(sink) => {}
        }
        Ok(())
    }

    /// Takes in `number origin tag tag…`.
    fn heard(&self, message: &str) {
        let mut words = message.split_ascii_whitespace();
        let (Some(number), Some(origin)) = (words.next(), words.next()) else { return };
        if origin == self.sync.origin {
            return;
        }
        if let Ok(number) = number.parse() {
            let tags: Vec<Tag> = words.filter_map(tag_of).collect();
            self.sync.apply(number, &tags);
        }
        self.sync.changed.notify_one();
    }
}

/// Asks for a sign of life as long as one comes in time.
async fn stay_alive(mut sink: PubSubSink) {
    while matches!(timeout(ANSWER_MAX, sink.ping::<Value>()).await, Ok(Ok(_))) {
        sleep(BEAT_EVERY).await;
    }
}

fn tag_of(text: &str) -> Option<Tag> {
    u64::from_str_radix(text, 16).ok().map(Tag)
}

fn read<T: FromRedisValue>(answer: Value) -> Result<T, Failed> {
    redis::from_redis_value(answer).map_err(|error| Failed::Refused(error.into()))
}

fn late() -> RedisError {
    RedisError::from((ErrorKind::Io, "no subscription in time"))
}
