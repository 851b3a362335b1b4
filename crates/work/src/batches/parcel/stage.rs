//! What comes next for a parcel: pure, of what is written of it and what is seen of its batch.

use crate::batches::courier::{Remote, RemoteState};
use crate::batches::notes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::Time;
use store::batches::{Batch, BatchState};
use store::parcels::Parcel;

/// Tries that a parcel gets before its lines are asked one by one.
const ATTEMPTS_MAX: u32 = 5;
/// How long a provider may be away before nothing of the parcel is there.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
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
    pub(super) fn next(&self, want: Want, now: Time) -> Next {
        let away = now.since(Time(self.made)) >= PATIENCE;
        match (want, &self.file, &self.remote) {
            _ if self.is_empty => Next::End,
            _ if self.why.is_some() => Next::Return(self.why.clone().unwrap_or_default()),
            (Want::Read, ..) => Next::Unread,
            (_, _, Some(_)) => Next::See,
            (_, Some(_), None) => Next::Recover,
            (Want::Stop, None, None) => Next::End,
            (Want::Run, None, None) if self.attempt > ATTEMPTS_MAX => {
                Next::Return("it could not be created".to_owned())
            }
            (Want::Run, None, None) if away => Next::Return("the provider has been away for long".to_owned()),
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

    /// The batch is there.
    pub(super) fn created(&mut self, remote: String, now: Time) {
        (self.remote, self.sent) = (Some(remote), now.0);
    }

    /// The batch is not there, and will not be.
    pub(super) fn not_created(&mut self) {
        (self.file, self.attempt) = (None, self.attempt + 1);
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Next, Notes, Sight, Want};
    use crate::batches::courier::{Remote, RemoteState};
    use std::time::Duration;
    use store::Time;

    const NOW: Time = Time(1_000_000);

    fn notes() -> Notes {
        Notes::new("openai/m".to_owned(), NOW)
    }

    fn packed() -> Notes {
        Notes { file: Some("file-1".to_owned()), ..notes() }
    }

    fn sent() -> Notes {
        let mut notes = packed();
        notes.created("batch_1".to_owned(), NOW);
        notes
    }

    /// In a word: `pack`, `return`, …
    fn word(next: &Next) -> &'static str {
        match next {
            Next::Unread => "unread",
            Next::Pack => "pack",
            Next::Recover => "recover",
            Next::See => "see",
            Next::Return(_) => "return",
            Next::End => "end",
        }
    }

    #[test]
    fn what_comes_next_follows_from_what_is_written() {
        let check = |notes: Notes, expected: [&str; 3]| {
            let found = [Want::Read, Want::Run, Want::Stop].map(|want| notes.next(want, NOW));
            assert_eq!(found.each_ref().map(word), expected, "{notes:?}");
        };
        check(notes(), ["unread", "pack", "end"]);
        check(packed(), ["unread", "recover", "recover"]);
        check(sent(), ["unread", "see", "see"]);
        check(Notes { is_empty: true, ..notes() }, ["end"; 3]);
        check(Notes { why: Some(String::new()), ..packed() }, ["return"; 3]);
        check(Notes { attempt: 6, ..notes() }, ["unread", "return", "end"]);
        check(Notes { made: NOW.0 - 900_000, ..notes() }, ["unread", "return", "end"]);
        check(Notes { made: NOW.0 - 900_000, ..sent() }, ["unread", "see", "see"]);
    }

    #[test]
    fn a_batch_that_was_not_created_is_tried_anew() {
        let mut notes = packed();
        notes.not_created();
        assert_eq!((notes.attempt, &notes.file), (2, &None));
        assert_eq!(notes.next(Want::Run, NOW), Next::Pack);
    }

    #[test]
    fn what_is_seen_at_the_provider_is_waited_for_fetched_or_given_back() {
        let files = |count: usize| vec!["file-out".to_owned(); count];
        let check = |state, count, want, seconds: i64, expected: &str| {
            let remote = Remote { id: "batch_1".to_owned(), state, files: files(count), why: None };
            let sight = match sent().sight(Some(&remote), want, Time(NOW.0 + seconds * 1000)) {
                Sight::Wait(pause) => format!("wait {}", pause.as_secs()),
                Sight::Cancel(pause) => format!("cancel {}", pause.as_secs()),
                Sight::Fetch => "fetch".to_owned(),
                Sight::Return(_) => "return".to_owned(),
            };
            assert_eq!(sight, expected, "{remote:?} {want:?}");
        };
        use RemoteState::{Failed, Over, Running};
        check(Running, 0, Want::Run, 0, "wait 1");
        check(Running, 0, Want::Run, 100, "wait 10");
        check(Running, 0, Want::Run, 86_400, "wait 60");
        check(Running, 0, Want::Stop, 86_400, "cancel 5");
        check(Over, 2, Want::Run, 5, "fetch");
        check(Over, 0, Want::Stop, 5, "fetch");
        check(Failed, 0, Want::Run, 5, "return");
        check(Failed, 1, Want::Run, 5, "fetch");
        assert!(matches!(sent().sight(None, Want::Run, NOW), Sight::Return(_)), "it is not there any more");
    }

    #[test]
    fn notes_are_read_as_they_were_written() {
        let mut written = sent();
        written.outputs = vec!["file-2".to_owned()];
        assert_eq!(serde_json::from_slice::<Notes>(&written.to_json()).unwrap(), written);
        assert!(Duration::from_millis(1) < super::PATIENCE);
    }
}
