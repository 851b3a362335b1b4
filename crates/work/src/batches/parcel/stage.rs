//! What comes next for a parcel: pure, of what is written of it and what is seen of its batch.

use crate::batches::courier::{Remote, RemoteState};
use crate::batches::notes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::Time;
use store::batches::{Batch, BatchState};
use store::parcels::Parcel;

/// Tries that a parcel gets before its lines are asked one by one: with the pauses between them, a quarter of an hour.
const ATTEMPTS_MAX: u32 = 8;
/// How long a provider may not do what it is asked, from the first time on, before its lines are asked one by one.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// The pauses after what a provider has not done: where it does not say, and the longest, whatever it says.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5 * 60));
/// How long a try may be on its way of which nothing was heard; by default no call to a provider takes longer.
const ON_ITS_WAY: Duration = Duration::from_secs(10 * 60);
/// The pauses between looks at a batch: a tenth of the time since it was sent, within these bounds.
const LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What is written of a parcel. Moments are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// The provider, and its model: `openai/gpt-4o`.
    pub place: String,
    /// When the parcel was made.
    pub made: i64,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The input's name at the provider, once it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// When it was last tried to have a batch created from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<i64>,
    /// From when on the provider has not done what it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<i64>,
    /// The batch's name at the provider, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// When it was.
    pub sent: i64,
    /// The files that the batch has ended in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Nothing is left to be sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_empty: bool,
    /// Why the provider does not run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What is wanted of a parcel, as its batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Its lines are yet to be read.
    Read,
    /// That it is run.
    Run,
    /// What is done of it, and no more.
    Stop,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To wait until all lines are read.
    Unread,
    /// To bring the lines to the provider.
    Pack,
    /// To have the batch created from the file that is there.
    Create,
    /// To find out whether the batch was created.
    Recover,
    /// To look how the batch stands.
    See,
    /// To have each line asked by itself; why.
    Return(String),
    /// Nothing more.
    End,
}

/// What a look at the provider's batch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It goes on: to look again after this time.
    Wait(Duration),
    /// It is to be cancelled, and looked at again after this time.
    Cancel(Duration),
    /// What came of it is to be fetched.
    Fetch,
    /// Each line is to be asked by itself; why.
    Return(String),
}

impl Want {
    pub(super) fn of(batch: &Batch) -> Self {
        match batch.state {
            BatchState::Validating => Self::Read,
            BatchState::InProgress => Self::Run,
            _ => Self::Stop,
        }
    }
}

impl Notes {
    pub(super) fn new(place: String, now: Time) -> Self {
        Self { place, made: now.0, attempt: 1, ..Self::default() }
    }

    /// What is written of this parcel; nothing where it cannot be read.
    #[must_use]
    pub fn of(parcel: &Parcel) -> Self {
        serde_json::from_slice(&parcel.notes).unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What comes next.
    pub(super) fn next(&self, want: Want) -> Next {
        match (want, &self.file, &self.remote) {
            _ if self.is_empty => Next::End,
            _ if self.why.is_some() => Next::Return(self.why.clone().unwrap_or_default()),
            (Want::Read, ..) => Next::Unread,
            (_, _, Some(_)) => Next::See,
            (_, Some(_), None) if self.tried.is_some() => Next::Recover,
            (Want::Stop, _, None) => Next::End,
            (Want::Run, Some(_), None) => Next::Create,
            (Want::Run, None, None) if self.attempt > ATTEMPTS_MAX => {
                Next::Return("it could not be created".to_owned())
            }
            (Want::Run, None, None) => Next::Pack,
        }
    }

    /// What a batch at the provider that was seen so, or is not there any more, asks for.
    pub(super) fn sight(&self, seen: Option<&Remote>, want: Want, now: Time) -> Sight {
        let pause = (now.since(Time(self.sent)) / 10).clamp(LOOKS.0, LOOKS.1);
        let Some(remote) = seen else { return Sight::Return("the provider has lost it".to_owned()) };
        match (remote.state, want) {
            (RemoteState::Running, Want::Stop) => Sight::Cancel(pause.min(LOOKS.0 * 5)),
            (RemoteState::Running, _) => Sight::Wait(pause),
            (RemoteState::Failed, _) if remote.files.is_empty() => {
                Sight::Return(remote.why.clone().unwrap_or_else(|| "it failed there".to_owned()))
            }
            (RemoteState::Failed | RemoteState::Over, _) => Sight::Fetch,
        }
    }

    /// The lines are at the provider.
    pub(super) fn packed(&mut self, file: String) {
        self.file = Some(file);
    }

    /// There were none left to bring.
    pub(super) fn emptied(&mut self) {
        self.is_empty = true;
    }

    /// The batch may be there from now on.
    pub(super) fn tried(&mut self, now: Time) {
        self.tried = Some(now.0);
    }

    /// It is not: it can be tried again with the same file.
    pub(super) fn undone(&mut self) {
        self.tried = None;
    }

    /// When to look for the batch after a try of which nothing was heard, but that the provider wants it so much
    /// later: each time after twice as long.
    pub(super) fn pause(&self, after: Option<Duration>) -> Duration {
        let pause = PAUSES.0.saturating_mul(2_u32.saturating_pow(self.attempt.saturating_sub(1)));
        pause.max(after.unwrap_or_default()).min(PAUSES.1)
    }

    /// How long the last try may be on its way yet.
    pub(super) fn on_its_way(&self, now: Time) -> Duration {
        ON_ITS_WAY.saturating_sub(now.since(Time(self.tried.unwrap_or_default()))).min(PAUSES.1)
    }

    /// The batch is there.
    pub(super) fn created(&mut self, remote: String, now: Time) {
        (self.remote, self.sent, self.failing) = (Some(remote), now.0, None);
    }

    /// The batch is not there, and will not be.
    pub(super) fn not_created(&mut self) {
        (self.file, self.tried, self.attempt) = (None, None, self.attempt + 1);
    }

    /// What was asked of the provider was not done; whether that has been so for long. Only whoever has asked says so:
    /// a gateway that was away for as long asks once more.
    pub(super) fn failed(&mut self, now: Time) -> bool {
        now.since(Time(*self.failing.get_or_insert(now.0))) >= PATIENCE
    }

    /// The provider will not run it.
    pub(super) fn refused(&mut self, why: &str) {
        self.why = Some(why.to_owned());
    }
}

/// When it came to the batch that no more of it is wanted.
pub(in crate::batches) fn stopped_at(batch: &Batch) -> Option<Time> {
    let notes = notes::Notes::of(batch);
    let seconds = notes.cancelling_at.or(notes.finalizing_at.filter(|_| notes.is_late))?;
    Some(Time(seconds * 1000))
}

#[cfg(test)]
mod tests;
