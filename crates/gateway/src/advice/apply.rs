//! Applying advice, and taking it back: the configuration file is edited, judged as a reload would judge it, replaced
//! and put in force.
//!
//! ```text
//! read ─► edit ─► beside the file ─► judged (a reload's own eyes) ─► remembered ─► in the file's place ─► reloaded
//! ```
//!
//! Up to the last step but one nothing has changed, whatever fails. What is to be written is remembered before it is,
//! and forgotten after it was taken back, so that a crash between the two leaves a note of something that is not there,
//! which can be taken back for all that, and never a change that cannot.

use super::edit::{self, Written};
use super::file::{self, Candidate};
use super::kept::{self, APPLIED_MAX, Applied};
use super::{Advising, look};
use crate::app::Told;
use crate::gateway::Gateway;
use measure::advice::{Advice, Key, Step};
use rig::load::units;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Why nothing was applied or taken back. Nothing has changed then, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is none of that id.
    #[error("there is no such advice, or its evidence has gone")]
    Unknown,
    /// It is for people to decide.
    #[error(
        "this may change answers or what they cost: write it into the configuration yourself if you want it"
    )]
    Unsafe,
    /// Somebody is at it.
    #[error("another piece of advice is applied or taken back just now")]
    Busy,
    /// It is applied.
    #[error("this is applied already")]
    Already,
    /// There is too much of it.
    #[error("{APPLIED_MAX} pieces of advice are applied already; take one back first")]
    TooMany,
    /// There is nothing to write to.
    #[error("{0}")]
    NoFile(String),
    /// The keys cannot be written or taken back.
    #[error(transparent)]
    Edit(#[from] edit::Fault),
    /// The file says something that is not taken, as it is or as it would be.
    #[error("the configuration would be refused:\n{0}")]
    Faulty(String),
    /// The file would say it and nobody would heed.
    #[error("`{0}` is set elsewhere, by a variable of the environment or a flag: change it there")]
    Overridden(String),
    /// It is in the file and not in force: what else has changed there is at fault.
    #[error("it is in the file, and what ran before goes on:\n{0}")]
    NotInForce(String),
    /// It is out of the file and in force all the same: what else has changed there is at fault.
    #[error("it is out of the file, and what ran before goes on:\n{0}")]
    StillInForce(String),
    /// It is not in the file, and the note of it cannot be removed.
    #[error("the note that it was applied cannot be removed; take it back to do so: {0}")]
    Noted(std::io::Error),
    /// One thing, and another besides.
    #[error("{0}; and {1}")]
    Both(Box<Refused>, Box<Refused>),
    /// The system refused.
    #[error("the files cannot be written: {0}")]
    Io(#[from] std::io::Error),
}

/// Who is at work, for as long as this lives.
struct AtWork<'a>(&'a AtomicBool);

impl<'a> AtWork<'a> {
    fn begin(advising: &'a Advising) -> Result<Self, Refused> {
        let is_taken = advising.at_work.swap(true, Ordering::AcqRel);
        if is_taken { Err(Refused::Busy) } else { Ok(Self(&advising.at_work)) }
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Advising {
    /// Writes the advice of this id into the configuration file and puts it in force.
    ///
    /// # Errors
    /// Why not.
    pub async fn apply(&self, gateway: &Gateway, id: &str) -> Result<Applied, Refused> {
        let _at_work = AtWork::begin(self)?;
        let advice = self.wanted(gateway, id).await?;
        let (file, text) = open(gateway).await?;
        let mut after = self.applied();
        if after.iter().any(|known| known.id == id && edit::stands(&text, &known.written)) {
            return Err(Refused::Already);
        }
        let changes = advice.change.iter().map(|change| (&change.key, &change.to));
        let (fresh, written) = edit::write(&text, changes)?;
        let candidate = judged(gateway, &file, text, fresh, &written).await?;
        let applied = of(&advice, file, written);
        let before = after.clone();
        after.retain(|known| known.id != id);
        if after.len() >= APPLIED_MAX {
            return Err(Refused::TooMany);
        }
        after.push(applied.clone());
        self.save(after).await?;
        if let Err(error) = put(candidate).await {
            return Err(unwritten(error, self.save(before).await));
        }
        in_force(gateway).await.map_err(Refused::NotInForce)?;
        tracing::info!(id, title = applied.title, "advice was applied to the configuration file");
        Ok(applied)
    }

    /// The advice of this id, where it stands and may be applied.
    async fn wanted(&self, gateway: &Gateway, id: &str) -> Result<Advice, Refused> {
        let view = look(gateway).await.ok_or(Refused::Unknown)?;
        let mut standing = view.advice.into_iter().map(|standing| standing.advice);
        match standing.find(|advice| advice.id == id) {
            Some(advice) if advice.safe => Ok(advice),
            Some(_) => Err(Refused::Unsafe),
            // What was applied is not advised any more.
            None if self.applied().iter().any(|known| known.id == id) => Err(Refused::Already),
            None => Err(Refused::Unknown),
        }
    }

    /// Takes what was applied out of the file again, where it still stands there as it was written.
    ///
    /// # Errors
    /// Why not.
    pub async fn revert(&self, gateway: &Gateway, id: &str) -> Result<Applied, Refused> {
        let _at_work = AtWork::begin(self)?;
        let mut after = self.applied();
        let place = after.iter().position(|applied| applied.id == id).ok_or(Refused::Unknown)?;
        let applied = after.remove(place);
        let (file, text) = open(gateway).await?;
        if file != applied.file {
            let words = format!(
                "it was written to {}, which is not the configuration file any more",
                applied.file.display()
            );
            return Err(Refused::NoFile(words));
        }
        if edit::is_gone(&text, &applied.written) {
            self.save(after).await?;
            return Ok(applied);
        }
        let fresh = edit::take_back(&text, &applied.written)?;
        let candidate = judged(gateway, &file, text, fresh, &[]).await?;
        put(candidate).await?;
        let noted = self.save(after).await;
        taken_back(in_force(gateway).await, noted)?;
        tracing::info!(id, title = applied.title, "advice was taken back from the configuration file");
        Ok(applied)
    }

    /// Remembers what is applied from now on; it is on disk when this returns.
    async fn save(&self, applied: Vec<Applied>) -> std::io::Result<()> {
        let Some(path) = self.kept.get().cloned() else {
            return Err(std::io::Error::other("the gateway is not up yet"));
        };
        let to_write = applied.clone();
        aside(move || kept::save(&path, &to_write)).await?;
        *self.lock() = applied;
        Ok(())
    }
}

/// The configuration file that is edited, where there is one that can be: where not, why.
///
/// # Errors
/// There is none, or it is no TOML.
pub fn editable(path: Option<&Path>) -> Result<&Path, Refused> {
    let no = |words: &str| Refused::NoFile(words.to_owned());
    let path =
        path.ok_or_else(|| no("there is no configuration file to write to: name one with --config"))?;
    match path.extension() {
        None => Ok(path),
        Some(ending) if ending.eq_ignore_ascii_case("toml") => Ok(path),
        Some(_) => {
            Err(no("only files of TOML are written to: make the change in the configuration file yourself"))
        }
    }
}

async fn open(gateway: &Gateway) -> Result<(PathBuf, String), Refused> {
    let told = gateway.reloading.ask(false).await.ok_or(Refused::Busy)?;
    if let Err(faults) = told.verdict {
        return Err(Refused::Faulty(faults));
    }
    let path = editable(told.path.as_deref())?.to_owned();
    Ok(aside(move || file::read(&path)).await?)
}

/// Lays the new text beside the file, and has it judged: taken, and with what was written in it in force.
async fn judged(
    gateway: &Gateway,
    file: &Path,
    before: String,
    text: String,
    written: &[Written],
) -> Result<Candidate, Refused> {
    let file = file.to_owned();
    let candidate = aside(move || Candidate::write(&file, before, &text)).await?;
    let told = gateway.reloading.judge(candidate.path().to_owned()).await;
    let Told { verdict, .. } = told.ok_or(Refused::Busy)?;
    let config = verdict.map_err(Refused::Faulty)?;
    let is_heeded =
        |written: &&Written| at(&config, &written.key()) == Some(&serde_json::json!(written.to()));
    match written.iter().find(|written| !is_heeded(written)) {
        Some(written) => Err(Refused::Overridden(written.key().to_string())),
        None => Ok(candidate),
    }
}

async fn put(candidate: Candidate) -> Result<(), Refused> {
    Ok(aside(move || candidate.put()).await?)
}

/// Puts in force what the file says; where that is refused, why.
async fn in_force(gateway: &Gateway) -> Result<(), String> {
    match gateway.reloading.ask(true).await {
        Some(Told { verdict: Err(faults), .. }) => Err(faults),
        // Where too many ask, the file is seen to have changed within a second.
        Some(_) | None => Ok(()),
    }
}

/// Why the file was not written, after the note of it was, which has been taken back or not.
fn unwritten(why: Refused, noted: std::io::Result<()>) -> Refused {
    match noted {
        Ok(()) => why,
        Err(error) => Refused::Both(Box::new(why), Box::new(Refused::Noted(error))),
    }
}

/// What came of a file out of which it was taken: whether that is in force, and whether the note of it is gone.
fn taken_back(in_force: Result<(), String>, noted: std::io::Result<()>) -> Result<(), Refused> {
    match (noted.map_err(Refused::Noted), in_force.map_err(Refused::StillInForce)) {
        (Err(noted), Err(still)) => Err(Refused::Both(Box::new(noted), Box::new(still))),
        (noted, in_force) => noted.and(in_force),
    }
}

fn of(advice: &Advice, file: PathBuf, written: Vec<Written>) -> Applied {
    Applied {
        id: advice.id.clone(),
        rule: advice.rule.to_owned(),
        subject: advice.subject.clone(),
        title: advice.title.clone(),
        at: units::rfc3339(SystemTime::now()),
        file,
        written,
    }
}

/// What a configuration says at a key.
fn at<'a>(config: &'a Json, key: &Key) -> Option<&'a Json> {
    key.0.iter().try_fold(config, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Entry(member, is) => value.as_array()?.iter().find(|entry| entry[member] == is.as_str()),
    })
}

/// Work with files, off the control thread.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|fell| Err(std::io::Error::other(fell)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Refused, taken_back, unwritten};
    use std::io::Error;

    #[test]
    fn whatever_went_wrong_is_told() {
        let full = |is_full: bool| if is_full { Err(Error::other("the disk is full")) } else { Ok(()) };
        for noted in [false, true] {
            let why = unwritten(Refused::Io(Error::other("no right to write")), full(noted)).to_string();
            assert!(why.contains("no right to write"), "{why}");
            assert_eq!(why.contains("the disk is full"), noted, "{why}");

            for refused in [false, true] {
                let in_force = if refused { Err("line 7".to_owned()) } else { Ok(()) };
                let why = taken_back(in_force, full(noted)).err().map(|why| why.to_string());
                assert_eq!(why.is_some(), refused || noted);
                let why = why.unwrap_or_default();
                assert_eq!(why.contains("the disk is full"), noted, "{why}");
                assert_eq!(why.contains("out of the file") && why.contains("line 7"), refused, "{why}");
                assert!(!why.contains("in the file"), "{why}");
            }
        }
    }
}
