//! How the figures went over the last day: a point a minute, made from the first look and the last of each.

use super::{Reading, Traffic};
use std::collections::VecDeque;
use std::time::Duration;

/// The time that a point stands for.
const STEP: Duration = Duration::from_secs(60);
/// Points kept: a day of them, about 230 KiB.
const POINTS_MAX: usize = 24 * 60;

/// One minute. Shares are from 0 to 1; what is missing could not be found out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// When the minute ended, since the trend began.
    pub at: Duration,
    /// Share of the processors that this process may use, over the minute.
    pub cpu: Option<f64>,
    /// Share of the fullest memory that it lives in, at the minute's end.
    pub memory: Option<f64>,
    /// Bytes resident at the minute's end.
    pub resident_bytes: Option<u64>,
    /// Bytes free on the data folder's disk at the minute's end.
    pub disk_free_bytes: Option<u64>,
    /// File descriptors open at the minute's end.
    pub open_files: Option<u64>,
    /// Bytes a second that came in from the network and went out to it, over the minute.
    pub network_bytes_per_second: Option<(f64, f64)>,
    /// The same of storage: read and written.
    pub storage_bytes_per_second: Option<(f64, f64)>,
    /// Requests a second, over the minute.
    pub requests_per_second: f64,
    /// Callers' connections at the minute's end.
    pub connections: u64,
}

/// A day of points. It reads no clock: every look comes with its time.
#[derive(Debug, Default)]
pub struct Trend {
    points: VecDeque<Point>,
    /// Where the minute under way began.
    first: Option<Look>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Duration,
    reading: Reading,
    requests: u64,
}

impl Trend {
    /// Takes in a look: when, since the trend began; what it showed; requests that have ended since the process
    /// began; callers' connections. True where it made a minute full.
    pub fn note(&mut self, at: Duration, reading: Reading, requests: u64, connections: u64) -> bool {
        let look = Look { at, reading, requests };
        let Some(first) = self.first else {
            self.first = Some(look);
            return false;
        };
        if at < first.at + STEP {
            return false;
        }
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back(point(&first, &look, connections));
        self.first = Some(look);
        true
    }

    /// The points, the oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &Point> + ExactSizeIterator {
        self.points.iter()
    }
}

fn point(first: &Look, last: &Look, connections: u64) -> Point {
    let seconds = last.at.saturating_sub(first.at).as_secs_f64();
    let (before, after) = (&first.reading, &last.reading);
    let cpu = || {
        let used = after.pressure.process_cpu?.saturating_sub(before.pressure.process_cpu?);
        Some(used.as_secs_f64() / (seconds * after.pressure.cores.unwrap_or(1.0)))
    };
    let rates = |before: Option<Traffic>, after: Option<Traffic>| {
        let (before, after) = before.zip(after)?;
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        Some((rate(before.in_bytes, after.in_bytes), rate(before.out_bytes, after.out_bytes)))
    };
    Point {
        at: last.at,
        cpu: cpu(),
        memory: after.pressure.memory.map(|memory| memory.share()),
        resident_bytes: after.pressure.resident,
        disk_free_bytes: after.disk.map(|disk| disk.free_bytes),
        open_files: after.open_files,
        network_bytes_per_second: rates(before.network, after.network),
        storage_bytes_per_second: rates(before.storage, after.storage),
        requests_per_second: last.requests.saturating_sub(first.requests) as f64 / seconds,
        connections,
    }
}
