//! The tiers that a configuration asks for.

use crate::config;
use cache::epochs::Epochs;
use cache::tier::Off;
use cache::{Cache, Options};
use std::sync::Arc;

/// The tiers of a gateway.
pub type Tiers = Cache<Off, Off>;

/// Puts them together.
pub fn build(settings: &config::Cache) -> Tiers {
    let mut options = Options { memory: settings.memory, ..Options::default() };
    if let Some(redis) = &settings.redis {
        options.redis_ttl = redis.ttl;
    }
    if let Some(disk) = &settings.disk {
        options.disk_ttl = disk.ttl;
    }
    Cache::new(options, None, None, Arc::new(Epochs::default()))
}
