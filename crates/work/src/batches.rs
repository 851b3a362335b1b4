//! Batches of requests, as OpenAI has them: a file with a request in each line, answered within a day.
//!
//! ```text
//!            ┌─ reader: a job `batch.read`, cuts the input into lines and checks each
//! create ──► │     └─► lines: jobs `batch.line`, many at once ──► Ask ──► one end each
//!            ├─ parcels: lines that a provider's own batch API runs, each model's together
//!            └─ keeper: takes the batch from state to state, and lines back that will not be asked
//!
//!   Validating ──all read──► InProgress ──all ended──► Finalizing ──► Completed
//!    │   │  └─no good line─► Failed                       ▲    └────► Expired
//!    │   └───────────────────── its time is over ─────────┘
//!    └──cancel──► Cancelling ──all ended──► Cancelled       (the last two from InProgress as well)
//! ```
//!
//! A line's end is recorded in one step with the end of its job, so that each is in the output or among the errors
//! exactly once, whatever is killed meanwhile. What there is of a batch in memory is a piece of its input, a group
//! of its lines, and sixteen bytes for each: it may be as large as it wants to be.
//!
//! It knows no models: what answers a line is handed in. And no HTTP: whoever has it shows batches as callers
//! expect them.

mod ask;
mod courier;
mod files;
mod group;
mod input;
mod keeper;
mod line;
mod lines;
mod notes;
mod outputs;
mod parcel;
mod reader;
mod seen;
mod stats;
mod task;
mod text;
mod tries;

pub use ask::{Answer, Ask, Question, Reply};
pub use courier::{Books, Courier, Fault, Going, Looked, Mark, Order, Piece, Remote, RemoteState};
pub use files::{FileKind, file_kind};
pub use keeper::Keeper;
pub use notes::{Errors, Notes, Problem};
pub use outputs::Lines;
pub use parcel::{Notes as ParcelNotes, PARCEL, PARCELS};
pub use stats::Report;

use crate::client::Client;
use crate::handler::Handlers;
use crate::{Clock, Draft};
use std::sync::Arc;
use std::time::Duration;
use store::batches::{Batch, BatchChange, BatchState, ReadTo};
use store::jobs::Band;
use store::parcels::Parcel;
use store::{Result, Store};

/// Where the jobs of batches wait.
pub const QUEUE: &str = "batch";
/// The kind of the job that reads a batch's input.
pub const READER: &str = "batch.read";
/// The kind of a line's job.
pub const LINE: &str = "batch.line";

/// Bytes that an input may have; OpenAI's limit.
pub const INPUT_BYTES_MAX: u64 = 200 << 20;
/// Lines that an input may have; OpenAI's limit.
pub const LINES_MAX: u64 = 50_000;
/// Bytes that one line may have.
pub const LINE_BYTES_MAX: usize = 10 << 20;
/// Bytes that a `custom_id` may have.
pub const CUSTOM_ID_BYTES_MAX: usize = 512;
/// Batches that may be open at once.
pub const OPEN_MAX: u32 = 1000;
/// Batches of one tenant that may be open at once.
pub const OPEN_MAX_OF_TENANT: usize = 100;
/// How long a batch is there after its end, with its lines.
pub const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// The rows that batches live on. What its clones do is counted together.
#[derive(Clone)]
pub struct Rows {
    pub(crate) jobs: Arc<dyn store::jobs::Jobs>,
    pub(crate) batches: Arc<dyn store::batches::Batches>,
    pub(crate) files: Arc<dyn store::files::Files>,
    pub(crate) parcels: Arc<dyn store::parcels::Parcels>,
    pub(crate) stats: Arc<stats::Stats>,
}

impl From<&Store> for Rows {
    fn from(store: &Store) -> Self {
        let (jobs, batches) = (Arc::clone(&store.jobs), Arc::clone(&store.batches));
        let (files, parcels) = (Arc::clone(&store.files), Arc::clone(&store.parcels));
        Self { jobs, batches, files, parcels, stats: Arc::default() }
    }
}

/// What a batch is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBatch {
    /// Whose it is.
    pub tenant: String,
    /// On behalf of which key its lines are asked; `None`: of nobody in particular.
    pub key: Option<String>,
    /// The file with its requests.
    pub input_file: String,
    /// What each line asks: `/v1/chat/completions`.
    pub endpoint: String,
    /// What the caller wants kept with it, as JSON.
    pub metadata: Option<Vec<u8>>,
    /// How long it may take.
    pub within: Duration,
    /// How long its outputs are there, from their making on; no longer than [`KEPT`].
    pub keep: Duration,
}

/// What came of creating a batch.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once in a batch's life, and taken apart at once")]
pub enum Created {
    /// It is on disk.
    Batch(Batch),
    /// There are too many that are not over.
    TooMany,
}

/// What came of a wish to cancel.
#[derive(Clone, Debug, PartialEq)]
pub enum Cancelling {
    /// It is about to be cancelled, or was before.
    Batch(Batch),
    /// It stands where nothing can be cancelled any more.
    Late(Batch),
    /// There is none.
    Unknown,
}

/// The way to batches. A clone is another handle to the same.
#[derive(Clone)]
pub struct Batches {
    rows: Rows,
    client: Client,
    clock: Clock,
}

impl Batches {
    /// `client` wakes the runner beside it, where there is one.
    pub fn new(rows: impl Into<Rows>, client: Client, clock: Clock) -> Self {
        Self { rows: rows.into(), client, clock }
    }

    /// Creates a batch, and the job that reads its input.
    ///
    /// # Errors
    /// Where the store does not take it: it may have been created nevertheless.
    pub async fn create(&self, new: NewBatch) -> Result<Created> {
        let open = self.rows.batches.open(OPEN_MAX).await?;
        let own = open.iter().filter(|batch| batch.tenant == new.tenant).count();
        if open.len() >= OPEN_MAX as usize || own >= OPEN_MAX_OF_TENANT {
            return Ok(Created::TooMany);
        }
        let now = self.clock.now();
        let batch = Batch {
            id: files::new_batch_id(),
            tenant: new.tenant,
            input_file: new.input_file,
            endpoint: new.endpoint,
            state: BatchState::Validating,
            output_file: None,
            error_file: None,
            errors: None,
            metadata: new.metadata,
            read: ReadTo::default(),
            total: 0,
            completed: 0,
            failed: 0,
            created: now,
            moments: Notes { key: new.key, keep: new.keep.as_secs(), ..Notes::default() }.to_json(),
            expires: now.after(new.within),
        };
        self.rows.batches.create(batch.clone(), reader_of(&batch).run_at(now).into()).await?;
        self.client.hints().added(QUEUE, now, now);
        Ok(Created::Batch(batch))
    }

    /// The batch as it stands.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn get(&self, id: &str, tenant: Option<&str>) -> Result<Option<Batch>> {
        self.rows.batches.batch(id, tenant).await
    }

    /// Batches from the newest to the oldest, those before the batch `before` if given; so many at most.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn list(&self, tenant: Option<&str>, before: Option<&str>, limit: u32) -> Result<Vec<Batch>> {
        self.rows.batches.list(tenant, before, limit).await
    }

    /// Batches that are not over, of all tenants; so many at most.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn open(&self, limit: u32) -> Result<Vec<Batch>> {
        self.rows.batches.open(limit).await
    }

    /// Cancels a batch: what has not begun is taken back, what runs ends.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn cancel(&self, id: &str, tenant: Option<&str>) -> Result<Cancelling> {
        loop {
            let Some(batch) = self.get(id, tenant).await? else { return Ok(Cancelling::Unknown) };
            match batch.state {
                BatchState::Cancelling | BatchState::Cancelled => return Ok(Cancelling::Batch(batch)),
                BatchState::Validating | BatchState::InProgress => {}
                _ => return Ok(Cancelling::Late(batch)),
            }
            let change = move_on(&batch, BatchState::Cancelling, self.clock.now());
            // Where it has moved on meanwhile, it is looked at anew.
            if let Some(batch) = self.rows.batches.change(id, change).await? {
                return Ok(Cancelling::Batch(batch));
            }
        }
    }

    /// What of these batches is handed to providers.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn parcels(&self, ids: &[&str]) -> Result<Vec<Parcel>> {
        self.rows.parcels.parcels(ids).await
    }

    /// What was done in this process since it began.
    #[must_use]
    pub fn report(&self) -> Report {
        self.rows.stats.report()
    }

    /// The good or the bad lines of a batch, as they stand, to be read piece by piece.
    #[must_use]
    pub fn lines(&self, id: &str, good: bool) -> Lines {
        Lines::new(Arc::clone(&self.rows.batches), id, good)
    }
}

/// With what does the jobs of batches: lines are answered by `ask`, but for those that `courier` has a provider run.
#[must_use]
pub fn handle(
    handlers: Handlers,
    rows: impl Into<Rows>,
    ask: Ask,
    courier: Option<Arc<dyn Courier>>,
    clock: Clock,
) -> Handlers {
    let rows = rows.into();
    let reads = reader::Reads { rows: rows.clone(), courier: courier.clone(), clock: clock.clone() };
    let handlers = match courier {
        Some(courier) => {
            let carries = parcel::Carries { rows: rows.clone(), courier, clock: clock.clone() };
            handlers.on(PARCEL, move |context| carries.clone().attempt(context))
        }
        None => handlers,
    };
    let asks = lines::Asks { rows, ask, clock };
    handlers
        .on(READER, move |context| reads.clone().read(context))
        .on(LINE, move |context| asks.clone().attempt(context))
}

/// Attempts that a job of a batch may cost: so many that it judges for itself when it is enough, as nobody would
/// hear of its death otherwise.
const ATTEMPTS_MAX: u32 = 100_000;

/// The job that reads a batch's input. There is never more than one.
fn reader_of(batch: &Batch) -> Draft {
    let word = format!("{}/read", batch.id);
    let draft = Draft::new(READER, batch.tenant.clone()).queue(QUEUE).attempts(ATTEMPTS_MAX);
    // Before lines: whether a batch is any good is soon known.
    draft.band(Band::High).unique(word).payload(batch.id.clone()).forget_when_done()
}

/// From where the batch stands to another state, noting when.
fn move_on(batch: &Batch, to: BatchState, now: store::Time) -> BatchChange {
    let moments = Notes::of(batch).with_moment(to, now).to_json();
    BatchChange {
        at: now,
        from: vec![batch.state],
        to: Some(to),
        moments: Some(moments),
        ..BatchChange::default()
    }
}
