//! What the process takes of the machine, looked at every few seconds on the control thread: for the trend of the day,
//! for the verdict on leaks, and for whoever asks in between without waiting for a look.

use crate::allocator;
use crate::gateway::Gateway;
use cache::stats::Summary;
use measure::leak::{Detector, Sample, Verdict};
use measure::metrics::resources::Standing;
use measure::resources::{Point, Reader, Reading, Trend};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time between two looks.
const LOOK: Duration = Duration::from_secs(15);

/// What was seen so far. One for the process.
#[derive(Debug)]
pub struct Resources {
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    last: Option<Look>,
    trend: Trend,
    detector: Detector,
    verdict: Verdict,
}

/// One look, and what has come of requests since the one before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// When, since the process began.
    pub at: Duration,
    /// What it showed.
    pub reading: Reading,
    /// Requests that had ended since the process began.
    pub ended: u64,
    /// Those of them that ended badly through no fault of their callers.
    pub ended_badly: u64,
    /// Callers' connections.
    pub connections: u64,
    /// Requests a second since the look before.
    pub requests_per_second: f64,
    /// The share of them that failed through no fault of their callers; `None` where there were none.
    pub failed: Option<f64>,
    /// The share of the last hour's look-ups in the cache that were answered; `None` where there were none.
    pub hit_rate: Option<f64>,
}

/// Bytes that are held on purpose, by whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// Answers in memory.
    pub cache: u64,
    /// Answers under way that several callers wait for.
    pub flights: u64,
    /// Bodies of requests.
    pub bodies: u64,
}

impl Held {
    /// What is held now.
    pub fn of(gateway: &Gateway) -> Self {
        let remembered = &gateway.snapshot(0).remembered;
        Self {
            cache: remembered.tiers.memory().weight(),
            flights: remembered.departures.held_bytes() as u64,
            bodies: gateway.pressure.buffered().0,
        }
    }

    /// All together.
    pub fn bytes(self) -> u64 {
        self.cache + self.flights + self.bodies
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self { began: Instant::now(), seen: Mutex::default() }
    }
}

impl Resources {
    /// How long the process has run.
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// The last look; `None` before the first.
    pub fn last(&self) -> Option<Look> {
        self.seen().last
    }

    /// Whether memory is lost, as of the last look.
    pub fn leak(&self) -> Verdict {
        self.seen().verdict.clone()
    }

    /// The trend's last minutes, so many at most, the oldest first.
    pub fn trend(&self, minutes: usize) -> Vec<Point> {
        let seen = self.seen();
        let points = seen.trend.points();
        let skipped = points.len().saturating_sub(minutes);
        points.skip(skipped).copied().collect()
    }

    fn note(&self, look: Look, held: Held) {
        let mut seen = self.seen();
        seen.trend.note(look.at, look.reading, look.ended, look.connections);
        if let Some(own) = look.reading.pressure.anonymous {
            let Look { at, requests_per_second, connections, .. } = look;
            let sample = Sample { at, own, held: held.bytes(), requests_per_second, connections };
            seen.detector.note(sample);
        }
        let verdict = seen.detector.verdict();
        if verdict.level > seen.verdict.level {
            tracing::warn!(level = verdict.level.name(), "memory leak: {}", verdict.words);
        }
        seen.verdict = verdict;
        seen.last = Some(look);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks until dropped.
pub async fn watch(gateway: &Gateway) -> Infallible {
    let mut due = tokio::time::interval(LOOK);
    loop {
        due.tick().await;
        let look = look(gateway);
        gateway.resources.note(look, Held::of(gateway));
    }
}

/// Sets the metrics that are read with the others. Here the system is asked anew.
pub fn measure(gateway: &Gateway) {
    gateway.metrics.resources.show(Standing {
        reading: reader(gateway).read(),
        allocator: allocator::figures(),
        runtimes: gateway.runtimes.stands(),
        leak: gateway.resources.leak().level,
    });
}

/// Who looks at the system, and at the data folder's disk.
pub fn reader(gateway: &Gateway) -> Reader {
    Reader::new(gateway.snapshot(0).config.data.clone())
}

fn look(gateway: &Gateway) -> Look {
    let (resources, sums) = (&gateway.resources, gateway.metrics.sums());
    let at = resources.uptime();
    let before = resources.last().unwrap_or_default();
    let ended = sums.all().saturating_sub(before.ended);
    let failed = sums.failed().saturating_sub(before.ended_badly);
    let hours = gateway.snapshot(0).remembered.hours();
    let hour = hours.iter().fold(Summary::default(), |sum, (_, hour)| sum.plus(hour));
    Look {
        at,
        reading: reader(gateway).read(),
        ended: sums.all(),
        ended_badly: sums.failed(),
        connections: u64::try_from(gateway.metrics.connections.get()).unwrap_or(0),
        requests_per_second: ended as f64 / at.saturating_sub(before.at).as_secs_f64().max(1e-3),
        failed: (ended > 0).then(|| failed as f64 / ended as f64),
        hit_rate: hour.hit_rate(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Held, Look, Resources};
    use measure::leak::Level;
    use std::time::Duration;

    /// A look after so many seconds, with so many MiB of its own.
    fn look(seconds: u64, mib: u64) -> Look {
        let mut look = Look { at: Duration::from_secs(seconds), connections: 3, ..Look::default() };
        look.reading.pressure.anonymous = Some(mib << 20);
        look
    }

    #[test]
    fn a_leak_is_told_and_the_day_is_kept() {
        let resources = Resources::default();
        for seconds in (0..=600).step_by(15) {
            resources.note(look(seconds, 50 + seconds / 15), Held::default());
        }
        assert_eq!(resources.leak().level, Level::Found);
        assert_eq!(resources.last().unwrap().at, Duration::from_secs(600));
        let minutes =
            |most| resources.trend(most).iter().map(|point| point.at.as_secs() / 60).collect::<Vec<_>>();
        assert_eq!(minutes(3), [8, 9, 10]);
        assert_eq!(minutes(1000).len(), 10);
    }
}
