//! The tier that keeps nothing.

use super::{Error, Tier, TierName};
use crate::clock::Millis;
use crate::entry::Entry;
use crate::key::Key;
use std::sync::Arc;

/// Keeps nothing and never fails: a tier that is switched off.
#[derive(Clone, Copy, Debug)]
pub struct Off(
    /// The tier it stands for.
    pub TierName,
);

impl Tier for Off {
    fn name(&self) -> TierName {
        self.0
    }

    async fn get(&self, _: &Key, _: Millis) -> Result<Option<Arc<Entry>>, Error> {
        Ok(None)
    }

    async fn put(&self, _: &Key, _: &Arc<Entry>) -> Result<(), Error> {
        Ok(())
    }

    async fn remove(&self, _: &Key) -> Result<(), Error> {
        Ok(())
    }

    async fn clear_expired(&self, _: Millis) -> Result<u64, Error> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::conformance;

    #[tokio::test]
    async fn keeps_the_contract() {
        conformance::run(&Off(TierName::Disk), conformance::Keeps::Nothing).await;
    }
}
