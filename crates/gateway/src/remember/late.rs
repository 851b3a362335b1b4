//! A tier that is opened behind the gateway's back: until then it has nothing, so that a disk that is slow to
//! open delays no start.

use cache::clock::Millis;
use cache::entry::Entry;
use cache::epochs::{Stamp, Tag};
use cache::key::Key;
use cache::tier::{Error, Tier, TierName};
use std::sync::{Arc, OnceLock};

/// A tier to come.
#[derive(Debug)]
pub struct Late<T> {
    name: TierName,
    tier: OnceLock<T>,
}

impl<T: Tier> Late<T> {
    /// Nothing yet; it will be the tier of this name.
    pub fn new(name: TierName) -> Self {
        Self { name, tier: OnceLock::new() }
    }

    /// The tier, once it is there.
    pub fn get(&self) -> Option<&T> {
        self.tier.get()
    }

    /// Here it is.
    pub fn set(&self, tier: T) -> &T {
        self.tier.get_or_init(|| tier)
    }

    fn absent(&self) -> Error {
        Error::Unavailable(format!("{} is not open yet", self.name.name()))
    }
}

impl<T: Tier> Tier for Late<T> {
    fn name(&self) -> TierName {
        self.name
    }

    async fn get(&self, key: &Key, now: Millis) -> Result<Option<Arc<Entry>>, Error> {
        match self.get() {
            Some(tier) => tier.get(key, now).await,
            None => Ok(None),
        }
    }

    async fn put(&self, key: &Key, entry: &Arc<Entry>) -> Result<(), Error> {
        match self.get() {
            Some(tier) => tier.put(key, entry).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        match self.get() {
            Some(tier) => tier.remove(key).await,
            None => Err(self.absent()),
        }
    }

    async fn clear_expired(&self, now: Millis) -> Result<u64, Error> {
        match self.get() {
            Some(tier) => tier.clear_expired(now).await,
            None => Ok(0),
        }
    }

    async fn invalidated(&self, number: Stamp, tags: &[Tag]) -> Result<(), Error> {
        match self.get() {
            Some(tier) => tier.invalidated(number, tags).await,
            None => Err(self.absent()),
        }
    }
}
