//! The thread that takes traces to the collector, and the queue before it. It has a runtime of its own, so that
//! nothing that happens to a collector can hold up a request; and it leaves within a second.

use super::collector::{Collector, Said};
use super::otlp::{self, Resource};
use super::{Trace, examples, tree};
use crate::config;
use crate::runtimes::Runtimes;
use crate::upstream;
use bytes::Bytes;
use guard::retry::Backoff;
use measure::metrics::{Dropped, Examples, Metrics, PoolMetrics, TraceMetrics};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Most traces that wait. A trace is about a kilobyte.
const WAITING_MAX: usize = 4096;
/// Most traces of one request to the collector.
const BATCH_MAX: usize = 256;
/// How long a trace waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// Between two looks at what waits besides. As many traces as may wait come within it only where 80,000 a second do.
const GLANCE: Duration = Duration::from_millis(50);
/// The pauses between tries.
const PAUSES: Backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(10) };
/// How long traces are tried to be exported; then they are dropped for newer ones.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the batch that is under way when the process leaves has yet, and all that waits behind it as long again.
const LAST: Duration = Duration::from_millis(400);
/// How long the process waits for both.
const LEAVE: Duration = Duration::from_millis(900);
/// Under this name the lookups of the collector's address are counted.
const LOOKUPS: &str = "traces";

/// Where traces are handed in, from any thread. Copies lead to the same collector.
#[derive(Clone, Debug)]
pub struct Inlet {
    sender: mpsc::Sender<Trace>,
    metrics: TraceMetrics,
}

impl Inlet {
    /// Hands in a trace; where too many wait it is dropped, and that is counted. Never waits.
    pub fn offer(&self, trace: Trace) {
        if self.sender.try_send(trace).is_err() {
            self.metrics.dropped(Dropped::Full, 1);
        }
    }
}

/// What waits to be exported; empty and closed where there is no collector.
pub struct Queue {
    inlet: Option<Inlet>,
    /// Until the exporter takes it.
    exporting: Mutex<Option<Exporting>>,
}

impl Queue {
    /// As the configuration says.
    #[must_use]
    pub fn new(settings: &config::Traces, metrics: &Metrics) -> Self {
        let Some(collector) = &settings.collector else {
            return Self { inlet: None, exporting: Mutex::new(None) };
        };
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let exporting = Exporting {
            waiting,
            collector: collector.clone(),
            resource: resource(settings),
            metrics: metrics.traces.clone(),
            examples: metrics.examples(),
            lookups: metrics.shard(0).pool(LOOKUPS),
        };
        let inlet = Inlet { sender, metrics: metrics.traces.clone() };
        Self { inlet: Some(inlet), exporting: Mutex::new(Some(exporting)) }
    }

    /// Where traces are handed in; `None`: none are recorded.
    #[must_use]
    pub fn inlet(&self) -> Option<Inlet> {
        self.inlet.clone()
    }

    /// How many wait for an exporter that was not started.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let exporting = self.exporting.lock().unwrap_or_else(PoisonError::into_inner);
        exporting.as_ref().map_or(0, |exporting| exporting.waiting.len())
    }

    /// Whoever would take them to the collector, if an exporter were started.
    #[cfg(test)]
    pub(super) fn courier(&self) -> Option<Courier> {
        let exporting = self.exporting.lock().unwrap_or_else(PoisonError::into_inner);
        exporting.as_ref()?.courier().ok()
    }

    /// Starts what exports them, on a thread among `runtimes`; nothing where there is no collector, or it was started
    /// before.
    ///
    /// # Errors
    /// Where the system refuses a thread or a runtime.
    pub fn start(&self, runtimes: &Runtimes) -> std::io::Result<Exporter> {
        let exporting = self.exporting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let leave = CancellationToken::new();
        let (left, is_left) = oneshot::channel();
        if let Some(exporting) = exporting {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtimes.add("traces", runtime.handle().clone());
            let leave = leave.clone();
            std::thread::Builder::new().name("traces".to_owned()).spawn(move || {
                runtime.block_on(exporting.run(leave));
                // A lookup that hangs must not hold up the process.
                runtime.shutdown_background();
                let _ = left.send(());
            })?;
        }
        Ok(Exporter { leave, is_left })
    }
}

/// The exporter's thread.
pub struct Exporter {
    leave: CancellationToken,
    is_left: oneshot::Receiver<()>,
}

impl Exporter {
    /// Waits until what is left has been exported, or for less than a second. To be called when no request is
    /// under way any more.
    pub async fn finish(self) {
        self.leave.cancel();
        let _ = tokio::time::timeout(LEAVE, self.is_left).await;
    }
}

/// What the thread works with.
struct Exporting {
    waiting: mpsc::Receiver<Trace>,
    collector: config::Collector,
    resource: Resource,
    metrics: TraceMetrics,
    examples: Examples,
    lookups: PoolMetrics,
}

impl Exporting {
    /// Whoever takes to the collector what waits.
    fn courier(&self) -> Result<Courier, upstream::Error> {
        let collector = Collector::new(&self.collector, self.lookups.clone())?;
        let Self { resource, metrics, examples, .. } = self;
        let (resource, metrics, examples) = (resource.clone(), metrics.clone(), examples.clone());
        Ok(Courier { collector, resource, metrics, examples, well: None, bytes: 0 })
    }

    async fn run(mut self, leave: CancellationToken) {
        let mut courier = match self.courier() {
            Ok(courier) => courier,
            // It was judged when the configuration was loaded; what has changed since is told here.
            Err(error) => {
                tracing::error!(%error, "traces cannot be exported");
                return;
            }
        };
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while leave.run_until_cancelled(gather(&mut self.waiting, &mut batch)).await == Some(true) {
            let goes_on = courier.deliver_or_leave(&batch, &leave).await;
            batch.clear();
            if !goes_on {
                break;
            }
        }
        self.waiting.close();
        courier.deliver_last(batch, &mut self.waiting, Instant::now() + LAST).await;
    }
}

/// Waits for traces and, for a while, for more of them; whether there will be any. It waits for the first alone: who
/// hands in another would have to wake this thread for it, which costs more than all else that is done for a trace.
async fn gather(waiting: &mut mpsc::Receiver<Trace>, batch: &mut Vec<Trace>) -> bool {
    if batch.is_empty() && waiting.recv_many(batch, BATCH_MAX).await == 0 {
        return false;
    }
    let until = Instant::now() + GATHER;
    loop {
        while batch.len() < BATCH_MAX
            && let Ok(trace) = waiting.try_recv()
        {
            batch.push(trace);
        }
        if batch.len() == BATCH_MAX || waiting.is_closed() || Instant::now() >= until {
            return true;
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// What takes batches to the collector.
pub(super) struct Courier {
    collector: Collector,
    resource: Resource,
    metrics: TraceMetrics,
    /// Who is told which traces the collector has.
    examples: Examples,
    /// How it went last, so that only changes are told.
    well: Option<bool>,
    /// Bytes of the last request: the next one has about as many.
    bytes: usize,
}

impl Courier {
    /// Takes a batch to the collector, as often as it takes within reason. Where the process leaves meanwhile, it
    /// has one more try that is under way, or none; `false` then.
    async fn deliver_or_leave(&mut self, traces: &[Trace], leave: &CancellationToken) -> bool {
        let metrics = self.metrics.clone();
        let mut delivery = pin!(self.deliver(traces));
        if leave.run_until_cancelled(delivery.as_mut()).await.is_some() {
            return true;
        }
        if tokio::time::timeout(LAST, delivery).await.is_err() {
            metrics.dropped(Dropped::Leaving, traces.len());
        }
        false
    }

    async fn deliver(&mut self, traces: &[Trace]) {
        let request = self.encode(traces);
        let give_up = Instant::now() + PATIENCE;
        for retry in 0.. {
            let (after, why) = match self.collector.send(&request).await {
                Said::Again(after, why) => (after, why),
                said => return self.settle(said, traces),
            };
            let pause = PAUSES.delay(retry, fastrand::u64(..)).max(after.unwrap_or_default());
            if Instant::now() + pause >= give_up {
                return self.settle(Said::Again(after, why), traces);
            }
            self.tell(false, &why);
            tokio::time::sleep(pause).await;
        }
    }

    /// What waits when the process leaves: each batch has one try, while there is time.
    async fn deliver_last(
        &mut self,
        mut batch: Vec<Trace>,
        waiting: &mut mpsc::Receiver<Trace>,
        leave_by: Instant,
    ) {
        loop {
            while batch.len() < BATCH_MAX
                && let Ok(trace) = waiting.try_recv()
            {
                batch.push(trace);
            }
            if batch.is_empty() {
                return;
            }
            let request = self.encode(&batch);
            match tokio::time::timeout_at(leave_by, self.collector.send(&request)).await {
                Ok(Said::Again(..)) | Err(_) => break,
                Ok(said) => self.settle(said, &batch),
            }
            batch.clear();
        }
        // Whatever follows would end the same.
        self.metrics.dropped(Dropped::Leaving, batch.len() + waiting.len());
    }

    fn encode(&mut self, traces: &[Trace]) -> Bytes {
        let request = otlp::request(&self.resource, traces.iter().flat_map(tree::spans), self.bytes);
        self.bytes = request.len();
        request.into()
    }

    /// Counts and tells what became of traces.
    pub(super) fn settle(&mut self, said: Said, traces: &[Trace]) {
        match said {
            Said::Taken(partial) => {
                self.metrics.exported(traces.len());
                // Which ones it rejected it does not say, and no figure is to lead to one of those.
                if partial.as_ref().is_none_or(|partial| partial.rejected == 0) {
                    examples::tell(traces, &self.examples);
                }
                self.tell(true, "");
                if let Some(partial) = partial {
                    let (rejected, message) = (partial.rejected, partial.message);
                    tracing::warn!(rejected, message, "the collector did not take all spans");
                }
            }
            Said::Again(_, why) => {
                self.metrics.dropped(Dropped::Unreachable, traces.len());
                self.tell(false, &why);
            }
            Said::Refused(why) => {
                self.metrics.dropped(Dropped::Refused, traces.len());
                self.tell(false, &why);
            }
        }
    }

    /// Tells how it goes, where that has changed.
    fn tell(&mut self, well: bool, why: &str) {
        match (self.well.replace(well), well) {
            (Some(false), true) => tracing::info!("the collector takes traces again"),
            (Some(false), false) => tracing::debug!(why, "the collector does not take traces"),
            (_, false) => tracing::warn!(why, "the collector does not take traces; they are dropped in time"),
            (_, true) => {}
        }
    }
}

/// What describes this service.
fn resource(settings: &config::Traces) -> Resource {
    let instance = format!("{:032x}", fastrand::u128(..));
    let own = [
        ("service.name", settings.service_name.as_str()),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", &instance),
        ("telemetry.sdk.name", "tidegate"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let own = own.into_iter().filter(|(key, _)| !settings.attributes.contains_key(*key));
    let given = settings.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Resource::new(own.chain(given))
}
