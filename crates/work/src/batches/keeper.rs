//! Takes batches from state to state, and takes back lines that will not be asked.
//!
//! Each process has one, and all of them do the same: a change is made only from the state that was seen, and what
//! two of them do is done once.

use super::notes::Notes;
use super::parcel::{GRACE, PARCELS, job_of, stopped_at};
use super::text::{self, Why};
use super::{KEPT, OPEN_MAX, Rows, move_on, outputs, reader_of};
use crate::Clock;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use store::batches::{Batch, BatchChange, BatchState};
use store::parcels::{Parcel, ParcelState};
use store::{Result, Time};
use tokio_util::sync::CancellationToken;

/// Lines taken back in one step: few enough that nobody waits long behind it.
const LINES_A_STEP: u32 = 200;
/// How often what is old is looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// How long the pieces of a file that is being brought are kept.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Files and batches forgotten in one step.
const SWEPT_MAX: u32 = 50;

/// Brings batches to their ends, once it is [run](Keeper::run).
pub struct Keeper {
    rows: Rows,
    clock: Clock,
    often: Duration,
    patience: Duration,
    /// Batches that nothing has happened to since.
    still: HashMap<String, Still>,
}

/// A batch when it was last seen to move.
struct Still {
    at: Instant,
    seen: (BatchState, u64, u64),
}

impl Keeper {
    /// A keeper that looks every second.
    pub fn new(rows: impl Into<Rows>, clock: Clock) -> Self {
        let (often, patience) = (Duration::from_secs(1), Duration::from_secs(60));
        Self { rows: rows.into(), clock, often, patience, still: HashMap::new() }
    }

    /// Looks so often.
    #[must_use]
    pub fn every(self, often: Duration) -> Self {
        Self { often, ..self }
    }

    /// Looks for lost jobs of a batch that nothing has happened to for so long.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Keeps batches until `drain` is cancelled. Dropped at any moment, it leaves nothing half done.
    pub async fn run(mut self, drain: CancellationToken) {
        // The first round is at once: a process that lives for a moment only brings batches on, too.
        let (mut swept, mut pause) = (Instant::now(), Duration::ZERO);
        while drain.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            pause = self.often;
            if drain.run_until_cancelled(self.round()).await.is_none() {
                return;
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                if let Err(error) = self.sweep().await {
                    tracing::debug!(%error, "batches: what is old could not be removed");
                }
            }
        }
    }

    /// Looks at each batch once.
    async fn round(&mut self) {
        let open = match self.rows.batches.open(OPEN_MAX).await {
            Ok(open) => open,
            Err(error) => return tracing::debug!(%error, "batches: the store does not say which are open"),
        };
        let ids: HashSet<_> = open.iter().map(|batch| batch.id.as_str()).collect();
        self.still.retain(|id, _| ids.contains(id.as_str()));
        for batch in open {
            let id = batch.id.clone();
            if let Err(error) = self.keep(batch).await {
                tracing::debug!(%error, batch = id, "batches: one could not be brought further");
            }
        }
    }

    /// Brings a batch as far as it can come now.
    async fn keep(&mut self, mut batch: Batch) -> Result<()> {
        while let Some(moved) = self.step(&batch).await? {
            batch = moved;
        }
        if !batch.state.is_final() && self.stands_still(&batch) {
            self.mend(&batch).await?;
        }
        Ok(())
    }

    /// The batch in its next state, where it can come there.
    async fn step(&self, batch: &Batch) -> Result<Option<Batch>> {
        let now = self.clock.now();
        match batch.state {
            BatchState::Validating | BatchState::InProgress if now >= batch.expires => {
                let late = Notes { is_late: true, ..Notes::of(batch) };
                let moments = late.with_moment(BatchState::Finalizing, now).to_json();
                let change = move_on(batch, BatchState::Finalizing, now);
                self.change(batch, BatchChange { moments: Some(moments), ..change }).await
            }
            BatchState::InProgress if have_all_ended(batch) => {
                self.change(batch, move_on(batch, BatchState::Finalizing, now)).await
            }
            BatchState::Finalizing if Notes::of(batch).is_late => {
                self.take_back(batch, text::EXPIRED, now).await?;
                self.end(batch, BatchState::Expired, now).await
            }
            BatchState::Finalizing => self.end(batch, BatchState::Completed, now).await,
            BatchState::Cancelling => {
                self.take_back(batch, text::CANCELLED, now).await?;
                self.end(batch, BatchState::Cancelled, now).await
            }
            _ => Ok(None),
        }
    }

    /// Ends a batch all of whose lines have ended.
    async fn end(&self, batch: &Batch, state: BatchState, now: Time) -> Result<Option<Batch>> {
        // Its lines are counted anew, as some were taken back.
        let Some(batch) = self.rows.batches.batch(&batch.id, None).await? else { return Ok(None) };
        if !have_all_ended(&batch) {
            return Ok(None);
        }
        let files = outputs::publish(&self.rows, &batch, now).await?;
        self.change(&batch, files.named_in(move_on(&batch, state, now))).await
    }

    async fn change(&self, batch: &Batch, change: BatchChange) -> Result<Option<Batch>> {
        self.rows.batches.change(&batch.id, change).await
    }

    /// Takes back all lines that have not begun, or wait to be asked again.
    async fn take_back(&self, batch: &Batch, why: Why<'static>, now: Time) -> Result<()> {
        let text = text::taken_back(&batch.id, why);
        let but = if self.is_awaited(batch, now).await? { Some(PARCELS) } else { None };
        loop {
            let taken = self.rows.batches.take_back(&batch.id, but, LINES_A_STEP, text.clone(), now).await?;
            self.rows.stats.ended(false, taken);
            if taken < u64::from(LINES_A_STEP) {
                return Ok(());
            }
        }
    }

    /// Whether a provider may still say what it has done of a batch.
    async fn is_awaited(&self, batch: &Batch, now: Time) -> Result<bool> {
        let is_in_time = stopped_at(batch).is_none_or(|stopped| now.since(stopped) < GRACE);
        Ok(is_in_time && !self.open_parcels(batch).await?.is_empty())
    }

    async fn open_parcels(&self, batch: &Batch) -> Result<Vec<Parcel>> {
        let mut parcels = self.rows.parcels.parcels(&[&batch.id]).await?;
        parcels.retain(|parcel| parcel.state == ParcelState::Open);
        Ok(parcels)
    }

    /// Whether nothing has happened to a batch for as long as patience lasts; it begins anew then.
    fn stands_still(&mut self, batch: &Batch) -> bool {
        let seen = (batch.state, batch.total, batch.completed + batch.failed);
        let still = self.still.entry(batch.id.clone());
        let still = still.or_insert_with(|| Still { at: Instant::now(), seen });
        let is_over = still.seen == seen && still.at.elapsed() >= self.patience;
        if is_over || still.seen != seen {
            *still = Still { at: Instant::now(), seen };
        }
        is_over
    }

    /// Sees to jobs that died, or that somebody took back, without a word to their batch.
    async fn mend(&self, batch: &Batch) -> Result<()> {
        if batch.state == BatchState::Validating {
            // Where there is one, it is not added.
            let now = self.clock.now();
            self.rows.jobs.add(vec![reader_of(batch).run_at(now).into()], now).await?;
            return Ok(());
        }
        let parcels = self.open_parcels(batch).await?;
        if !parcels.is_empty() {
            // It stands still for hours, and is no fault's; lines are looked after when those are over.
            let now = self.clock.now();
            let jobs = parcels.iter().map(|parcel| job_of(batch, &parcel.model, now)).collect();
            self.rows.jobs.add(jobs, now).await?;
            return Ok(());
        }
        let text = text::taken_back(&batch.id, text::LOST);
        let mended = self.rows.batches.mend(&batch.id, LINES_A_STEP, text).await?;
        self.rows.stats.ended(false, mended);
        if mended > 0 {
            tracing::warn!(batch = batch.id, mended, "batches: lines had lost their jobs, and have failed");
        }
        Ok(())
    }

    /// Forgets what is old.
    async fn sweep(&self) -> Result<()> {
        let now = self.clock.now();
        self.rows.files.sweep(now, now.before(ABANDONED), SWEPT_MAX).await?;
        self.rows.batches.purge(now.before(KEPT), SWEPT_MAX).await?;
        Ok(())
    }
}

fn have_all_ended(batch: &Batch) -> bool {
    batch.completed + batch.failed >= batch.total
}
