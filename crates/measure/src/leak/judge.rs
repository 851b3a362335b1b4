//! One window of samples, judged.

use super::Sample;
use super::statistics::{Point, median, quantile, slope, trend};
use std::time::Duration;

const MIB: f64 = 1024.0 * 1024.0;

/// Samples below which nothing is judged.
const SAMPLES_MIN: usize = 24;
/// Standard deviations from which on a rise is no chance.
const TREND_MIN: f64 = 3.0;
/// Either half must rise at this share of the whole window's slope at least.
const HALF_MIN: f64 = 0.7;
/// What is held on purpose takes its own bytes, and as much again in slack, tables and fragments at most.
const HELD_WEIGHT: f64 = 2.0;
/// Memory in proportion to load, and half as much again.
const LOAD_WEIGHT: f64 = 1.5;
/// Standard deviations from which on load has grown.
const LOAD_TREND_MIN: f64 = 1.5;
/// Load below which more or less of it explains nothing: requests a second, connections.
const LOAD_FLOORS: [f64; 2] = [1.0, 8.0];

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No leak, or nothing that can be told from none.
    #[default]
    None,
    /// Memory grows for no known reason, by little yet.
    Suspected,
    /// It grows for no known reason, steadily and by much.
    Found,
}

impl Level {
    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Suspected => "suspected",
            Self::Found => "found",
        }
    }

    /// The growth that makes it, in bytes and as a share of what there was.
    const fn threshold(self) -> (f64, f64) {
        match self {
            Self::None => (0.0, 0.0),
            Self::Suspected => (4.0 * MIB, 0.06),
            Self::Found => (8.0 * MIB, 0.10),
        }
    }
}

/// A finding, what it rests on, and both in a sentence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The finding.
    pub level: Level,
    /// It and its reason in words.
    pub words: String,
    /// The figures; `None` while there are too few samples.
    pub evidence: Option<Evidence>,
}

/// The figures of one window, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The time from the first sample to the last.
    pub span: Duration,
    /// How many samples.
    pub samples: usize,
    /// The process's own memory at the beginning.
    pub own: f64,
    /// How much it grew, by the line through all samples, that what is held on purpose does not explain.
    pub growth: f64,
    /// How much more is held on purpose than at the beginning, at most.
    pub held_growth: f64,
    /// How many times as busy it got as it was at the beginning; 1 for no busier.
    pub load_ratio: f64,
    /// Growth that nothing explains.
    pub unexplained: f64,
    /// Standard deviations from no trend, of Mann and Kendall's test.
    pub trend: f64,
    /// The lesser of both halves' slopes, as a share of the whole's: 1 for a straight line, 0 for a step.
    pub steadiness: f64,
}

impl Verdict {
    pub(super) fn too_early(span: Duration, enough: Duration) -> Self {
        let words = format!(
            "too early to tell: {} of samples, and {} are needed after a warm-up of two minutes",
            minutes(span),
            minutes(enough)
        );
        Self { level: Level::None, words, evidence: None }
    }
}

/// Judges a window; `None` where it has too few samples.
pub(super) fn judge(samples: &[Sample]) -> Option<Verdict> {
    let evidence = weigh(samples)?;
    let level = [Level::Found, Level::Suspected].into_iter().find(|level| evidence.shows(*level));
    let level = level.unwrap_or_default();
    Some(Verdict { level, words: evidence.words(level), evidence: Some(evidence) })
}

fn weigh(samples: &[Sample]) -> Option<Evidence> {
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < SAMPLES_MIN {
        return None;
    }
    let points = unexplained_by_held(samples);
    let span = last.at.saturating_sub(first.at);
    let by_second = slope(&points);
    let (earlier, later) = points.split_at(points.len() / 2);
    let slowest = slope(earlier).min(slope(later));
    let growth = by_second * span.as_secs_f64();
    let own = median(&mut samples[..SAMPLES_MIN / 4].iter().map(|one| one.own as f64).collect::<Vec<_>>());
    let load_ratio = load_ratio(samples);
    Some(Evidence {
        span,
        samples: samples.len(),
        own,
        growth,
        held_growth: held_growth(samples).last().copied().unwrap_or(0.0),
        load_ratio,
        unexplained: growth - LOAD_WEIGHT * (load_ratio - 1.0) * own,
        trend: trend(&points),
        steadiness: if by_second > 0.0 { slowest / by_second } else { 0.0 },
    })
}

/// The process's own memory, less what may be due to what is held on purpose.
fn unexplained_by_held(samples: &[Sample]) -> Vec<Point> {
    let less = held_growth(samples);
    let point =
        |(sample, held): (&Sample, f64)| (sample.at.as_secs_f64(), sample.own as f64 - HELD_WEIGHT * held);
    samples.iter().zip(less).map(point).collect()
}

/// How much more has been held than at the beginning, at most, up to each sample. It never falls: the allocator does not
/// give back at once what a cache gives up.
fn held_growth(samples: &[Sample]) -> Vec<f64> {
    let before = samples.first().map_or(0, |sample| sample.held);
    let most = |most: &mut u64, sample: &Sample| {
        *most = (*most).max(sample.held.saturating_sub(before));
        Some(*most as f64)
    };
    samples.iter().scan(0, most).collect()
}

/// How many times as busy it got as it was at the window's beginning, by requests or by connections, whichever grew
/// more. Load that only sways has not grown.
fn load_ratio(samples: &[Sample]) -> f64 {
    let loads: [fn(&Sample) -> f64; 2] =
        [|sample| sample.requests_per_second, |sample| sample.connections as f64];
    let ratio = |(load, floor): (fn(&Sample) -> f64, f64)| {
        let points: Vec<Point> =
            samples.iter().map(|sample| (sample.at.as_secs_f64(), load(sample))).collect();
        if trend(&points) < LOAD_TREND_MIN {
            1.0
        } else {
            along_the_line(&points, floor).max(by_thirds(&points, floor))
        }
    };
    loads.into_iter().zip(LOAD_FLOORS).map(ratio).fold(1.0, f64::max)
}

/// The end of the line through the points, in terms of its beginning.
fn along_the_line(points: &[Point], floor: f64) -> f64 {
    let Some(((first, _), (last, _))) = points.first().zip(points.last()) else { return 1.0 };
    let by_second = slope(points);
    let mut starts: Vec<f64> = points.iter().map(|(at, load)| load - by_second * (at - first)).collect();
    let start = median(&mut starts);
    (start + by_second * (last - first)).max(floor) / start.max(floor)
}

/// The busiest third, at its ninth decile, in terms of the first.
fn by_thirds(points: &[Point], floor: f64) -> f64 {
    let busy = |part: &[Point]| {
        quantile(&mut part.iter().map(|(_, load)| *load).collect::<Vec<_>>(), 0.9).max(floor)
    };
    let mut thirds = points.chunks(points.len().div_ceil(3)).map(busy);
    let before = thirds.next().unwrap_or(floor);
    thirds.fold(before, f64::max) / before
}

impl Evidence {
    fn shows(&self, level: Level) -> bool {
        let (bytes, share) = level.threshold();
        self.trend >= TREND_MIN
            && self.steadiness >= HALF_MIN
            && self.unexplained >= bytes.max(share * self.own)
    }

    /// Bytes an hour that nothing explains, were it to go on.
    #[must_use]
    pub fn per_hour(&self) -> f64 {
        self.unexplained.max(0.0) * 3600.0 / self.span.as_secs_f64().max(1.0)
    }

    fn words(&self, level: Level) -> String {
        let (least, share) = Level::Suspected.threshold();
        let grew = format!("the process's own memory grew by {} in {}", mib(self.growth), minutes(self.span));
        if level > Level::None {
            return format!(
                "{grew} beyond what caches hold more ({}) while load grew by {:.0} %: {} an hour that nothing explains",
                mib(self.held_growth),
                (self.load_ratio - 1.0) * 100.0,
                mib(self.per_hour())
            );
        }
        if self.growth < least.max(share * self.own) || self.trend < TREND_MIN {
            return format!(
                "none: the process's own memory is steady over {}, caches apart",
                minutes(self.span)
            );
        }
        if self.steadiness < HALF_MIN {
            return format!("none: {grew}, but in a step or levelling off, not steadily");
        }
        format!("none: {grew}, while load grew {:.1}-fold, which may explain it", self.load_ratio)
    }
}

fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / MIB)
}

fn minutes(span: Duration) -> String {
    format!("{:.0} min", span.as_secs_f64() / 60.0)
}
