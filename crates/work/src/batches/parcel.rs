//! Parcels: lines of a batch that a provider's own batch API runs, as that costs less than to ask each by itself.
//!
//! ```text
//!   reader ──► lines that ask one model: held ──► Packing ──file──► Creating ──batch──► Sent ──over──► Fetched
//!                                                   ▲ │                │  ▲               │
//!                                                   │ └─ refused ──────┼──┼─ failed ──────┴──► Returned: each line
//!                                                   └── not there ─────┘  └─ found again           is asked by itself
//! ```
//!
//! A parcel is brought on by a job of its own, a little at each attempt, and between two of them nothing waits here:
//! a process that drains leaves it where it is. What is done at the provider is written down before the next step is
//! taken, by who holds the job's lease. Only whether a batch was created cannot be known if that very call is cut
//! off: it is looked for by its mark then; where it is not there, its file is removed first, so that whoever still
//! tries to create it does so in vain, and it is looked for once more before another try is made. Where the file cannot
//! be removed, that try is waited for.
//!
//! A provider that is away for a quarter of an hour before it has a batch, or refuses for as long to tell of one, is
//! asked no more.
//!
//! Each line is a job that is held, and its end is written in one step with that job's, if there still is one: what
//! is fetched twice, or run twice at the provider, is in the output once.

mod cutter;
mod ends;
mod fetch;
mod pack;
mod send;
mod stage;

pub use stage::Notes;
pub(super) use stage::stopped_at;

use super::courier::{Courier, Fault, Mark};
use super::stats::Came;
use super::{ATTEMPTS_MAX, QUEUE, Rows};
use crate::context::Context;
use crate::handler::{Failed, Outcome};
use crate::{Clock, Draft};
use serde::{Deserialize, Serialize};
use stage::{Next, PAUSES, Sight, Want};
use std::sync::Arc;
use std::time::Duration;
use store::Time;
use store::batches::Batch;
use store::jobs::NewJob;
use store::parcels::{Parcel, ParcelState, Ready, Shelf};

/// Where lines are held, and the jobs of their parcels wait.
pub const PARCELS: &str = "batch.provider";
/// The kind of a parcel's job.
pub const PARCEL: &str = "batch.parcel";

/// How long lines stay held after their batch is over: so long a provider may take to cancel.
pub(super) const GRACE: Duration = Duration::from_secs(15 * 60);
/// When to look again whether all lines are there.
const UNREAD: Duration = Duration::from_secs(1);
/// What is said of a provider that does not know what it was asked for.
const NOT_THERE: &str = "it has no such API, or no such file";

/// What a parcel's job is told.
#[derive(Serialize, Deserialize)]
struct Errand {
    batch: String,
    model: String,
}

/// The parcel of a batch with lines that ask `model`, to be carried to `place`.
pub(super) fn parcel_of(batch: &Batch, model: &str, place: String, now: Time) -> Parcel {
    let notes = Notes::new(place, now).to_json();
    Parcel { batch: batch.id.clone(), model: model.to_owned(), state: ParcelState::Open, notes }
}

/// The job that brings a parcel on. There is never more than one.
pub(super) fn job_of(batch: &Batch, model: &str, now: Time) -> NewJob {
    let errand = Errand { batch: batch.id.clone(), model: model.to_owned() };
    let payload = serde_json::to_vec(&errand).unwrap_or_default();
    let draft = Draft::new(PARCEL, batch.tenant.clone()).queue(PARCELS).attempts(ATTEMPTS_MAX).run_at(now);
    draft.unique(format!("{}/parcel/{model}", batch.id)).payload(payload).forget_when_done().into()
}

/// The handler of parcels.
#[derive(Clone)]
pub(super) struct Carries {
    pub rows: Rows,
    pub courier: Arc<dyn Courier>,
    pub clock: Clock,
}

/// A parcel in the hands of whoever has its lease.
struct Carried<'a> {
    context: &'a Context,
    batch: Batch,
    model: String,
    notes: Notes,
    want: Want,
}

/// Why a parcel goes no further for now.
enum Halt {
    /// It is put off for so long.
    Later(Duration),
    /// The process is about to end.
    Leaving,
    /// The attempt has failed.
    Failed(Failed),
}

impl From<store::Error> for Halt {
    fn from(error: store::Error) -> Self {
        Self::Failed(super::tries::away(&error))
    }
}

impl Carries {
    /// Brings a parcel as far as it can come now.
    pub async fn attempt(self, context: Context) -> Result<Outcome, Failed> {
        let errand: Errand = context.json()?;
        let halt = tokio::select! {
            biased;
            brought = self.bring_on(&context, errand) => match brought {
                Ok(()) => return Ok(Outcome::from(())),
                Err(halt) => halt,
            },
            _ = context.cancelled() => Halt::Leaving,
        };
        match halt {
            Halt::Later(pause) => Ok(Outcome::Later(pause)),
            Halt::Leaving => Ok(Outcome::PutBack),
            Halt::Failed(failed) => Err(failed),
        }
    }

    async fn bring_on(&self, context: &Context, errand: Errand) -> Result<(), Halt> {
        let Errand { batch, model } = errand;
        let Some(batch) = self.rows.batches.batch(&batch, None).await? else { return Ok(()) };
        let parcels = self.rows.parcels.parcels(&[&batch.id]).await?;
        let is_open = |parcel: &&Parcel| parcel.model == model && parcel.state == ParcelState::Open;
        let Some(parcel) = parcels.iter().find(is_open) else { return Ok(()) };
        let (notes, want) = (Notes::of(parcel), Want::of(&batch));
        let mut carried = Carried { context, batch, model, notes, want };
        match self.step_on(&mut carried).await {
            // Nobody waits for it any more.
            Err(Halt::Later(_)) if carried.batch.state.is_final() => {
                self.end(&mut carried, ParcelState::Returned).await
            }
            brought => brought,
        }
    }

    /// One step after the other, until there is nothing more to do now.
    async fn step_on(&self, carried: &mut Carried<'_>) -> Result<(), Halt> {
        loop {
            match carried.notes.next(carried.want) {
                Next::Unread => return Err(Halt::Later(UNREAD)),
                Next::Pack => self.pack_and_create(carried).await?,
                Next::Create => self.create(carried).await?,
                Next::Recover => self.recover(carried).await?,
                Next::See => return self.see(carried).await,
                Next::Return(why) => return self.give_back(carried, why).await,
                Next::End => return self.end(carried, ParcelState::Fetched).await,
            }
        }
    }

    /// Whether the parcel's place is still where such lines go.
    fn is_routed(&self, carried: &Carried<'_>) -> bool {
        let place = self.courier.route(&carried.batch.endpoint, &carried.model);
        place.as_ref() == Some(&carried.notes.place)
    }

    /// Looks how the batch stands at the provider.
    async fn see(&self, carried: &mut Carried<'_>) -> Result<(), Halt> {
        let (place, id) = (carried.notes.place.clone(), carried.notes.remote.clone().unwrap_or_default());
        let seen = match self.courier.see(&place, &id).await {
            Ok(remote) => Some(remote),
            Err(Fault::Unknown) => None,
            Err(fault) => return self.turned_away(carried, fault).await,
        };
        match carried.notes.sight(seen.as_ref(), carried.want, self.clock.now()) {
            Sight::Wait(pause) => {
                if carried.notes.failing.take().is_some() {
                    self.write(carried, ParcelState::Open).await?;
                }
                Err(Halt::Later(pause))
            }
            Sight::Cancel(pause) => {
                // Where it is over by now, that is seen the next time.
                match self.courier.cancel(&place, &id).await {
                    Ok(()) | Err(Fault::Refused(_) | Fault::Unknown) => Err(Halt::Later(pause)),
                    Err(fault) => Err(halt(&fault)),
                }
            }
            Sight::Return(why) => self.give_back(carried, why).await,
            Sight::Fetch => {
                carried.notes.outputs = seen.map(|remote| remote.files).unwrap_or_default();
                if let Err(fault) = self.fetch_all(carried).await? {
                    return self.turned_away(carried, fault).await;
                }
                if carried.want == Want::Run {
                    // What is in none of the provider's files was not run there.
                    self.release(carried).await?;
                }
                self.end(carried, ParcelState::Fetched).await
            }
        }
    }

    /// The provider does not tell what came of the batch. It may be away for as long as it wants to be, as it will
    /// tell once it is back; but on one that refuses nobody waits for ever.
    async fn turned_away(&self, carried: &mut Carried<'_>, fault: Fault) -> Result<(), Halt> {
        match fault {
            Fault::Refused(why) if !self.is_routed(carried) || self.has_failed(carried).await? => {
                self.give_back(carried, why).await
            }
            Fault::Unknown => self.give_back(carried, NOT_THERE.to_owned()).await,
            fault => Err(halt(&fault)),
        }
    }

    /// Notes that what was asked of the provider was not done; says whether that has been so for too long.
    async fn has_failed(&self, carried: &mut Carried<'_>) -> Result<bool, Halt> {
        let is_enough = carried.notes.failed(self.clock.now());
        self.write(carried, ParcelState::Open).await?;
        Ok(is_enough)
    }

    /// What the provider does not run, the gateway does.
    async fn give_back(&self, carried: &mut Carried<'_>, why: String) -> Result<(), Halt> {
        if carried.want == Want::Run {
            let lines = self.release(carried).await?;
            let (batch, model, place) = (&carried.batch.id, &carried.model, &carried.notes.place);
            tracing::warn!(
                batch,
                model,
                place,
                lines,
                why,
                "batches: the provider does not run a batch of its own; its lines are asked one by one"
            );
        }
        carried.notes.why = Some(why);
        self.end(carried, ParcelState::Returned).await
    }

    async fn end(&self, carried: &mut Carried<'_>, state: ParcelState) -> Result<(), Halt> {
        self.write(carried, state).await?;
        match state {
            ParcelState::Returned => self.rows.stats.carried(Came::Returned),
            // What was never sent, as all of it was known here or nobody wants it any more, is not fetched either.
            _ if carried.notes.remote.is_none() => {}
            _ => self.rows.stats.carried(Came::Fetched),
        }
        // As far as that can be done now: providers forget files by themselves in the end.
        for file in carried.notes.file.iter().chain(&carried.notes.outputs) {
            if let Err(error) = self.courier.remove(&carried.notes.place, file).await {
                tracing::debug!(%error, file, "batches: a file was left at the provider");
            }
        }
        Ok(())
    }

    /// Writes down how the parcel stands, if it is still this attempt's to say.
    async fn write(&self, carried: &Carried<'_>, state: ParcelState) -> Result<(), Halt> {
        let Carried { context, batch, model, notes, .. } = carried;
        let parcel = Parcel { batch: batch.id.clone(), model: model.clone(), state, notes: notes.to_json() };
        match self.rows.parcels.note(context.lease(), parcel).await? {
            true => Ok(()),
            false => Err(lost()),
        }
    }

    /// Has the lines that are still held asked one by one; says how many.
    async fn release(&self, carried: &Carried<'_>) -> Result<u64, Halt> {
        let (mut after, mut given) = (None, 0);
        while let Some(page) = self.page(carried, after).await? {
            after = Some(page.last);
            let (lines, now) = (page.lines.iter().map(|(line, _)| *line).collect(), self.clock.now());
            let to = Ready { queue: QUEUE.to_owned(), at: now };
            let moved =
                self.rows.parcels.give_back(carried.context.lease(), carried.shelf(), lines, to).await?;
            given += moved.ok_or_else(lost)?;
            carried.context.hints().added(QUEUE, now, now);
        }
        Ok(given)
    }
}

impl Carried<'_> {
    /// Where its lines are held.
    fn shelf(&self) -> Shelf {
        Shelf { batch: self.batch.id.clone(), queue: PARCELS.to_owned() }
    }

    fn mark(&self) -> Mark {
        let (batch, model) = (self.batch.id.clone(), self.model.clone());
        Mark { batch, model, attempt: self.notes.attempt }
    }
}

fn halt(fault: &Fault) -> Halt {
    tracing::debug!(error = %fault, "batches: a provider does not bring a parcel on");
    Halt::Later(fault.after().unwrap_or(PAUSES.0).min(PAUSES.1))
}

/// Another attempt has the parcel.
fn lost() -> Halt {
    Halt::Failed(Failed::passing("lease", "another attempt has the parcel"))
}
