//! Applies a changed configuration to the requests to come. A faulty one is refused, and the one
//! that runs is kept. Whoever asks for it is told what came of it, or what would.
//!
//! Files are looked at once a second. That sees every way in which an editor, a deployment or a
//! mounted volume replaces a file, symbolic links included, and costs a few `stat`s.

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
    move |mut hangups| {
        Box::pin(async move {
            let taken = gateway.reloading.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(mut questions) = taken else { return };
            let mut inputs = loaded.inputs.clone();
            let mut seen = stamps(&inputs);
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
                        let _ = reply.send(preview(gateway, sources));
                        continue;
                    }
                    Some(Question { wish: Wish::Judge(file), reply }) => {
                        let sources = Sources { path: Some(file), ..sources.clone() };
                        let _ = reply.send(preview(gateway, &sources));
                        continue;
                    }
                    None => None,
                };
                let now = stamps(&inputs);
                if !asked && question.is_none() && now == seen {
                    continue;
                }
                let told = apply(gateway, sources, &mut inputs);
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
fn apply(gateway: &Gateway, sources: &Sources, inputs: &mut Vec<PathBuf>) -> Told {
    let refused = |why: &str| {
        gateway.metrics.reloads_refused.inc();
        tracing::error!("the new configuration is refused, the running one stays:\n{why}");
    };
    let loaded = match Config::load(sources) {
        Ok(loaded) => loaded,
        Err(faults) => {
            let why = faults.render(false);
            refused(&why);
            faults.inputs().clone_into(inputs);
            return Told { path: inputs.first().cloned(), verdict: Err(why), fixed: Vec::new() };
        }
    };
    loaded.inputs.clone_into(inputs);
    let fixed = fixed(&gateway.snapshot(0).config, &loaded.config);
    for setting in &fixed {
        tracing::warn!("`{setting}` has changed; it takes effect with the next start");
    }
    let mut told = Told { path: loaded.path.clone(), verdict: Ok(loaded.to_json()), fixed };
    if let Err((provider, error)) = gateway.replace(&loaded) {
        let why = format!("provider `{provider}`: {error}");
        refused(&why);
        told.verdict = Err(why);
        return told;
    }
    gateway.metrics.reloads.inc();
    gateway.certificates.renew();
    tracing::info!("the new configuration is in force");
    told
}

/// Loads and changes nothing.
fn preview(gateway: &Gateway, sources: &Sources) -> Told {
    match Config::load(sources) {
        Ok(loaded) => Told {
            fixed: fixed(&gateway.snapshot(0).config, &loaded.config),
            verdict: Ok(loaded.to_json()),
            path: loaded.path,
        },
        Err(faults) => Told {
            path: faults.inputs().first().cloned(),
            verdict: Err(faults.render(false)),
            fixed: Vec::new(),
        },
    }
}

/// Settings that are part of the process and differ: a change of theirs waits for a restart.
fn fixed(before: &Config, after: &Config) -> Vec<&'static str> {
    let settings = [
        ("server.listen", before.server.listen != after.server.listen),
        ("server.workers", before.server.workers != after.server.workers),
        ("server.connections_max", before.server.connections_max != after.server.connections_max),
        ("server.tls", before.server.tls != after.server.tls),
        ("admin.listen", before.admin.listen != after.admin.listen),
        ("admin.tls", before.admin.tls != after.admin.tls),
        ("log", before.log != after.log),
        ("store", before.store != after.store),
        ("jobs.workers_max", before.jobs.workers_max != after.jobs.workers_max),
        ("jobs.batch_workers_max", before.jobs.batch_workers_max != after.jobs.batch_workers_max),
        ("jobs.queues", before.jobs.queues != after.jobs.queues),
        ("jobs.keep_done", before.jobs.keep_done != after.jobs.keep_done),
        ("jobs.keep_dead", before.jobs.keep_dead != after.jobs.keep_dead),
        ("workflows.keep", before.workflows.keep != after.workflows.keep),
        ("traces.endpoint", before.traces.collector != after.traces.collector),
        ("traces.service_name", before.traces.service_name != after.traces.service_name),
        ("traces.attributes", before.traces.attributes != after.traces.attributes),
    ];
    settings.into_iter().filter(|(_, changed)| *changed).map(|(setting, _)| setting).collect()
}
