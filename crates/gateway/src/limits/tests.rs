//! Limits before nothing, before a real Redis, and before one that is killed, frozen and emptied.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alone;
mod arithmetic;
mod away;
mod server;
mod together;

use super::{Account, Denied, Granted, Limits, Rates, Scope, Subject};
use cache::redis::Options;
use server::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// No condition takes so long, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

impl Limits {
    /// An account that is in force.
    fn opened(&self, scope: Scope, name: &str, rates: &Rates, now: Instant) -> Option<Arc<Account>> {
        let account = self.account(scope, name, rates, now)?;
        self.enforce([(&(scope, name.into()), &account)]);
        Some(account)
    }
}

/// One gateway's limits, in the background of which is done what is to be done.
struct Replica {
    limits: Arc<Limits>,
    running: JoinHandle<()>,
    drain: DropGuard,
}

impl Replica {
    fn start(options: &Options) -> Self {
        let limits = Arc::new(Limits::default());
        limits.share(Some(options)).unwrap();
        let (tasks, drain) = (TaskTracker::new(), CancellationToken::new());
        let (kept, token) = (Arc::clone(&limits), drain.clone());
        let running = tasks.spawn(async move { kept.run(token).await });
        Self { limits, running, drain: drain.drop_guard() }
    }

    /// So many replicas that know of each other.
    async fn join<const N: usize>(options: &Options) -> [Self; N] {
        let replicas = [(); N].map(|()| Self::start(options));
        for replica in &replicas {
            replica.counts_with(N as u64).await;
        }
        replicas
    }

    /// Waits until this one asks Redis and knows of so many.
    async fn counts_with(&self, replicas: u64) {
        eventually("together", async || !self.is_away() && self.replicas() == replicas).await;
    }

    async fn goes_away(&self) {
        eventually("away", async || self.is_away()).await;
    }

    fn is_away(&self) -> bool {
        self.limits.shared().unwrap().is_away()
    }

    fn replicas(&self) -> u64 {
        self.limits.shared().unwrap().replicas()
    }

    /// The account of a tenant.
    fn tenant(&self, name: &str, rates: &Rates) -> Arc<Account> {
        self.limits.opened(Scope::Tenant, name, rates, Instant::now()).unwrap()
    }

    async fn ask(&self, tenant: &Arc<Account>, tokens: u64) -> Result<Granted, Denied> {
        ask(&self.limits, tenant, tokens).await
    }

    /// Asks for as many tokens at a time until there are no more; gives how many there were.
    async fn exhaust(&self, tenant: &Arc<Account>, tokens: u64) -> u64 {
        let mut had = 0;
        while self.ask(tenant, tokens).await.is_ok() {
            had += tokens;
        }
        had
    }
}

/// What comes of one call, which must be over long before anybody loses patience.
async fn ask(limits: &Limits, tenant: &Arc<Account>, tokens: u64) -> Result<Granted, Denied> {
    let subject = Subject { tenant: Some(tenant), stream: true, ..Subject::default() };
    let asking = limits.admit(&subject, tokens, Instant::now());
    timeout(Duration::from_secs(10), asking).await.expect("a call that does not end")
}

/// Redis at `server`, with a budget that a busy machine keeps.
fn options(server: &Server) -> Options {
    Options { url: server.url(), budget: Duration::from_secs(2), ..Options::default() }
}

/// The same with the budget that it has in service.
fn brisk(server: &Server) -> Options {
    Options { url: server.url(), ..Options::default() }
}

fn tokens(tokens: u64) -> Rates {
    Rates { tokens_per_minute: Some(tokens), ..Rates::default() }
}

fn slots(requests: u32) -> Rates {
    Rates { concurrent_requests: Some(requests), ..Rates::default() }
}

/// What flows in since `begun`, rounded up.
fn inflow(limit: u64, begun: Instant) -> u64 {
    (begun.elapsed().as_nanos() * u128::from(limit)).div_ceil(MINUTE.as_nanos()) as u64
}

/// Waits until `holds` does.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "never came to be: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
