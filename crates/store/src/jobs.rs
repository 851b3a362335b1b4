//! Work to be done later, at least once, with exactly one recorded outcome.
//!
//! ```text
//!              run_at reached
//!   Scheduled ───────────────► Ready ──claim──► Running ──finish──► Done, Dead or Cancelled
//!       ▲                        ▲                 │
//!       └──── again, later ──────┴── released, ────┘
//!                                    lease expired
//! ```
//!
//! Who claims a job holds a lease: the job's id and a token that no other claim of it ever had. Each word on a
//! running job carries both, and changes nothing where the lease is no longer held.

use crate::batches::LineEnd;
use crate::{Answer, Time};
use std::time::Duration;

/// A job's number; greater than that of each job added before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

/// Which claim of a job: the first has 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub i64);

/// The right to one job until its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Which job.
    pub id: JobId,
    /// Which claim of it.
    pub token: Token,
}

/// How urgent a job is; the lesser goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "their order says it all")]
pub enum Band {
    High = 0,
    Normal = 1,
    Low = 2,
    Batch = 3,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Its time has not come.
    Scheduled = 0,
    /// Waits to be claimed.
    Ready = 1,
    /// Somebody holds a lease of it.
    Running = 2,
    /// Done, with a result.
    Done = 3,
    /// Given up, with its faults: a dead letter.
    Dead = 4,
    /// Taken back.
    Cancelled = 5,
}

impl Band {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::High, Self::Normal, Self::Low, Self::Batch];

    /// The band with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|band| *band as i64 == number)
    }
}

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::Scheduled, Self::Ready, Self::Running, Self::Done, Self::Dead, Self::Cancelled];

    /// The state with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == number)
    }

    /// Whether nothing more will happen to it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled)
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Where it waits.
    pub queue: String,
    /// Whose it is.
    pub tenant: String,
    /// What does it.
    pub kind: String,
    /// How urgent it is.
    pub band: Band,
    /// Not before.
    pub run_at: Time,
    /// Given up after.
    pub deadline: Option<Time>,
    /// Attempts that it may cost.
    pub attempts_max: u32,
    /// What makes a second enqueuing of the same harmless.
    pub idempotency: Option<Idempotency>,
    /// No other job of the same tenant and kind with the same word is added while this one is not over.
    pub unique: Option<String>,
    /// What its kind is told.
    pub payload: Vec<u8>,
    /// The dead letter that it repeats.
    pub replay_of: Option<JobId>,
    /// Whether its row stays after a good end, to be read until retention takes it. Dead letters stay
    /// anyway.
    pub keep: bool,
}

/// A caller's key for one request, and what it was used for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Idempotency {
    /// Unique among the tenant's jobs of one kind.
    pub key: String,
    /// Of the whole request.
    pub hash: [u8; 32],
}

/// What came of adding a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is on disk.
    New(JobId),
    /// It was added before, under the same idempotency key.
    Same(JobId),
    /// The idempotency key was used for something else.
    Mismatch(JobId),
    /// One with the same [`unique`](NewJob::unique) is not over yet.
    Unique(JobId),
}

impl Added {
    /// The job that is there now.
    pub fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Same(id) | Self::Mismatch(id) | Self::Unique(id) => id,
        }
    }
}

/// Whom to claim for.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// From which queue.
    pub queue: String,
    /// Who claims: for operators to read.
    pub owner: String,
    /// So many at most.
    pub limit: u32,
    /// How long the leases last unless they are renewed.
    pub lease: Duration,
    /// The present.
    pub now: Time,
    /// Where the claim before ended.
    pub turn: Turn,
    /// What the queue may start, counted over all replicas.
    pub rate: Option<Rate>,
}

/// Whose turn it is: tenants are served one after the other, by name, from band to band.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// In each band the tenant that was served last.
    pub after: [String; 4],
    /// Begins with the lowest band, so that it is served at all.
    pub lowest_first: bool,
}

/// A token bucket: so many starts a second on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Starts a second.
    pub per_second: f64,
    /// Starts at once after a pause.
    pub burst: f64,
}

/// What was claimed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claimed {
    /// In the order in which they are to begin.
    pub jobs: Vec<Running>,
    /// For the next claim.
    pub turn: Turn,
}

/// A job and the right to do it.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// The right.
    pub lease: Lease,
    /// Whose it is.
    pub tenant: String,
    /// What does it.
    pub kind: String,
    /// How urgent it is.
    pub band: Band,
    /// Which attempt this is: the first is 1. One that was released, or whose lease passed on, counts only
    /// where it was charged.
    pub attempt: u32,
    /// Attempts that it may cost.
    pub attempts_max: u32,
    /// When it was added.
    pub created: Time,
    /// Given up after.
    pub deadline: Option<Time>,
    /// What its kind is told.
    pub payload: Vec<u8>,
}

/// How far a running job is.
#[derive(Clone, Debug, PartialEq)]
pub struct Beat {
    /// Which.
    pub lease: Lease,
    /// How far it is, in whatever form its kind has; `None`: as before.
    pub progress: Option<Vec<u8>>,
}

/// What a heartbeat hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// The lease is renewed.
    Held,
    /// The lease is renewed, and somebody wants the job to end.
    Cancelled,
    /// The lease was lost: whatever is done for it must stop.
    Lost,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// Which.
    pub lease: Lease,
    /// When.
    pub at: Time,
    /// How.
    pub end: End,
    /// What is added in the same step; nothing of it where the lease was lost.
    pub then: Vec<NewJob>,
    /// The line of a batch that this was, recorded in the same step.
    pub line: Option<LineEnd>,
}

/// How an attempt ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Done.
    Done {
        /// What came of it.
        result: Vec<u8>,
    },
    /// To be tried again.
    Again {
        /// Not before.
        run_at: Time,
        /// Why.
        fault: Fault,
    },
    /// Given up.
    Dead {
        /// Why.
        fault: Fault,
    },
    /// Taken back, as was asked.
    Cancelled,
    /// Put back as if it had not been claimed: no attempt is charged, and it is ready at once.
    Released,
    /// Put back until later, and no attempt is charged: whoever was to be asked could not be.
    Later {
        /// Not before.
        run_at: Time,
    },
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One of few words.
    pub class: String,
    /// For people.
    pub message: String,
}

/// A fault in a job's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastFault {
    /// The attempt that it ended.
    pub attempt: u32,
    /// When.
    pub at: Time,
    /// What it was.
    pub fault: Fault,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Which.
    pub id: JobId,
    /// Where it stands.
    pub state: State,
    /// As it was added; with `run_at` as it is now.
    pub new: NewJob,
    /// Attempts charged so far, the present one included.
    pub attempt: u32,
    /// Who holds it, while it runs.
    pub owner: Option<String>,
    /// Until when, while it runs.
    pub lease_until: Option<Time>,
    /// Whether somebody wants it to end.
    pub cancel_requested: bool,
    /// As its last heartbeat said.
    pub progress: Option<Vec<u8>>,
    /// What came of it.
    pub result: Option<Vec<u8>>,
    /// Its last fault.
    pub fault: Option<Fault>,
    /// When it was added.
    pub created: Time,
    /// When its last attempt began.
    pub started: Option<Time>,
    /// When it was over.
    pub ended: Option<Time>,
}

/// What follows a job that ended in the store itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Which.
    pub id: JobId,
    /// What is added; nothing: the end is all there is.
    pub then: Vec<NewJob>,
}

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Of this tenant alone.
    pub tenant: Option<String>,
    /// In this queue alone.
    pub queue: Option<String>,
    /// Of this kind alone.
    pub kind: Option<String>,
    /// In this state alone.
    pub state: Option<State>,
}

/// Which of two a cancellation was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It had not begun: it is cancelled.
    Done,
    /// It runs: whoever runs it hears at the next heartbeat.
    Asked,
    /// It was over already.
    Over(State),
    /// There is none.
    Unknown,
}

/// How many wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Depth {
    /// Which queue.
    pub queue: String,
    /// In which state: never a final one, as those are counted where they end.
    pub state: State,
    /// How many.
    pub count: u64,
    /// When the oldest of them became ready, or would have.
    pub oldest: Option<Time>,
}

/// The rows of jobs.
pub trait Jobs: Send + Sync {
    /// Adds all of them in one step, and says of each what came of it. Whose time has come is ready at once.
    fn add(&self, jobs: Vec<NewJob>, now: Time) -> Answer<'_, Vec<Added>>;

    /// What adding the job would find there already, under its idempotency key or its unique word; `None`: it would be
    /// new. Nothing is added.
    fn find(&self, job: NewJob) -> Answer<'_, Option<Added>>;

    /// Leases up to [`limit`](Claim::limit) ready jobs: the urgent first, tenants by turns, each tenant's in
    /// the order of `run_at` and then of their numbers. A job whose deadline has passed is not given but
    /// made a dead letter of the class `deadline`.
    fn claim(&self, claim: Claim) -> Answer<'_, Claimed>;

    /// Makes ready what is scheduled and whose time has come; so many at most. Says how many.
    fn promote(&self, now: Time, limit: u32) -> Answer<'_, u64>;

    /// When the next scheduled job is due.
    fn next_due(&self) -> Answer<'_, Option<Time>>;

    /// Renews leases until `until`, and hears of each whether it is still held.
    fn beat(&self, beats: Vec<Beat>, until: Time) -> Answer<'_, Vec<Pulse>>;

    /// Ends attempts, all in one step, and says of each whether its lease was held. Of one that was not,
    /// nothing has changed. [`End::Again`], [`End::Released`] and [`End::Later`] where a cancellation was asked
    /// for end it as cancelled.
    fn finish(&self, ends: Vec<Finish>) -> Answer<'_, Vec<bool>>;

    /// Takes back what nobody has renewed in time: ready again with a fault of the class `lease`, dead with
    /// that where no attempt is left, or cancelled where that was asked for. So many at most; says how many.
    ///
    /// Whoever holds no lease cannot say what follows such an end: see [`untold`](Self::untold).
    fn reap(&self, now: Time, limit: u32) -> Answer<'_, u64>;

    /// Jobs that ended in the store itself, so that nobody has said yet what follows: cancelled before they began
    /// or where they were put back, dead at their deadline or with their last lease. From the oldest on, so many at
    /// most. Steps of runs and lines of batches that are taken back are not among them.
    fn untold(&self, limit: u32) -> Answer<'_, Vec<Job>>;

    /// Adds what follows such ends, all in one step, and says of each whether it was: nothing of one that somebody
    /// else has told of.
    fn tell(&self, ends: Vec<Told>, now: Time) -> Answer<'_, Vec<bool>>;

    /// The job; `tenant` `None`: whosever it is.
    fn get(&self, id: JobId, tenant: Option<&str>) -> Answer<'_, Option<Job>>;

    /// Jobs from the newest to the oldest, those before `before` if given; so many at most.
    fn list(&self, filter: Filter, before: Option<JobId>, limit: u32) -> Answer<'_, Vec<Job>>;

    /// All of a job's faults, from the first on.
    fn faults(&self, id: JobId) -> Answer<'_, Vec<PastFault>>;

    /// Takes a job back.
    fn cancel(&self, id: JobId, tenant: Option<&str>, now: Time) -> Answer<'_, Cancel>;

    /// Adds a dead or cancelled job anew, with all its attempts and as long until its deadline as it had; it
    /// has no idempotency key. `None` where there is none such; where its [`unique`](NewJob::unique) word is
    /// taken, that job.
    fn replay(&self, id: JobId, now: Time) -> Answer<'_, Option<JobId>>;

    /// Forgets jobs that were over before `before`, but those [`untold`](Self::untold); so many at most. Says how
    /// many.
    fn purge(&self, filter: Filter, before: Time, limit: u32) -> Answer<'_, u64>;

    /// How many jobs of a tenant wait, ready or scheduled; counted no further than `most`.
    fn backlog(&self, tenant: &str, most: u64) -> Answer<'_, u64>;

    /// How many are not over, by queue and state. Exact up to some ten thousand of each, and at least that
    /// beyond: nobody waits for a count of millions. A queue where nothing waits or runs is not named.
    fn depths(&self) -> Answer<'_, Vec<Depth>>;
}
