//! Asks providers of whom no traffic tells whether they are there: by their list of models, which costs nothing.
//! What comes of it is told and compared with others' failures; no breaker opens or closes by it.

use crate::ending::{Ending, Fault};
use crate::plan;
use crate::protect::{Account, Protection};
use crate::snapshot::Snapshot;
use crate::upstream::{Error, Upstream};
use crate::worker::Worker;
use guard::pattern::Event;
use http::StatusCode;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whom to ask.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// Under this name what a probe fails of is put beside the models' failures.
const MODEL: &str = "(list of models)";

/// Knows when each provider was heard of last, by its credential.
#[derive(Default)]
pub(super) struct Prober {
    asked: HashMap<u64, Instant>,
}

impl Prober {
    /// Asks whoever is due, each on a task of its own; as one may not take longer than the time between two,
    /// there is one at a time for each provider.
    pub(super) fn look(&mut self, snapshot: &Snapshot, worker: &Worker, now: Instant) {
        let guard = &snapshot.config.guard;
        if !guard.enabled || !guard.health.probe {
            return;
        }
        let heard = snapshot.protection.heard();
        let mut asked = HashMap::with_capacity(self.asked.len());
        for upstream in snapshot.upstreams.iter().filter(|upstream| upstream.is_remote()) {
            let key = plan::account(upstream);
            let last = self.asked.get(&key).max(heard.get(&key)).copied();
            let fresh = last.filter(|last| now.saturating_duration_since(*last) < guard.health.interval);
            if fresh.is_none() {
                let probe = Probe {
                    upstream: Arc::clone(upstream),
                    account: snapshot.protection.account(upstream.name(), key, now),
                    credential: key,
                    protection: Arc::clone(&snapshot.protection),
                };
                let (timeout, own) = (guard.health.timeout, worker.clone());
                worker.background.spawn(async move { probe.run(timeout, &own).await });
            }
            asked.insert(key, fresh.unwrap_or(now));
        }
        self.asked = asked;
    }
}

/// One question to one provider.
struct Probe {
    upstream: Arc<Upstream>,
    account: Arc<Account>,
    credential: u64,
    protection: Arc<Protection>,
}

impl Probe {
    async fn run(self, timeout: Duration, worker: &Worker) {
        let due = Instant::now() + timeout;
        let fault = match tokio::time::timeout(timeout, self.upstream.probe(worker, due)).await {
            // Nobody was asked.
            Ok(Err(Error::Starved(_))) => return,
            Ok(answered) => fault_of(&answered),
            Err(_) => Some(Fault::Timeout),
        };
        let (provider, credential, now) = (self.upstream.name(), self.credential, Instant::now());
        self.account.probe.note(fault, now);
        let patterns = self.protection.patterns();
        match fault {
            Some(kind) => patterns.note(Event { provider, credential, model: MODEL, kind }, now),
            None => patterns.succeeded(provider, credential, MODEL, now),
        }
    }
}

/// A provider that has no such list is there all the same.
fn fault_of(answered: &Result<StatusCode, Error>) -> Option<Fault> {
    match answered {
        Ok(status) if status.is_success() => None,
        Ok(status) => Ending::status(*status).fault,
        Err(error) => Ending::unsent(error).fault,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::fault_of;
    use crate::ending::Fault;
    use crate::upstream::Error;
    use http::StatusCode;

    #[test]
    fn only_what_is_the_providers_fault_counts() {
        let status = |code| fault_of(&Ok(StatusCode::from_u16(code).unwrap()));
        for code in [200, 204, 404, 405] {
            assert_eq!(status(code), None, "{code}");
        }
        assert_eq!(status(401), Some(Fault::Credential));
        assert_eq!(status(500), Some(Fault::Status));
        assert_eq!(fault_of(&Err(Error::ConnectTimeout)), Some(Fault::Connect));
    }
}
