//! Read, or compute once for everyone who asks meanwhile.

use super::{Cache, Freshness};
use crate::clock::Millis;
use crate::entry::{Entry, Lifetime};
use crate::key::Key;
use crate::tier::Tier;
use bytes::Bytes;
use guard::flight::{Boarded, SeatError, Weigh};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Why a value could not be computed: shared by everyone who waited for it.
pub type Failed = Arc<dyn Error + Send + Sync>;

/// A value on its way to those who wait.
#[derive(Clone, Debug)]
pub(super) struct Value(Bytes);

impl Weigh for Value {
    fn weigh(&self) -> usize {
        self.0.len()
    }
}

impl<R: Tier, D: Tier> Cache<R, D> {
    /// The value under `key`; where there is none, what `fetch` makes, kept for `ttl`. Of all who ask at once
    /// one fetches; should it leave half-way, another does. What was invalidated while it was fetched is
    /// given to those who waited for it and is not kept.
    ///
    /// ```
    /// use cache::{Cache, Options, key::{Key, Secret}};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = Cache::in_memory(Options::default());
    /// let key = Key::named(&Secret::new("a long random text"), "search", "greeting");
    ///
    /// let fetch = async || Ok::<_, std::io::Error>("hello".into());
    /// let value = cache.get_or_compute(&key, Duration::from_secs(60), fetch).await.unwrap();
    /// assert_eq!(value, "hello");
    ///
    /// // Nobody is asked a second time.
    /// let fetch = async || Err(std::io::Error::other("not reached"));
    /// let value = cache.get_or_compute(&key, Duration::from_secs(60), fetch).await.unwrap();
    /// assert_eq!(value, "hello");
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `fetch` failed of; nothing is kept then.
    pub async fn get_or_compute<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        key: &Key,
        ttl: Duration,
        fetch: impl AsyncFnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, Failed> {
        let lifetime = Lifetime { fresh: ttl, stale: Duration::ZERO };
        loop {
            if let Some(found) = self.get(key, Millis::now()).await
                && found.freshness == Freshness::Fresh
                && let Ok(value) = found.entry.body.to_plain()
            {
                return Ok(value);
            }
            match self.flights.board(*key) {
                Boarded::Pilot(pilot, _seat) => {
                    let stamp = self.stamp();
                    let value = match fetch().await {
                        Ok(value) => value,
                        Err(error) => {
                            let failed = Failed::from(error.into());
                            pilot.finish(Err(Arc::clone(&failed)));
                            return Err(failed);
                        }
                    };
                    let tags = [crate::epochs::Tag::key(key)];
                    let entry = Arc::new(Entry::new(value.clone(), Bytes::new(), lifetime, stamp, &tags));
                    // In memory before the flight ends: whoever comes next finds one or the other.
                    self.keep(key, &entry);
                    // The seat beside keeps the flight in the air, so that nobody can have abandoned it.
                    let _ = pilot.push(Value(value.clone())).await;
                    pilot.finish(Ok(()));
                    self.store(key, entry).await;
                    return Ok(value);
                }
                Boarded::Seat(mut seat) => match seat.next().await {
                    Some(Ok(Value(value))) => return Ok(value),
                    Some(Err(SeatError::Failed(failed))) => return Err(failed),
                    // Whoever fetched it is gone.
                    None | Some(Err(SeatError::Lost | SeatError::Expelled)) => {}
                },
                Boarded::Full => return fetch().await.map_err(|error| Failed::from(error.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

    use super::Failed;
    use crate::epochs::Tag;
    use crate::tier::conformance::key;
    use crate::{Cache, Options};
    use bytes::Bytes;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use tokio::sync::Notify;

    const TTL: Duration = Duration::from_secs(60);

    /// What is computed, how often, and when it may be done.
    #[derive(Default)]
    struct Source {
        begun: AtomicU32,
        go: Notify,
    }

    async fn ask(
        cache: Arc<Cache>,
        source: Arc<Source>,
        made: Result<&'static str, ()>,
    ) -> Result<Bytes, Failed> {
        let fetch = async || {
            source.begun.fetch_add(1, Ordering::Relaxed);
            source.go.notified().await;
            made.map(Bytes::from).map_err(|()| io::Error::other("no"))
        };
        cache.get_or_compute(&key(1), TTL, fetch).await
    }

    /// So many who ask at once, all of them under way.
    async fn asking(
        cache: &Arc<Cache>,
        source: &Arc<Source>,
        count: usize,
        made: Result<&'static str, ()>,
    ) -> Vec<tokio::task::JoinHandle<Result<Bytes, Failed>>> {
        let ask = || tokio::spawn(ask(Arc::clone(cache), Arc::clone(source), made));
        let asked = (0..count).map(|_| ask()).collect();
        // On one thread each runs up to where it must wait.
        tokio::task::yield_now().await;
        asked
    }

    #[tokio::test]
    async fn of_all_who_ask_at_once_one_computes() {
        let (cache, source) = (Arc::new(Cache::in_memory(Options::default())), Arc::default());
        let asked = asking(&cache, &source, 100, Ok("value")).await;
        source.go.notify_one();
        for each in asked {
            assert_eq!(each.await.unwrap().unwrap(), "value");
        }
        assert_eq!(ask(Arc::clone(&cache), Arc::clone(&source), Err(())).await.unwrap(), "value");
        assert_eq!(source.begun.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn where_the_one_leaves_another_computes() {
        let (cache, source) = (Arc::new(Cache::in_memory(Options::default())), Arc::default());
        let mut asked = asking(&cache, &source, 10, Ok("value")).await;
        asked.remove(0).abort();
        source.go.notify_one();
        for each in asked {
            assert_eq!(each.await.unwrap().unwrap(), "value");
        }
        assert_eq!(source.begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_and_not_kept() {
        let (cache, source) = (Arc::new(Cache::in_memory(Options::default())), Arc::default());
        let asked = asking(&cache, &source, 10, Err(())).await;
        source.go.notify_one();
        for each in asked {
            assert_eq!(each.await.unwrap().unwrap_err().to_string(), "no");
        }
        source.go.notify_one();
        assert_eq!(ask(cache, source, Ok("value")).await.unwrap(), "value");
    }

    #[tokio::test]
    async fn what_is_invalidated_while_it_is_computed_is_not_kept() {
        let (cache, source) = (Arc::new(Cache::in_memory(Options::default())), Arc::<Source>::default());
        let asked = asking(&cache, &source, 1, Ok("old")).await;
        cache.invalidate(&[Tag::key(&key(1))]).await.unwrap();
        source.go.notify_one();
        for each in asked {
            assert_eq!(each.await.unwrap().unwrap(), "old");
        }
        source.go.notify_one();
        assert_eq!(ask(cache, source, Ok("new")).await.unwrap(), "new");
    }
}
