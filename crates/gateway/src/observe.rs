//! What is seen of requests: whoever looks stands beside their path, not in it.
//!
//! ```text
//! a request fills in its Account ─► at its end: its worker's Tray ─┐   every 100 ms, or before where a tray fills
//! a stream's gaps, a few at once ─► the same ──────────────────────┴─► the observer thread
//!                  live figures · the requests that are kept · what advice rests on · a line for each slow one
//! the admin plane ─► Door: a question ─► answered between two looks, with what has been put down by then
//! ```
//!
//! A request pays for reading the clock at the moments that it passes and for one push at its end. Whatever is made
//! of that is made by the one thread that owns it, so that nothing here is shared, locked or atomic but the trays.

pub mod account;
pub mod archive;
pub mod door;
mod entry;
mod figures;
mod id;
mod pace;
mod recent;
pub mod search;
pub mod show;
mod slow;
#[cfg(test)]
pub(crate) mod stage;
pub mod trail;
pub mod tray;
mod waterfall;

pub use account::{Account, Role};
pub use entry::Entry;
pub use figures::{Figures, Reading};
pub use id::Id;
pub use recent::{Bounds, Recent};

use crate::advice::Evidence;
use crate::config::{self, Config};
use crate::gateway::Gateway;
use archive::Archive;
use door::Door;
use measure::moment::Moment;
use pace::Pace;
use slow::SlowLog;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tray::{Load, Tray};

/// Between two looks at the trays.
const EVERY: Duration = Duration::from_millis(100);
/// What the observer does needs little; the system's default is megabytes of address space.
const STACK_BYTES: usize = 512 << 10;
/// The name under which everything not named in the configuration is counted.
pub const OTHER: &str = "other";

/// The way to the observer: one for the process.
#[derive(Debug)]
pub struct Observer {
    door: Arc<Door>,
    /// One for each worker.
    trays: Box<[Arc<Tray>]>,
}

impl Observer {
    /// For so many workers. Nobody looks yet; whether anybody will is said by `wanted`.
    pub fn new(workers: usize, wanted: bool) -> Self {
        let door = Arc::new(Door::default());
        let observer =
            Self { trays: (0..workers).map(|_| Arc::new(Tray::new(Arc::clone(&door)))).collect(), door };
        observer.want(wanted);
        observer
    }

    /// The tray of the worker of this number.
    pub fn tray(&self, worker: usize) -> &Arc<Tray> {
        &self.trays[worker]
    }

    /// What found no room on a tray since the start.
    pub fn dropped(&self) -> u64 {
        self.trays.iter().map(|tray| tray.dropped()).sum()
    }

    /// Asks the observer something; it has seen by then whatever was put down before. `None` where it has left or
    /// has more questions than it may.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Seen) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let asked = self.door.ask(Box::new(move |seen| {
            // Whoever asked may have left.
            let _ = reply.send(question(seen));
        }));
        if asked { answer.await.ok() } else { None }
    }

    fn want(&self, wanted: bool) {
        self.trays.iter().for_each(|tray| tray.want(wanted));
    }
}

/// The observer's thread, while it runs.
pub struct Running {
    thread: JoinHandle<()>,
    door: Arc<Door>,
}

impl Running {
    /// Ends it, once it has seen what was put down before. It takes moments.
    pub fn finish(self) {
        self.door.close();
        // A thread that has panicked has nothing more to tell.
        let _ = self.thread.join();
    }
}

/// Starts the observer.
///
/// # Errors
/// Where the system refuses a thread.
pub fn start(gateway: &Arc<Gateway>) -> io::Result<Running> {
    let (gateway, door) = (Arc::clone(gateway), Arc::clone(&gateway.observer.door));
    let behind = Arc::clone(&door);
    let thread = std::thread::Builder::new().name("observer".to_owned()).stack_size(STACK_BYTES);
    let thread = thread.spawn(move || {
        let inside = Inside(behind);
        look(&gateway, &inside.0);
    })?;
    Ok(Running { thread, door })
}

/// Whoever is behind the door, for as long as that lasts: where a fault ends it, too, nobody waits for an answer.
struct Inside(Arc<Door>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn look(gateway: &Gateway, door: &Door) {
    let mut settings = gateway.snapshot(0).config.observe;
    let mut seen = Seen::new(&gateway.snapshot(0).config);
    gateway.observer.want(settings.enabled);
    let mut loads: Vec<Load> = gateway.observer.trays.iter().map(|_| Load::default()).collect();
    loop {
        let waiting = door.wait(EVERY);
        let fresh = gateway.snapshot(0).config.observe;
        if fresh != settings {
            settings = fresh;
            seen.change(&settings);
            gateway.observer.want(settings.enabled);
        }
        let now = Moment::now();
        for (tray, load) in gateway.observer.trays.iter().zip(&mut loads) {
            tray.swap(load);
        }
        seen.take_in(&mut loads, now);
        seen.tick(now);
        waiting.questions.into_iter().for_each(|question| question(&mut seen));
        if waiting.leave {
            return seen.finish();
        }
    }
}

/// What has been seen: the observer's own.
#[derive(Debug)]
pub struct Seen {
    /// How many and how fast, by whatever they are told by.
    pub figures: Figures,
    /// The requests that are kept.
    pub recent: Recent,
    /// What advice rests on.
    pub evidence: Evidence,
    pace: Pace,
    slow: SlowLog,
    archive: Archive,
    /// Room to put what several workers tell in order.
    several: Vec<Account>,
}

impl Seen {
    /// Begins with what is kept of the last day.
    fn new(config: &Config) -> Self {
        let (settings, now) = (&config.observe, Moment::now());
        let archive =
            Archive::new(config.history_folder(), settings.history_days, settings.history_bytes_max);
        let mut figures = Figures::new(settings.figures_bytes_max, now);
        archive.last_day(now.wall, |minute| figures.restore(&minute));
        let recent = Recent::new(bounds(settings));
        let (evidence, pace) = (Evidence::new(now.at), Pace::new(now.at));
        let (slow, several) = (SlowLog::default(), Vec::new());
        Self { figures, recent, evidence, pace, slow, archive, several }
    }

    /// Requests that were not kept, as too many came.
    pub fn thinned(&self) -> u64 {
        self.pace.thinned()
    }

    fn tick(&mut self, now: Moment) {
        self.slow.tick(now.at);
        if let Some(minute) = self.figures.tick(now) {
            self.archive.keep(minute);
        }
    }

    /// Keeps what of the minute under way is known.
    fn finish(mut self) {
        if let Some(minute) = self.figures.finish() {
            self.archive.keep(minute);
        }
        self.archive.finish();
    }

    fn change(&mut self, settings: &config::Observe) {
        self.recent.rebound(bounds(settings));
    }

    fn take_in(&mut self, loads: &mut [Load], now: Moment) {
        for load in &mut *loads {
            load.gaps.drain(..).for_each(|gaps| self.figures.between_tokens(&gaps));
        }
        self.evidence.tick(now.at);
        let several_max = loads.len() * tray::KEPT_MAX;
        let accounts = in_order(loads, &mut self.several);
        for account in &*accounts {
            self.figures.note(account);
            self.evidence.note(account);
        }
        let Bounds { newest, slow_after, .. } = *self.recent.bounds();
        let come = accounts.iter().filter(|account| account.role == Role::Request).count();
        self.pace.look(come, newest, now.at);
        let requests = accounts.iter_mut().filter(|account| account.role == Role::Request);
        let entries = requests.filter_map(|account| {
            let number = self.pace.number(account.is_failed() || account.is_slow(slow_after))?;
            Some(Entry::new(number, account.take(), now))
        });
        self.recent.extend(entries, |entry| self.slow.tell(entry));
        accounts.clear();
        self.several.shrink_to(several_max);
    }
}

/// All accounts of some loads in the order in which they ended, as each worker's requests are already; of errands it
/// is told when they began. In `several` where they are of more than one worker.
fn in_order<'a>(loads: &'a mut [Load], several: &'a mut Vec<Account>) -> &'a mut Vec<Account> {
    let mut told = loads.iter_mut().map(|load| &mut load.accounts).filter(|accounts| !accounts.is_empty());
    match (told.next(), told.next()) {
        (Some(one), None) => one,
        (one, other) => {
            one.into_iter().chain(other).chain(told).for_each(|accounts| several.append(accounts));
            several.sort_by_key(Account::ended);
            several
        }
    }
}

fn bounds(settings: &config::Observe) -> Bounds {
    Bounds {
        newest: settings.requests,
        slow: settings.requests_slow,
        failed: settings.requests_failed,
        bytes: settings.requests_bytes_max,
        slow_after: settings.slow,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use measure::live::{ScopeId, Window};

    fn load(accounts: impl IntoIterator<Item = Account>) -> Load {
        Load { accounts: accounts.into_iter().collect(), gaps: Vec::new() }
    }

    #[test]
    fn requests_of_several_workers_are_told_in_the_order_in_which_they_ended() {
        let config = Config::load(&config::Sources::default()).unwrap().config;
        let mut seen = Seen::new(&config);
        let request = |id: &str, total: u64| {
            let mut account = stage::account(id);
            account.total = stage::millis(total);
            account
        };
        let mut loads = [
            load([request("b", 200_000), request("d", 400_000)]),
            load([request("a", 100_000), request("c", 300_000), request("e", 500_000)]),
            load([]),
        ];
        seen.take_in(&mut loads, Moment::now());
        let ids: String = seen.recent.iter().map(Entry::id).collect();
        assert_eq!(ids, "edcba");
        assert!(loads.iter().all(|load| load.accounts.is_empty()));
    }

    #[test]
    fn of_a_rush_some_are_kept_and_all_that_failed_or_were_slow() {
        let config = Config::load(&config::Sources::default()).unwrap().config;
        let mut seen = Seen::new(&config);
        let remarkable = [7_001, 7_002, 7_999];
        let request = |number: u64| {
            let mut account = stage::account(&number.to_string());
            match number {
                7_001 => account.outcome = measure::metrics::Outcome::ProviderError,
                7_002 | 7_999 => account.total = stage::millis(6_000),
                _ => {}
            }
            account
        };
        let errand =
            |_| Account::new(Id::NONE, wire::operation::Operation::Models, Role::Errand, Moment::now().at);
        // Errands are no part of it, however many come.
        let accounts = (0..8_000).map(request).chain((0..50_000).map(errand));
        seen.take_in(&mut [load(accounts)], Moment::now());
        let kept: Vec<_> = seen.recent.iter().map(|entry| (entry.number, entry.id().to_owned())).collect();
        assert!(kept.iter().all(|(number, id)| number.to_string() == *id), "they are numbered as they ended");
        let (others, found): (Vec<u64>, Vec<u64>) =
            kept.iter().map(|(number, _)| number).partition(|number| !remarkable.contains(number));
        assert_eq!(found, [7_999, 7_002, 7_001]);
        assert_eq!(others.len(), 1_600, "2,000 may be, and the stride is odd");
        assert!(others.windows(2).all(|pair| pair[0] - pair[1] == 5), "evenly");
        assert_eq!(seen.thinned(), 8_000 - 1_603);
        assert_eq!(seen.figures.live().rates(ScopeId::ALL, Window::S10).requests, 8_000);
    }
}
