//! Batches of requests, line by line. A line is a job; its outcome is written in one step with the job's
//! end, so that no line is lost and none is there twice. A batch's output is those rows, read in order.

use crate::jobs::NewJob;
use crate::{Answer, Time};

/// Where a batch stands: OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "OpenAI's words")]
pub enum BatchState {
    Validating = 0,
    Failed = 1,
    InProgress = 2,
    Finalizing = 3,
    Completed = 4,
    Expired = 5,
    Cancelling = 6,
    Cancelled = 7,
}

impl BatchState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Validating,
        Self::Failed,
        Self::InProgress,
        Self::Finalizing,
        Self::Completed,
        Self::Expired,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// The state with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == number)
    }

    /// Whether nothing more will happen to it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

/// A batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `batch_` and 24 letters and digits.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// The file with its requests.
    pub input_file: String,
    /// What each line asks: `/v1/chat/completions`.
    pub endpoint: String,
    /// Where it stands.
    pub state: BatchState,
    /// The files of its good and its bad lines, once there is one such line at its end.
    pub output_file: Option<String>,
    #[expect(missing_docs, reason = "said above")]
    pub error_file: Option<String>,
    /// What is wrong with it as a whole, as JSON.
    pub errors: Option<Vec<u8>>,
    /// What the caller wants kept with it, as JSON.
    pub metadata: Option<Vec<u8>>,
    /// Bytes of the input that have been read and turned into lines; the piece and the line to go on with.
    pub read: ReadTo,
    /// Lines read, answered well, and answered badly so far.
    pub total: u64,
    #[expect(missing_docs, reason = "said above")]
    pub completed: u64,
    #[expect(missing_docs, reason = "said above")]
    pub failed: u64,
    /// When it was created.
    pub created: Time,
    /// When it came to each state that it has come to, as JSON of whoever decides.
    pub moments: Vec<u8>,
    /// Given up after.
    pub expires: Time,
}

/// How far the input has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadTo {
    /// The byte to go on with.
    pub byte: u64,
    /// The line to go on with, from 0; blank ones do not count.
    pub line: u64,
}

/// How a line ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LineEnd {
    /// Of which batch.
    pub batch: String,
    /// Which line of the input, from 0.
    pub line: u64,
    /// Whether it goes to the output, or to the errors.
    pub good: bool,
    /// The line of the output or error file, without its line feed.
    pub text: Vec<u8>,
}

/// Some of a batch's lines, where they are too many to be read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Those after this one; `None`: from the first on.
    pub after: Option<u64>,
    /// So many at most.
    pub limit: u32,
    /// No more than about so many bytes in all, but one line if there is any.
    pub bytes: u64,
}

/// What changes in a batch. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchChange {
    /// When; where it ends, that is when it was over.
    pub at: Time,
    /// Only where it stands so; empty: wherever.
    pub from: Vec<BatchState>,
    /// Where it stands then.
    pub to: Option<BatchState>,
    #[expect(missing_docs, reason = "as in `Batch`")]
    pub output_file: Option<String>,
    #[expect(missing_docs, reason = "as in `Batch`")]
    pub error_file: Option<String>,
    #[expect(missing_docs, reason = "as in `Batch`")]
    pub errors: Option<Vec<u8>>,
    #[expect(missing_docs, reason = "as in `Batch`")]
    pub moments: Option<Vec<u8>>,
}

/// The rows of batches. The job of a line has the batch's id and the line's number in its
/// [`unique`](NewJob::unique) word: `batch_…/17`.
pub trait Batches: Send + Sync {
    /// Adds a batch and the job that reads its input, in one step.
    fn create(&self, batch: Batch, reader: NewJob) -> Answer<'_, ()>;

    /// The input was read from `from` to `to`: adds the jobs of its lines and the ends of those that cannot
    /// be asked, in one step; `false` where somebody else has read on from there already, or where the batch
    /// is neither validating nor in progress.
    fn extend(
        &self,
        id: &str,
        from: ReadTo,
        to: ReadTo,
        jobs: Vec<NewJob>,
        bad: Vec<LineEnd>,
        now: Time,
    ) -> Answer<'_, bool>;

    /// Changes a batch; the batch as it stands then, or `None` where it stands otherwise than `from` says.
    fn change(&self, id: &str, change: BatchChange) -> Answer<'_, Option<Batch>>;

    /// The batch; `tenant` `None`: whosever it is.
    fn batch(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<Batch>>;

    /// Batches from the newest to the oldest; those before the batch `before` if given.
    fn list(&self, tenant: Option<&str>, before: Option<&str>, limit: u32) -> Answer<'_, Vec<Batch>>;

    /// Batches that are not over: for whoever brings them to their end.
    fn open(&self, limit: u32) -> Answer<'_, Vec<Batch>>;

    /// Lines that have ended, by number: what an output or error file consists of.
    fn lines(&self, id: &str, good: bool, stretch: Stretch) -> Answer<'_, Vec<LineEnd>>;

    /// Takes back the lines' jobs that have not begun, but for those in the queue `but`, if given; so many at
    /// most. Records each of those lines as bad with what `end` makes of it; says how many. The jobs are gone, unless
    /// they are to be kept.
    fn take_back(&self, id: &str, but: Option<&str>, limit: u32, end: LineText, now: Time)
    -> Answer<'_, u64>;

    /// Records as bad, with what `end` makes of it, each line read that has no end and no job that could still
    /// bring one: it died, or somebody took it back. So many at most; says how many. `end` is given what that job
    /// was told, or nothing where its row is gone as well. Lines are numbered without a gap, so that those up to
    /// [`ReadTo::line`] are all there are.
    fn mend(&self, id: &str, limit: u32, end: LineText) -> Answer<'_, u64>;

    /// Forgets batches that were over before `before`, with their lines and parcels; so many at most.
    fn purge(&self, before: Time, limit: u32) -> Answer<'_, u64>;
}

/// What is written for a line whose job was taken back, given the job's payload.
pub type LineText = std::sync::Arc<dyn Fn(u64, &[u8]) -> Vec<u8> + Send + Sync>;
