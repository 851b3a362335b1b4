//! What happens to one run, as it happens: for a stream of events.
//!
//! What happens in this process is told at once; what happens elsewhere is found by looking, soon after the last
//! change and then less and less often.

use std::sync::Arc;
use std::time::Duration;

use guard::retry::Backoff;
use store::Result;
use store::runs::{Run, RunState};
use tokio::sync::broadcast::{self, error::RecvError};

use super::Engine;

/// How often to look: the pauses grow while nothing changes.
const LOOK: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(2) };
/// How soon to look after a word that something has changed: many steps may end in one moment.
const CALM: Duration = Duration::from_millis(20);

/// The changes of one run, from its present state to its last.
pub struct Watch {
    engine: Engine,
    id: String,
    tenant: Option<String>,
    changes: broadcast::Receiver<Arc<str>>,
    seen: Option<Seen>,
}

/// What is told of: a change in any of it.
#[derive(PartialEq)]
struct Seen {
    state: RunState,
    status: Vec<u8>,
}

impl Engine {
    /// What happens to a run from now on. `tenant` `None`: whosever it is.
    #[must_use]
    pub fn watch(&self, run: &str, tenant: Option<&str>) -> Watch {
        let changes = self.inner.changes.subscribe();
        let (id, tenant) = (run.to_owned(), tenant.map(str::to_owned));
        Watch { engine: self.clone(), id, tenant, changes, seen: None }
    }
}

impl Watch {
    /// The run as it stands, at first, and then whenever it or one of its steps has changed. What changes several
    /// times between two looks is told once. `None` after its last state, and where there is none such. May be
    /// dropped and called again.
    ///
    /// # Errors
    /// Where the store answers, and not well. While it is away, this waits.
    pub async fn next(&mut self) -> Result<Option<Run>> {
        if self.seen.as_ref().is_some_and(|seen| seen.state.is_final()) {
            return Ok(None);
        }
        let mut look = 0;
        loop {
            match self.engine.inner.runs.run(&self.id, self.tenant.as_deref()).await {
                Ok(None) => return Ok(None),
                Ok(Some(run)) if self.is_new(&run) => return Ok(Some(run)),
                Ok(Some(_)) => {}
                Err(error) if error.may_pass() => {}
                Err(error) => return Err(error),
            }
            let longest = LOOK.delay(look, fastrand::u64(..)).max(CALM);
            // The time has passed, or somebody said something: it is looked in either case.
            let _ = tokio::time::timeout(longest, self.hint()).await;
            look += 1;
        }
    }

    fn is_new(&mut self, run: &Run) -> bool {
        let now = Some(Seen { state: run.state, status: run.status.clone() });
        let is_new = self.seen != now;
        self.seen = now;
        is_new
    }

    /// Waits for a word that the run has changed.
    async fn hint(&mut self) {
        loop {
            match self.changes.recv().await {
                Ok(id) if *id != *self.id => {}
                // Behind: the word may have been among those that are lost.
                Ok(_) | Err(RecvError::Lagged(_)) => return tokio::time::sleep(CALM).await,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
