//! Applies a changed configuration to the requests to come. A faulty one is refused, and the one
//! that runs is kept. Whoever asks for it is told what came of it, or what would.
//!
//! Files are looked at once a second. That sees every way in which an editor, a deployment or a
//! mounted volume replaces a file, symbolic links included, and costs a few `stat`s.

use super::fixed;
use crate::config::{Config, Fault, Inputs, Loaded, Sources};
use crate::gateway::Gateway;
use serde_json::Value;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::sync::{mpsc, oneshot};

const LOOK: Duration = Duration::from_secs(1);
/// Those who ask and wait for their turn.
const ASKING_MAX: usize = 4;

/// Where a look at the configuration's files is asked for; one for the process.
pub struct Reloading {
    questions: mpsc::Sender<Question>,
    /// For the watch to take, once it runs.
    asked: Mutex<Option<mpsc::Receiver<Question>>>,
}

struct Question {
    wish: Wish,
    reply: oneshot::Sender<Told>,
}

/// What is to be done with the files.
enum Wish {
    /// Read them, and change nothing.
    Look,
    /// The same, with this one in the configuration file's place.
    Judge(PathBuf),
    /// Put them in force.
    Apply,
}

/// What the configuration's files say now.
#[derive(Debug)]
pub struct Told {
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// The configuration, without secrets; or why it is refused, for people.
    pub verdict: Result<Value, String>,
    /// Settings that differ from those in force and wait for a restart.
    pub fixed: Vec<&'static str>,
    /// What is odd but allowed.
    pub warnings: Vec<Fault>,
    /// Why certificates in use could not be renewed, for people; of what was applied only.
    pub certificates: Vec<String>,
}

impl Told {
    fn refused(path: Option<&PathBuf>, why: String) -> Self {
        Self {
            path: path.cloned(),
            verdict: Err(why),
            fixed: Vec::new(),
            warnings: Vec::new(),
            certificates: Vec::new(),
        }
    }
}

impl Default for Reloading {
    fn default() -> Self {
        let (questions, asked) = mpsc::channel(ASKING_MAX);
        Self { questions, asked: Mutex::new(Some(asked)) }
    }
}

impl Reloading {
    /// Reads the files anew, and puts them in force where `apply` says so and nothing is wrong. `None` where too many
    /// ask, or nobody answers any more.
    pub async fn ask(&self, apply: bool) -> Option<Told> {
        self.wish(if apply { Wish::Apply } else { Wish::Look }).await
    }

    /// Reads the files anew as if `file` were the configuration file, and changes nothing: what a reload would say of
    /// it. `None` as with [`ask`](Self::ask).
    pub async fn judge(&self, file: PathBuf) -> Option<Told> {
        self.wish(Wish::Judge(file)).await
    }

    async fn wish(&self, wish: Wish) -> Option<Told> {
        let (reply, told) = oneshot::channel();
        self.questions.try_send(Question { wish, reply }).ok()?;
        told.await.ok()
    }
}

/// Watches the files that the gateway was `started` with, those of `sources`, and answers whoever asks of them. Until
/// dropped; one for the process.
pub(super) async fn watch(
    gateway: &Gateway,
    started: &Loaded,
    sources: &Sources,
    mut hangups: Receiver<()>,
) -> Infallible {
    let taken = gateway.reloading.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut questions) = taken else { return std::future::pending().await };
    let mut watch = Watch { gateway, started, sources, inputs: started.inputs.clone() };
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = look.tick() => watch.look(),
            Ok(()) = hangups.changed() => drop(watch.apply()),
            Some(question) = questions.recv() => watch.answer(question),
        }
    }
}

/// A gateway and the files that it follows.
struct Watch<'a> {
    gateway: &'a Gateway,
    started: &'a Loaded,
    sources: &'a Sources,
    /// The files as they were before they were last applied, a refused configuration's too.
    inputs: Inputs,
}

impl Watch<'_> {
    /// Applies what was written since it was last read. A certificate in use has files of its own: the configuration
    /// may be refused, or name others by now.
    fn look(&mut self) {
        if self.inputs.have_changed() {
            self.apply();
        } else if self.gateway.certificates.have_changed() {
            self.gateway.certificates.renew();
        }
    }

    fn answer(&mut self, Question { wish, reply }: Question) {
        let told = match wish {
            Wish::Look => self.judged(self.sources).told,
            Wish::Judge(file) => self.judged(&Sources { path: Some(file), ..self.sources.clone() }).told,
            Wish::Apply => self.apply(),
        };
        // Whoever asked may have gone.
        let _ = reply.send(told);
    }

    /// Puts in force what the files say, where nothing is wrong with it, and renews certificates where there is.
    fn apply(&mut self) -> Told {
        let Judged { mut told, inputs, sound } = self.judged(self.sources);
        self.inputs = inputs;
        for setting in &told.fixed {
            tracing::warn!("`{setting}` has changed; it takes effect with the next start");
        }
        for warning in &told.warnings {
            tracing::warn!("{warning}");
        }
        if let Some(loaded) = sound
            && let Err((provider, error)) = self.gateway.replace(&loaded)
        {
            told.verdict = Err(format!("provider `{provider}`: {error}"));
        }
        match &told.verdict {
            Ok(_) => {
                self.gateway.metrics.reloads.inc();
                tracing::info!("the new configuration is in force");
            }
            Err(why) => {
                self.gateway.metrics.reloads_refused.inc();
                tracing::error!("the new configuration is refused, the running one stays:\n{why}");
            }
        }
        told.certificates = self.gateway.certificates.renew();
        told
    }

    /// Reads these files and holds what they say against what runs. Changes nothing.
    fn judged(&self, sources: &Sources) -> Judged {
        let mut loaded = match Config::load(sources) {
            Ok(loaded) => loaded,
            Err(faults) => {
                let told = Told::refused(faults.path(), faults.render(false));
                return Judged { told, inputs: faults.inputs().clone(), sound: None };
            }
        };
        let mut inputs = std::mem::take(&mut loaded.inputs);
        // Without the file that there was at the start the defaults would be in force.
        if let Some(gone) = self.started.path.as_ref().filter(|_| loaded.path.is_none()) {
            inputs.miss(gone);
            let told = Told::refused(Some(gone), format!("{} is gone", gone.display()));
            return Judged { told, inputs, sound: None };
        }
        let held = self.gateway.snapshot(0);
        let fixed = fixed::hold(&held.config, &mut loaded.config);
        let judged = fixed::judge(&held.config, &loaded.config);
        let verdict = judged.map(|()| loaded.to_json());
        let warnings = std::mem::take(&mut loaded.warnings);
        let told = Told { path: loaded.path.clone(), verdict, fixed, warnings, certificates: Vec::new() };
        let sound = told.verdict.is_ok().then_some(loaded);
        Judged { told, inputs, sound }
    }
}

/// What became of reading the files.
struct Judged {
    told: Told,
    /// Those that were read, as they were before.
    inputs: Inputs,
    /// What may take the place of what runs.
    sound: Option<Loaded>,
}

#[cfg(test)]
mod tests;
