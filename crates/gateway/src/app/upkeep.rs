//! What is to be done now and then for all workers at once, on the control thread.

use crate::gateway::Gateway;
use std::convert::Infallible;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(5);

/// Forgets targets that nobody asks for and those that the configuration no longer has; runs until dropped.
pub(super) async fn keep(gateway: &Gateway) -> Infallible {
    let mut due = tokio::time::interval(EVERY);
    loop {
        due.tick().await;
        let snapshot = gateway.snapshot(0);
        snapshot.protection.tidy(&snapshot.routes.roster(), Instant::now());
    }
}
