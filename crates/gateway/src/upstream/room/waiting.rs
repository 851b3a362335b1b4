//! One who waits for a connection.

use super::{Bound, Grant, Share};
use std::time::Instant;
use tokio::sync::oneshot;

/// A place in the queue. Dropped, it is given up, and what had just been granted goes to the next.
pub(in crate::upstream) struct Waiting {
    share: Share,
    ticket: u64,
    bound: Bound,
    granted: oneshot::Receiver<Grant>,
}

impl Waiting {
    pub(super) fn new(share: Share, ticket: u64, bound: Bound, granted: oneshot::Receiver<Grant>) -> Self {
        Self { share, ticket, bound, granted }
    }

    /// What was in the way.
    pub(in crate::upstream) fn bound(&self) -> Bound {
        self.bound
    }

    /// What is granted in the end. May be asked for again where it was not waited for to the end.
    pub(in crate::upstream) async fn granted(&mut self) -> Grant {
        match (&mut self.granted).await {
            Ok(grant) => grant,
            // Nobody else takes it out of the queue without granting it something.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.share.room.leave(self.share.row, self.ticket);
        // Nothing can be granted from here on; what was, goes on: a place by its drop.
        self.granted.close();
        if let Ok(Grant::Connection(sender)) = self.granted.try_recv() {
            sender.give_back(Instant::now());
        }
    }
}
