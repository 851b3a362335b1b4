//! The threads that work beside requests: what lasts, who looks, who exports traces, who calls for somebody. None of
//! them is waited for by a request.

use crate::gateway::Gateway;
use crate::trace::Exporter;
use crate::{alerts, durable, observe};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

/// All of them, while they run.
pub(super) struct Beside {
    lasting: durable::Running,
    observing: observe::Running,
    tracing: Exporter,
    alerting: JoinHandle<()>,
    alerting_end: CancellationToken,
}

impl Beside {
    /// Starts them. `abort`: callers are waited for no longer.
    ///
    /// # Errors
    /// Where the system refuses a thread or a runtime.
    pub(super) fn start(gateway: &Arc<Gateway>, abort: &CancellationToken) -> io::Result<Self> {
        let alerting_end = CancellationToken::new();
        Ok(Self {
            lasting: durable::start(gateway, abort)?,
            observing: observe::start(gateway)?,
            tracing: gateway.traces.start(&gateway.runtimes)?,
            alerting: alerts::start(gateway, alerting_end.clone())?,
            alerting_end,
        })
    }

    /// Ends them, once no caller's request is under way any more: first the work that makes requests of its own, then
    /// those who tell of them.
    pub(super) async fn finish(self) {
        self.lasting.finish().await;
        self.alerting_end.cancel();
        self.tracing.finish().await;
        let (alerting, observing) = (self.alerting, self.observing);
        // A thread that has panicked has nothing more to tell.
        let ends = move || {
            let _ = alerting.join();
            observing.finish();
        };
        let _ = tokio::task::spawn_blocking(ends).await;
    }
}
