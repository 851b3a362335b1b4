//! Applies a changed configuration to the requests to come. A faulty one is refused, and the one
//! that runs is kept. Whoever asks for it is told what came of it, or what would.
//!
//! Files are looked at once a second. That sees every way in which an editor, a deployment or a
//! mounted volume replaces a file, symbolic links included, and costs a few `stat`s.

use super::fixed;
use crate::config::{Config, Loaded, Sources};
use crate::gateway::Gateway;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
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

/// Makes the watch over the files that `loaded` came from; it runs until dropped.
pub(super) fn watch<'a>(
    gateway: &'a Gateway,
    loaded: &'a Loaded,
    sources: &'a Sources,
) -> impl FnOnce(Receiver<()>) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
    // As of now: whatever changes from here on is seen.
    let mut seen = stamps(&loaded.inputs);
    move |mut hangups| {
        Box::pin(async move {
            let taken = gateway.reloading.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(mut questions) = taken else { return };
            let mut inputs = loaded.inputs.clone();
            let mut look = tokio::time::interval(LOOK);
            loop {
                let (asked, question) = tokio::select! {
                    _ = look.tick() => (false, None),
                    result = hangups.changed() => (result.is_ok(), None),
                    question = questions.recv() => (false, question),
                };
                let question = match question {
                    Some(Question { wish: Wish::Apply, reply }) => Some(reply),
                    Some(Question { wish: Wish::Look, reply }) => {
                        let _ = reply.send(preview(gateway, loaded, sources));
                        continue;
                    }
                    Some(Question { wish: Wish::Judge(file), reply }) => {
                        let sources = Sources { path: Some(file), ..sources.clone() };
                        let _ = reply.send(preview(gateway, loaded, &sources));
                        continue;
                    }
                    None => None,
                };
                let now = stamps(&inputs);
                if !asked && question.is_none() && now == seen {
                    continue;
                }
                let told = apply(gateway, loaded, sources, &mut inputs);
                seen = stamps(&inputs);
                if let Some(reply) = question {
                    let _ = reply.send(told);
                }
            }
        })
    }
}

/// What tells one version of a file from the next.
type Stamp = Option<(SystemTime, u64, u64)>;

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    paths.iter().map(stamp).collect()
}

/// Loads and applies; `inputs` become the files to watch from now on, a faulty configuration's among them.
fn apply(gateway: &Gateway, started: &Loaded, sources: &Sources, inputs: &mut Vec<PathBuf>) -> Told {
    let refused = |why: &str| {
        gateway.metrics.reloads_refused.inc();
        tracing::error!("the new configuration is refused, the running one stays:\n{why}");
    };
    let mut loaded = match Config::load(sources) {
        Ok(loaded) => loaded,
        Err(faults) => {
            let why = faults.render(false);
            refused(&why);
            faults.inputs().clone_into(inputs);
            return Told { path: inputs.first().cloned(), verdict: Err(why), fixed: Vec::new() };
        }
    };
    if let Err(why) = is_there(started, &loaded) {
        refused(&why);
        return Told { path: started.path.clone(), verdict: Err(why), fixed: Vec::new() };
    }
    loaded.inputs.clone_into(inputs);
    let before = gateway.snapshot(0);
    let fixed = fixed::hold(&before.config, &mut loaded.config);
    for setting in &fixed {
        tracing::warn!("`{setting}` has changed; it takes effect with the next start");
    }
    let mut told = Told { path: loaded.path.clone(), verdict: Ok(loaded.to_json()), fixed };
    let replaced = fixed::judge(&before.config, &loaded.config).and_then(|()| {
        gateway.replace(&loaded).map_err(|(provider, error)| format!("provider `{provider}`: {error}"))
    });
    if let Err(why) = replaced {
        refused(&why);
        told.verdict = Err(why);
        return told;
    }
    gateway.metrics.reloads.inc();
    gateway.certificates.renew();
    tracing::info!("the new configuration is in force");
    told
}

/// Whether there still is a file, where there was one at the start: without one the defaults would be in force.
fn is_there(started: &Loaded, loaded: &Loaded) -> Result<(), String> {
    match &started.path {
        Some(path) if loaded.path.is_none() => Err(format!("{} is gone", path.display())),
        _ => Ok(()),
    }
}

/// Loads and changes nothing.
fn preview(gateway: &Gateway, started: &Loaded, sources: &Sources) -> Told {
    match Config::load(sources) {
        Ok(mut loaded) => {
            let before = gateway.snapshot(0);
            let fixed = fixed::hold(&before.config, &mut loaded.config);
            let judged =
                is_there(started, &loaded).and_then(|()| fixed::judge(&before.config, &loaded.config));
            let verdict = judged.map(|()| loaded.to_json());
            Told { path: loaded.path, verdict, fixed }
        }
        Err(faults) => Told {
            path: faults.inputs().first().cloned(),
            verdict: Err(faults.render(false)),
            fixed: Vec::new(),
        },
    }
}
