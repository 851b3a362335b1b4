//! What the store has yet to be told.

use super::OTHER;
use super::sheet::{Payer, Sum};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use store::usage::Usage;

/// Rows kept for a store that is away; beyond it what has no row yet is counted more coarsely, so that the sum of all
/// stays right.
const ROWS_MAX: usize = 50_000;

/// What is to be written, merged by what the store has one row for.
#[derive(Debug, Default)]
pub(super) struct Pending {
    rows: BTreeMap<Row, Sum>,
    /// What is under way, under its word.
    part: Option<(String, Vec<Usage>)>,
    /// The first half of every word, and how many there were.
    process: Option<String>,
    parts: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    day: i32,
    key: Box<str>,
    tenant: Box<str>,
    model: Box<str>,
}

impl Row {
    /// The row in which it is counted where there is no room for another.
    fn coarser(self, rows: usize) -> Self {
        let row = Self { model: OTHER.into(), ..self };
        match rows < 2 * ROWS_MAX {
            true => row,
            false => Self { key: OTHER.into(), tenant: OTHER.into(), ..row },
        }
    }
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.part.is_none()
    }

    pub(super) fn add(&mut self, day: i32, payer: &Payer, model: &str, sum: &Sum) {
        let (key, tenant) = match payer {
            Some(payer) => (payer.key.clone().unwrap_or_default(), payer.tenant.clone()),
            None => Default::default(),
        };
        let row = Row { day, key, tenant, model: model.into() };
        let has_room = self.rows.len() < ROWS_MAX || self.rows.contains_key(&row);
        let row = if has_room { row } else { row.coarser(self.rows.len()) };
        self.rows.entry(row).or_default().add(sum);
    }

    /// The part to be written: the one that was not known to have arrived, else all there is.
    pub(super) fn outgoing(&mut self) -> Option<(String, Vec<Usage>)> {
        if self.part.is_none() && !self.rows.is_empty() {
            let word = self.word();
            let rows = std::mem::take(&mut self.rows);
            self.part = Some((word, rows.into_iter().map(usage).collect()));
        }
        self.part.clone()
    }

    /// The part has arrived.
    pub(super) fn is_out(&mut self, word: &str) {
        self.part.take_if(|(under_way, _)| under_way == word);
    }

    /// A word that no part had before, of any process.
    fn word(&mut self) -> String {
        let process = self.process.get_or_insert_with(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{:x}-{:016x}", since.as_nanos(), fastrand::u64(..))
        });
        self.parts += 1;
        format!("{process}-{}", self.parts)
    }
}

fn usage((row, sum): (Row, Sum)) -> Usage {
    Usage {
        day: row.day,
        key: row.key.into(),
        tenant: row.tenant.into(),
        model: row.model.into(),
        requests: sum.requests,
        hits: sum.hits,
        failed: sum.failed,
        tokens_in: sum.tokens_in,
        tokens_out: sum.tokens_out,
        cost_micro_usd: sum.cost_micro_usd,
    }
}

const DAY_SECONDS: u64 = 86_400;

/// Days since 1970 in UTC.
pub fn today() -> i32 {
    i32::try_from(seconds() / DAY_SECONDS).unwrap_or(i32::MAX)
}

/// How long this day lasts yet.
pub(super) fn left_of_today() -> std::time::Duration {
    std::time::Duration::from_secs(DAY_SECONDS - seconds() % DAY_SECONDS)
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
