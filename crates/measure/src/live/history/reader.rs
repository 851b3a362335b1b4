//! Reads the history: charts of up to 30 days, and the last day for a process that begins again.
//!
//! Every frame of the days asked for is read and checked; there is no index, as a month of a busy gateway is
//! read in about a second. It blocks on the disk, so it has no place on a thread that serves.

use super::day;
use super::frame::{Frame, Frames};
use super::{DAY, Problem};
use crate::live::minute::Minute;
use crate::live::names::{Figure, Kind};
use crate::live::points::{Point, RatePoint, Steps};
use crate::live::scope::Track;
use crate::live::slot::{Pairs, Sums, write_pairs};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most steps of a chart; longer steps are taken where there would be more.
const STEPS_MAX: u32 = 1500;
/// How much is read at once.
const READ_BYTES: usize = 256 << 10;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// Of whom.
    pub kind: Kind,
    /// By this name; of [`Kind::All`] there is only `all`.
    pub name: &'a str,
    /// From this minute since 1970, and up to that one. The beginning is moved back to that of its step.
    pub minutes: Range<u32>,
    /// How many minutes there are in a step. More are taken where there would be more than 1,500 steps.
    pub step: u32,
}

/// A folder of history, to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    folder: PathBuf,
}

impl Reader {
    /// Reads this folder, also one that nobody writes.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A figure's chart, the oldest step first.
    ///
    /// # Errors
    /// Where the disk cannot be read. Where there is nothing, there are no points.
    pub fn points(&self, query: &Query<'_>, figure: Figure) -> Result<Vec<Point>, Problem> {
        self.chart(query, Track::Figure(figure), Point::of)
    }

    /// The chart of the rates, in the same steps.
    ///
    /// # Errors
    /// As [`Self::points`].
    pub fn rate_points(&self, query: &Query<'_>) -> Result<Vec<RatePoint>, Problem> {
        self.chart(query, Track::Tally, RatePoint::of)
    }

    /// Shows every minute, in the order in which they were written: for [`Live::restore`](crate::live::Live).
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn minutes(&self, minutes: Range<u32>, mut show: impl FnMut(Minute)) -> Result<(), Problem> {
        let mut open: Option<Minute> = None;
        self.visit(minutes, |frame| {
            if let Some(minute) = open.take_if(|minute| minute.at != frame.at) {
                show(minute);
            }
            let minute = open.get_or_insert_with(|| Minute { at: frame.at, entries: Vec::new() });
            minute.entries.push(frame.to_entry());
        })?;
        open.into_iter().for_each(show);
        Ok(())
    }

    /// The files among these minutes' that were passed over, as another release wrote them.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn passed_over(&self, minutes: Range<u32>) -> Result<Vec<PathBuf>, Problem> {
        let mut paths = self.files(&minutes)?;
        paths.retain(|path| matches!(open(path), Ok(None)));
        Ok(paths)
    }

    fn chart<P>(
        &self,
        query: &Query<'_>,
        track: Track,
        point: impl Fn(u64, Duration, &Sums) -> P,
    ) -> Result<Vec<P>, Problem> {
        let asked = query.minutes.end.saturating_sub(query.minutes.start);
        let step = query.step.max(asked.div_ceil(STEPS_MAX)).max(1);
        let minutes = query.minutes.start / step * step..query.minutes.end;
        // By their beginning: where the clock was set back, minutes come twice.
        let mut kept = BTreeMap::new();
        let mut steps = Steps::new(step, |start, _, sums: &Sums| keep(kept.entry(start).or_default(), sums));
        self.visit(minutes.clone(), |frame| {
            if frame.kind == query.kind && frame.name == query.name {
                steps.add(frame.at, 1, frame.pairs(track));
            }
        })?;
        steps.finish();
        let mut sums = Sums::new();
        let draw = |(start, bytes): (u32, Vec<u8>)| {
            sums.clear();
            sums.add(Pairs::new(&bytes));
            let length = step.min(minutes.end - start);
            let drawn = point(u64::from(start) * 60_000, Duration::from_secs(u64::from(length) * 60), &sums);
            (!sums.is_empty()).then_some(drawn)
        };
        Ok(kept.into_iter().filter_map(draw).collect())
    }

    /// Shows every frame of these minutes.
    fn visit(&self, minutes: Range<u32>, mut show: impl FnMut(Frame<'_>)) -> Result<(), Problem> {
        for path in self.files(&minutes)? {
            let refused = |error| Problem::Refused(path.clone(), error);
            let Some(mut frames) = open(&path).map_err(refused)? else { continue };
            while let Some(frame) = frames.next().map_err(refused)? {
                if minutes.contains(&frame.at) {
                    show(frame);
                }
            }
        }
        Ok(())
    }

    fn files(&self, minutes: &Range<u32>) -> Result<Vec<PathBuf>, Problem> {
        let days = minutes.start / DAY..=minutes.end.saturating_sub(1) / DAY;
        let names = day::between(&self.folder, days);
        let names = names.map_err(|error| Problem::Refused(self.folder.clone(), error))?;
        Ok(names.into_iter().map(|name| self.folder.join(name)).collect())
    }
}

/// Adds a step to what was kept of it before.
fn keep(kept: &mut Vec<u8>, sums: &Sums) {
    let mut sums = sums.clone();
    sums.add(Pairs::new(kept));
    kept.clear();
    write_pairs(kept, sums.pairs());
}

/// A file's frames; `None` where it is not of this version, or was removed meanwhile.
fn open(path: &Path) -> io::Result<Option<Frames<BufReader<File>>>> {
    match File::open(path) {
        Ok(file) => Frames::open(BufReader::with_capacity(READ_BYTES, file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
