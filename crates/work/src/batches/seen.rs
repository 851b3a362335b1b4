//! Which `custom_id`s a batch has had, in sixteen bytes for each.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A set of hashes of 128 bits: that two of 50,000 names share one by chance is less likely than one in 10^29.
#[derive(Default)]
pub(super) struct Seen {
    hashers: [RandomState; 2],
    hashes: HashSet<[u64; 2]>,
}

impl Seen {
    /// Whether it was not there before.
    pub fn insert(&mut self, name: &str) -> bool {
        self.hashes.insert(self.hashers.each_ref().map(|hasher| hasher.hash_one(name)))
    }
}
