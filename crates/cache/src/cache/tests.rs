#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod interleavings;

use super::*;
use crate::entry::Lifetime;
use crate::tier::conformance::key;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A tier that gives whatever was put into it, expired and invalidated or not, and fails when told to.
struct Careless {
    name: TierName,
    held: Mutex<HashMap<Key, Arc<Entry>>>,
    failure: Mutex<Option<Error>>,
    /// What it was asked, in order.
    asked: Mutex<Vec<&'static str>>,
}

impl Careless {
    fn new(name: TierName) -> Self {
        Self { name, held: Mutex::default(), failure: Mutex::default(), asked: Mutex::default() }
    }

    fn answer(&self, asked: &'static str) -> Result<(), Error> {
        lock(&self.asked).push(asked);
        lock(&self.failure).clone().map_or(Ok(()), Err)
    }

    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut lock(&self.asked))
    }

    fn put_directly(&self, number: u64, entry: &Arc<Entry>) {
        lock(&self.held).insert(key(number), Arc::clone(entry));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tier for Careless {
    fn name(&self) -> TierName {
        self.name
    }

    async fn get(&self, key: &Key, _: Millis) -> Result<Option<Arc<Entry>>, Error> {
        self.answer("get")?;
        Ok(lock(&self.held).get(key).cloned())
    }

    async fn put(&self, key: &Key, entry: &Arc<Entry>) -> Result<(), Error> {
        self.answer("put")?;
        lock(&self.held).insert(*key, Arc::clone(entry));
        Ok(())
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        self.answer("remove")?;
        lock(&self.held).remove(key);
        Ok(())
    }

    async fn clear_expired(&self, now: Millis) -> Result<u64, Error> {
        self.answer("clear_expired")?;
        let mut held = lock(&self.held);
        let before = held.len();
        held.retain(|_, entry| !entry.is_expired(now));
        Ok((before - held.len()) as u64)
    }

    async fn invalidated(&self, _: Stamp, _: &[Tag]) -> Result<(), Error> {
        self.answer("invalidated")
    }
}

type Tested = Cache<Careless, Careless>;

fn cache() -> Tested {
    let (redis, disk) = (Careless::new(TierName::Redis), Careless::new(TierName::Disk));
    Cache::new(Options::default(), Some(redis), Some(disk), Arc::default())
}

fn far(cache: &Tested) -> [&Careless; 2] {
    [cache.redis().unwrap(), cache.disk().unwrap()]
}

const TAG: Tag = Tag(77);

/// An entry of this cache that is fresh for a minute and may be served for another.
fn made(cache: &Tested, body: &'static str) -> Arc<Entry> {
    let lifetime = Lifetime { fresh: Duration::from_secs(60), stale: Duration::from_secs(60) };
    Arc::new(Entry::new(body.into(), Bytes::new(), lifetime, cache.stamp(), &[TAG]))
}

async fn find(cache: &Tested, number: u64) -> Option<(TierName, Bytes)> {
    let found = cache.get(&key(number), Millis::now()).await?;
    Some((found.tier, found.entry.body.to_plain().unwrap()))
}

#[tokio::test]
async fn what_is_stored_is_in_every_tier_and_the_nearest_answers() {
    let cache = cache();
    cache.store(&key(1), made(&cache, "x")).await;
    far(&cache).into_iter().for_each(|tier| assert_eq!(tier.asked(), ["put"]));
    assert_eq!(find(&cache, 1).await, Some((TierName::Memory, "x".into())));
    far(&cache).into_iter().for_each(|tier| assert!(tier.asked().is_empty()));
}

#[tokio::test]
async fn tiers_are_asked_in_order_and_what_is_far_comes_near() {
    for (tier, asked) in [(TierName::Redis, [1, 0]), (TierName::Disk, [1, 1])] {
        let cache = cache();
        let entry = made(&cache, "far");
        far(&cache).into_iter().find(|far| far.name == tier).unwrap().put_directly(1, &entry);
        assert_eq!(find(&cache, 1).await, Some((tier, "far".into())));
        assert_eq!(far(&cache).map(|tier| tier.asked().len()), asked);
        assert_eq!(find(&cache, 1).await, Some((TierName::Memory, "far".into())));
        assert_eq!(far(&cache).map(|tier| tier.asked().len()), [0, 0]);
    }
    let cache = cache();
    assert_eq!(find(&cache, 1).await, None);
    assert_eq!(far(&cache).map(Careless::asked), [vec!["get"], vec!["get"]]);
    assert_eq!(cache.stats().summary(Millis::now()).get(Count::Reads), 2);
}

#[tokio::test]
async fn redis_is_believed_before_disk() {
    let cache = cache();
    far(&cache)[0].put_directly(1, &made(&cache, "redis"));
    far(&cache)[1].put_directly(1, &made(&cache, "disk"));
    assert_eq!(find(&cache, 1).await, Some((TierName::Redis, "redis".into())));
}

#[tokio::test]
async fn a_tier_that_fails_is_a_miss_and_no_more() {
    let failures = [
        Error::Timeout,
        Error::Tripped,
        Error::Refused("read-only".into()),
        Error::Unavailable("connection reset".into()),
    ];
    for failure in failures {
        let cache = cache();
        let [redis, disk] = far(&cache);
        disk.put_directly(1, &made(&cache, "on disk"));
        *lock(&redis.failure) = Some(failure.clone());
        assert_eq!(find(&cache, 1).await, Some((TierName::Disk, "on disk".into())), "{failure}");

        *lock(&disk.failure) = Some(failure.clone());
        assert_eq!(find(&cache, 2).await, None);
        cache.store(&key(3), made(&cache, "x")).await;
        assert_eq!(find(&cache, 3).await, Some((TierName::Memory, "x".into())));
        assert_eq!(cache.clear_expired().await, 0);

        // An invalidation says who did not hear of it, and is in force all the same.
        let failed = cache.invalidate(&[TAG]).await.unwrap_err();
        assert_eq!(failed, [(TierName::Redis, failure.clone()), (TierName::Disk, failure)]);
        assert_eq!((find(&cache, 1).await, find(&cache, 3).await), (None, None));
    }
}

#[tokio::test]
async fn a_tier_that_gives_what_is_over_is_not_believed() {
    let cache = cache();
    let entry = |change: fn(&mut Entry, u64)| {
        let mut entry = Entry::clone(&made(&cache, "over"));
        let now = Millis::now().0;
        change(&mut entry, now);
        Arc::new(entry)
    };
    let invalidated = made(&cache, "invalidated");
    cache.invalidate(&[TAG]).await.unwrap();
    let expired =
        entry(|entry, now| (entry.fresh_until, entry.stale_until) = (Millis(now - 9), Millis(now - 1)));
    // Redis keeps for an hour, disk for a day.
    let forever = |entry: &mut Entry| entry.stale_until = Millis(u64::MAX);
    let mut two_hours_old = Entry::clone(&made(&cache, "two hours old"));
    two_hours_old.stored_at = Millis(Millis::now().0 - 2 * 3_600_000);
    forever(&mut two_hours_old);
    let mut two_days_old = two_hours_old.clone();
    two_days_old.stored_at = Millis(Millis::now().0 - 2 * 24 * 3_600_000);
    let (two_hours_old, two_days_old) = (Arc::new(two_hours_old), Arc::new(two_days_old));

    for (entry, in_redis, on_disk) in [
        (&expired, false, false),
        (&invalidated, false, false),
        (&two_hours_old, false, true),
        (&two_days_old, false, false),
        (&made(&cache, "well"), true, true),
    ] {
        for (tier, believed) in far(&cache).into_iter().zip([in_redis, on_disk]) {
            tier.put_directly(1, entry);
            let found = cache.look_further(&key(1), Millis::now()).await;
            assert_eq!(found.map(|found| found.tier), believed.then_some(tier.name), "{entry:?}");
            assert_eq!(cache.peek(&key(1), Millis::now()).is_some(), believed, "nor kept nearer");
            lock(&tier.held).clear();
            cache.memory().clear();
        }
    }
    // One that is over in Redis does not hide one on disk that is not.
    far(&cache)[0].put_directly(1, &expired);
    far(&cache)[1].put_directly(1, &made(&cache, "well"));
    assert_eq!(find(&cache, 1).await, Some((TierName::Disk, "well".into())));
}

#[tokio::test]
async fn what_was_invalidated_while_it_was_made_is_not_stored() {
    let cache = cache();
    let entry = made(&cache, "x");
    cache.invalidate(&[TAG]).await.unwrap();
    far(&cache).into_iter().for_each(|tier| assert_eq!(tier.asked(), ["invalidated"]));
    cache.store(&key(1), entry).await;
    assert!(cache.memory().is_empty());
    far(&cache).into_iter().for_each(|tier| assert!(tier.asked().is_empty()));
}

#[tokio::test]
async fn what_was_invalidated_is_not_found_in_any_tier_and_makes_room() {
    let cache = cache();
    cache.store(&key(1), made(&cache, "old")).await;
    cache
        .store(&key(2), Arc::new(Entry { tags: vec![Tag(1)].into(), ..Entry::clone(&made(&cache, "other")) }))
        .await;
    cache.invalidate(&[TAG]).await.unwrap();
    assert_eq!(find(&cache, 1).await, None);
    assert_eq!(cache.memory().len(), 1);
    assert_eq!(find(&cache, 2).await, Some((TierName::Memory, "other".into())));
    cache.store(&key(1), made(&cache, "new")).await;
    assert_eq!(find(&cache, 1).await, Some((TierName::Memory, "new".into())));
}

#[tokio::test]
async fn what_cannot_be_trusted_is_not_served_but_kept() {
    let cache = cache();
    cache.store(&key(1), made(&cache, "x")).await;
    cache.epochs().listen(Duration::from_secs(2));
    let later = Millis::now().after(Duration::from_secs(10));
    assert!(cache.get(&key(1), later).await.is_none());
    cache.epochs().heard(later);
    assert_eq!(cache.get(&key(1), later).await.unwrap().tier, TierName::Memory);
}

#[tokio::test]
async fn an_entry_says_how_old_it_is_and_whether_it_is_fresh() {
    let cache = cache();
    let entry = made(&cache, "x");
    cache.store(&key(1), Arc::clone(&entry)).await;
    for (now, freshness) in [
        (entry.stored_at, Some(Freshness::Fresh)),
        (Millis(entry.fresh_until.0 - 1), Some(Freshness::Fresh)),
        (entry.fresh_until, Some(Freshness::Stale)),
        (Millis(entry.stale_until.0 - 1), Some(Freshness::Stale)),
        (entry.stale_until, None),
    ] {
        let found = cache.get(&key(1), now).await;
        assert_eq!(found.as_ref().map(|found| found.freshness), freshness, "{now:?}");
        assert!(found.is_none_or(|found| found.age == now.since(entry.stored_at)));
    }
}

#[tokio::test]
async fn a_large_body_is_compressed_once_for_all_tiers() {
    let cache = cache();
    let body = Bytes::from("words, words, words. ".repeat(1000));
    let entry = Entry { body: crate::entry::Body::plain(body.clone()), ..Entry::clone(&made(&cache, "")) };
    cache.store(&key(1), Arc::new(entry)).await;
    let near = cache.peek(&key(1), Millis::now()).unwrap().entry;
    assert!(near.body.is_compressed());
    assert_eq!(near.body.to_plain().unwrap(), body);
    far(&cache).into_iter().for_each(|tier| assert!(Arc::ptr_eq(&lock(&tier.held)[&key(1)], &near)));
    let summary = cache.stats().summary(Millis::now());
    assert_eq!(summary.get(Count::StoredBytes), body.len() as u64);
    assert_eq!(summary.get(Count::HeldBytes), near.body.held().len() as u64);
}

#[tokio::test]
async fn expired_entries_are_cleared_everywhere_and_counted() {
    let cache = cache();
    let mut over = Entry::clone(&made(&cache, "over"));
    (over.fresh_until, over.stale_until) = (Millis(1), Millis(2));
    let over = Arc::new(over);
    far(&cache).into_iter().for_each(|tier| (0..3).for_each(|number| tier.put_directly(number, &over)));
    cache.memory().keep(&key(1), &over, Millis(0));
    cache.store(&key(9), made(&cache, "well")).await;
    assert_eq!(cache.clear_expired().await, 7);
    assert_eq!(cache.memory().len(), 1);
}

#[tokio::test]
async fn a_cache_of_memory_alone_works() {
    let cache: Cache = Cache::new(Options::default(), None, None, Arc::default());
    let lifetime = Lifetime { fresh: Duration::from_secs(60), stale: Duration::ZERO };
    let entry = Entry::new("x".into(), Bytes::new(), lifetime, cache.stamp(), &[TAG]);
    cache.store(&key(1), Arc::new(entry)).await;
    assert_eq!(cache.get(&key(1), Millis::now()).await.unwrap().tier, TierName::Memory);
    assert!(cache.get(&key(2), Millis::now()).await.is_none());
    cache.invalidate(&[TAG]).await.unwrap();
    assert!(cache.get(&key(1), Millis::now()).await.is_none());
    assert_eq!(cache.clear_expired().await, 0);
}
