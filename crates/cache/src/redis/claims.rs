//! One replica makes an answer, the others wait for it.
//!
//! A claim is a lock in Redis with a short life, renewed while its holder works. Whoever finds it taken
//! waits for the holder's word, looks after the lock now and then in case the word is lost, and never waits
//! beyond its own deadline. Claims are a saving, not a promise: where Redis is away everybody works for
//! himself.

use super::call::{Failed, Kind};
use super::scripts::Script;
use super::{Inner, Redis, lock};
use crate::key::Key;
use redis::{Cmd, Value};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// How long a claim holds that nobody renews, unless its holder wants it otherwise.
pub const HELD_FOR: Duration = Duration::from_secs(3);

/// Keys whose outcome is listened for at a time; who waits for further ones only looks.
const WAITED_FOR_MAX: usize = 10_000;
/// Claims dropped by their holders that are still to be given up; further ones run out by themselves.
const DROPPED_MAX: usize = 1024;
/// The shortest and the longest pause between two looks.
const LOOK: (u64, u64) = (50, 150);
/// Looks in vain, one right after another, after which nobody can tell any more.
const BLIND_MAX: u32 = 2;

/// What became of an attempt to claim a key.
#[derive(Debug)]
pub enum Claim {
    /// It is the caller's to make.
    Held(Guard),
    /// Another replica makes it: [`Redis::wait`].
    Elsewhere,
    /// Redis cannot be asked: everybody makes his own.
    Unknown,
}

/// How a claim ended, in its holder's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer is in the cache.
    Stored,
    /// There will be none.
    Failed,
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is in the cache.
    Stored,
    /// Whoever held the claim has failed.
    Failed,
    /// Nobody holds the claim any more and nothing was stored.
    Vanished,
    /// Redis cannot be asked: everybody makes his own.
    Unknown,
    /// The deadline came first.
    TimedOut,
}

/// A claim that is held. Dropped without [`Guard::release`] it is given up as failed, in the background.
#[derive(Debug)]
pub struct Guard {
    redis: Redis,
    key: Key,
    token: String,
    held_for: Duration,
    open: bool,
}

/// Those in this process who wait for other replicas.
pub(super) struct Waiters {
    keys: Mutex<HashMap<Key, watch::Sender<Option<End>>>>,
    dropped: mpsc::Sender<(Key, String)>,
    to_release: Mutex<Option<mpsc::Receiver<(Key, String)>>>,
}

impl Default for Waiters {
    fn default() -> Self {
        let (dropped, to_release) = mpsc::channel(DROPPED_MAX);
        Self { keys: Mutex::default(), dropped, to_release: Mutex::new(Some(to_release)) }
    }
}

impl Redis {
    /// Claims the making of what belongs under `key`, for `held_for` at a time; [`HELD_FOR`] suits most.
    /// Takes no longer than [`super::Options::budget`].
    pub async fn claim(&self, key: &Key, held_for: Duration) -> Claim {
        let token = format!("{:032x}", fastrand::u128(..));
        // Held before it is known to be: should the caller leave, the lock is given up again.
        let mut guard = Guard { redis: self.clone(), key: *key, token, held_for, open: true };
        match self.0.lock_script(&self.0.scripts.claim, key, &guard.token, held_for).await {
            Ok(Value::Int(1)) => Claim::Held(guard),
            Ok(_) => {
                guard.open = false;
                Claim::Elsewhere
            }
            Err(_) => Claim::Unknown,
        }
    }

    /// Waits for whoever holds the claim of `key`, until `deadline`, or until Redis cannot be asked: whoever
    /// waits is in a hurry, and what the holder says would not be heard.
    pub async fn wait(&self, key: &Key, deadline: Instant) -> Outcome {
        let inner = &*self.0;
        let waiting = async {
            let mut word = inner.waiters.listen(key);
            let mut blind = 0;
            loop {
                match inner.look(key).await {
                    Ok(Some(outcome)) => return outcome,
                    Ok(None) => blind = 0,
                    Err(failed) => {
                        blind += 1;
                        if blind == BLIND_MAX || matches!(failed, Failed::Tripped) {
                            return Outcome::Unknown;
                        }
                        continue;
                    }
                }
                let pause = sleep(Duration::from_millis(fastrand::u64(LOOK.0..=LOOK.1)));
                tokio::select! {
                    end = word.next() => return end.into(),
                    () = pause => {}
                }
            }
        };
        tokio::select! {
            outcome = Box::pin(waiting) => outcome,
            () = sleep_until(deadline) => Outcome::TimedOut,
        }
    }
}

impl Guard {
    /// Does `work`, and keeps the claim alive meanwhile.
    pub async fn renewing<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = Box::pin(self.renew()) => match never {},
        }
    }

    async fn renew(&self) -> Infallible {
        let inner = &*self.redis.0;
        loop {
            sleep(self.held_for / 3).await;
            // Where it cannot be renewed now it may be at the next third; a lost claim costs a second answer.
            let _ = inner.lock_script(&inner.scripts.renew, &self.key, &self.token, self.held_for).await;
        }
    }

    /// Gives the claim up and tells those who wait how it ended.
    pub async fn release(mut self, end: End) {
        let inner = &self.redis.0;
        if inner.release(&self.key, &self.token, end).await.is_err() {
            // The lock must run out, but a server that takes no writes still carries the word.
            let _ = inner.say(&self.key, end).await;
        }
        self.open = false;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.open {
            // Where there is no room the claim runs out by itself.
            let _ = self.redis.0.waiters.dropped.try_send((self.key, std::mem::take(&mut self.token)));
        }
    }
}

impl Inner {
    async fn lock_script(
        &self,
        script: &Script,
        key: &Key,
        token: &str,
        held_for: Duration,
    ) -> Result<Value, Failed> {
        let args = |cmd: &mut Cmd| {
            cmd.arg(1).arg(self.names.lock(key)).arg(token).arg(held_for.as_millis().max(1) as u64);
        };
        self.caller.script(Kind::Write, script, args, self.caller.deadline()).await
    }

    async fn release(&self, key: &Key, token: &str, end: End) -> Result<Value, Failed> {
        let word = end.about(key);
        let args = |cmd: &mut Cmd| {
            cmd.arg(1).arg(self.names.lock(key)).arg(token).arg(&self.names.outcomes).arg(&word);
        };
        self.caller.script(Kind::Write, &self.scripts.release, args, self.caller.deadline()).await
    }

    /// Tells those who wait how a claim ended, and no more. Publishing is no write.
    async fn say(&self, key: &Key, end: End) -> Result<Value, Failed> {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&self.names.outcomes).arg(end.about(key));
        self.caller.call(Kind::Read, &publish, self.caller.deadline()).await
    }

    /// What became of the claim, where it is over.
    async fn look(&self, key: &Key) -> Result<Option<Outcome>, Failed> {
        if self.exists(&self.names.lock(key)).await? {
            return Ok(None);
        }
        let stored = self.exists(&self.names.entry(key)).await?;
        Ok(Some(if stored { Outcome::Stored } else { Outcome::Vanished }))
    }

    async fn exists(&self, name: &str) -> Result<bool, Failed> {
        let answer =
            self.caller.call(Kind::Read, redis::cmd("EXISTS").arg(name), self.caller.deadline()).await?;
        Ok(answer == Value::Int(1))
    }

    /// Gives up the claims that were dropped, for ever.
    pub(super) async fn release_dropped(&self) {
        let Some(mut dropped) = lock(&self.waiters.to_release).take() else { return };
        while let Some((key, token)) = dropped.recv().await {
            // Where it cannot be given up it runs out by itself.
            let _ = self.release(&key, &token, End::Failed).await;
        }
    }
}

impl Waiters {
    /// Takes in `key word`.
    pub(super) fn heard(&self, message: &str) {
        let Some((key, word)) = message.split_once(' ') else { return };
        if let (Some(key), Some(end)) = (Key::from_hex(key), End::of(word))
            && let Some(waiting) = lock(&self.keys).get(&key)
        {
            waiting.send_replace(Some(end));
        }
    }

    /// Whether nobody waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.keys).is_empty()
    }

    fn listen(&self, key: &Key) -> Listening<'_> {
        let mut keys = lock(&self.keys);
        let room = keys.len() < WAITED_FOR_MAX || keys.contains_key(key);
        let word = room.then(|| keys.entry(*key).or_insert_with(|| watch::Sender::new(None)).subscribe());
        Listening { waiters: self, key: *key, word }
    }
}

/// One who waits for a word about a key.
struct Listening<'a> {
    waiters: &'a Waiters,
    key: Key,
    word: Option<watch::Receiver<Option<End>>>,
}

impl Listening<'_> {
    /// The next word; never comes where there was no room to listen.
    async fn next(&mut self) -> End {
        if let Some(word) = &mut self.word {
            while word.changed().await.is_ok() {
                if let Some(end) = *word.borrow_and_update() {
                    return end;
                }
            }
        }
        std::future::pending().await
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        if self.word.take().is_some() {
            let mut keys = lock(&self.waiters.keys);
            if keys.get(&self.key).is_some_and(|waiting| waiting.receiver_count() == 0) {
                keys.remove(&self.key);
            }
        }
    }
}

impl End {
    const fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Failed => "failed",
        }
    }

    /// As those who wait are told.
    fn about(self, key: &Key) -> String {
        format!("{key} {}", self.word())
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Stored, Self::Failed].into_iter().find(|end| end.word() == word)
    }
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Stored => Self::Stored,
            End::Failed => Self::Failed,
        }
    }
}
