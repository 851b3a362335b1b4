//! How hard pressed this process is, and what it does about it: takes on less, or turns requests away, the
//! least important first. What is judged by what is [`guard::pressure`]'s; here it is looked at, twice a second,
//! and told to everyone who must know.

use crate::config;
use crate::gateway::Gateway;
use guard::pressure::{Account, Buffered, Judge, Level, Load, Options, Reader, Verdict};
use std::convert::Infallible;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::failure::{Failure, Kind, Retry};

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// How often each worker looks how late its timers are.
pub const TICK: Duration = Duration::from_millis(250);
/// A worker whose timers are later than this has more to do than it can.
const LAG_MAX: Duration = Duration::from_millis(100);
/// What a request that is turned away is told to wait.
const COME_BACK: Duration = Duration::from_secs(1);

/// The pressure that this process is under.
pub struct Pressure {
    buffered: Account,
    /// The longest that each worker's timers were late since the last look, in nanoseconds.
    lags: Box<[AtomicU64]>,
    /// The last verdict.
    verdict: Mutex<Option<Verdict>>,
    /// Its level, for those who look at every request.
    sheds_from: AtomicU64,
}

/// The step from which no band is turned away.
const NOBODY: u64 = 4;

impl Pressure {
    /// None yet.
    pub fn new(settings: &config::Pressure, workers: usize) -> Self {
        Self {
            buffered: Account::new(settings.buffered_bytes),
            lags: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            verdict: Mutex::new(None),
            sheds_from: AtomicU64::new(NOBODY),
        }
    }

    /// Room for a body of so many bytes, until the token is dropped.
    ///
    /// # Errors
    /// 503 where as much is held as may be.
    pub fn hold(&self, bytes: usize) -> Result<Buffered, Failure> {
        self.buffered.take(bytes as u64).ok_or_else(|| refusal("The gateway holds as much as it may"))
    }

    /// Whether a request of this band may go on to a provider.
    ///
    /// # Errors
    /// 503 where it is turned away.
    pub fn admit(&self, band: guard::queue::Band) -> Result<(), Failure> {
        if (band as u64) < self.sheds_from.load(Relaxed) {
            return Ok(());
        }
        Err(refusal("The gateway has more to do than it can, and takes what is more urgent first"))
    }

    /// A timer of this worker's was so late.
    pub fn lagged(&self, worker: usize, by: Duration) {
        if let Some(lag) = self.lags.get(worker) {
            lag.fetch_max(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// What was found at the last look.
    pub fn verdict(&self) -> Option<Verdict> {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of bodies held now, and the most that may be.
    pub fn buffered(&self) -> (u64, u64) {
        (self.buffered.used(), self.buffered.cap())
    }

    fn note(&self, verdict: Verdict) {
        let from = match verdict.level {
            Level::Calm | Level::Squeeze => NOBODY,
            Level::Shed { from } => from as u64,
        };
        if self.sheds_from.swap(from, Relaxed) != from {
            tracing::warn!(level = ?verdict.level, cpu = verdict.cpu, memory = verdict.memory, "pressure");
        }
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    }

    /// The longest that a worker's timers were late since this was last asked.
    fn take_lag(&self) -> Duration {
        let lags = self.lags.iter().map(|lag| lag.swap(0, Relaxed));
        Duration::from_nanos(lags.max().unwrap_or_default())
    }
}

/// Looks until dropped, and has every target's limits follow.
pub async fn watch(gateway: &Gateway) -> Infallible {
    let pressure = &gateway.pressure;
    let mut judge = Judge::new(Options::default());
    let mut held = false;
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let snapshot = gateway.snapshot(0);
        let settings = &snapshot.config.guard.pressure;
        judge.set_options(options(settings));
        pressure.buffered.set_cap(settings.buffered_bytes);
        let (buffered, buffered_max) = pressure.buffered();
        let load = Load { overfull: pressure.take_lag() > LAG_MAX, buffered, buffered_max };
        let now = Instant::now();
        let verdict = judge.judge(&Reader.read(), load, now);
        pressure.note(verdict);
        if verdict.squeeze {
            snapshot.protection.for_each(|lane| lane.gate.squeeze(now));
        }
        if held || !verdict.may_grow {
            held = !verdict.may_grow;
            snapshot.protection.for_each(|lane| lane.gate.hold(held, now));
        }
    }
}

fn options(settings: &config::Pressure) -> Options {
    let config::Pressure { cpu, memory, memory_grow_below, memory_shed, buffered_bytes: _ } = *settings;
    Options { cpu, memory, memory_grow_below, memory_shed, ..Options::default() }
}

fn refusal(what: &str) -> Failure {
    Failure::new(Kind::Overloaded, format!("{what}; ask again later."))
        .with_code("gateway_overloaded")
        .with_retry(Retry::After(COME_BACK))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Pressure;
    use crate::config;
    use guard::pressure::{Level, Verdict};
    use std::time::Duration;

    const SETTINGS: config::Pressure = config::Pressure {
        cpu: 0.8,
        memory: 0.85,
        memory_grow_below: 0.8,
        memory_shed: 0.9,
        buffered_bytes: 100,
    };

    fn verdict(level: Level) -> Verdict {
        Verdict {
            level,
            squeeze: false,
            may_grow: true,
            cpu: None,
            machine_cpu: None,
            memory: None,
            buffered: 0.0,
            overfull: false,
        }
    }

    #[test]
    fn the_least_important_are_turned_away_first() {
        use guard::queue::Band::{Batch, High, Low, Normal};
        let pressure = Pressure::new(&SETTINGS, 1);
        for (level, admitted) in [
            (Level::Calm, vec![High, Normal, Low, Batch]),
            (Level::Squeeze, vec![High, Normal, Low, Batch]),
            (Level::Shed { from: Batch }, vec![High, Normal, Low]),
            (Level::Shed { from: Normal }, vec![High]),
            (Level::Shed { from: High }, vec![]),
        ] {
            pressure.note(verdict(level));
            let found: Vec<_> =
                [High, Normal, Low, Batch].into_iter().filter(|band| pressure.admit(*band).is_ok()).collect();
            assert_eq!(found, admitted, "{level:?}");
        }
    }

    #[test]
    fn no_more_is_held_than_may_be() {
        let pressure = Pressure::new(&SETTINGS, 1);
        let first = pressure.hold(60).unwrap();
        assert!(pressure.hold(60).is_err());
        drop(first);
        assert!(pressure.hold(60).is_ok());
    }

    #[test]
    fn the_latest_worker_counts_once() {
        let pressure = Pressure::new(&SETTINGS, 2);
        pressure.lagged(0, Duration::from_millis(1));
        pressure.lagged(1, Duration::from_millis(200));
        pressure.lagged(7, Duration::from_secs(9));
        assert_eq!(pressure.take_lag(), Duration::from_millis(200));
        assert_eq!(pressure.take_lag(), Duration::ZERO);
    }
}
