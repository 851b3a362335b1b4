//! The alerts' thread: a look at every rule once a second, and whoever is told. Nothing that a receiver does reaches
//! another thread.

use crate::gateway::Gateway;
use measure::moment::Moment;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often rules are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Starts the thread, which runs until `end`.
///
/// # Errors
/// Where the system refuses a thread or a runtime.
pub fn start(gateway: &Arc<Gateway>, end: CancellationToken) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Refused where it was started before, which nobody does.
    let _ = gateway.alerting.runtime.set(runtime.handle().clone());
    let gateway = Arc::clone(gateway);
    std::thread::Builder::new().name("alerts".to_owned()).spawn(move || {
        runtime.block_on(live(gateway, end));
        runtime.shutdown_background();
    })
}

async fn live(gateway: Arc<Gateway>, end: CancellationToken) {
    gateway.runtimes.join("alerts");
    gateway.alerting.remember(&gateway);
    let mut due = tokio::time::interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = async {
        loop {
            due.tick().await;
            gateway.alerting.look(&gateway, Moment::now());
        }
    };
    end.run_until_cancelled(watch).await;
    gateway.alerting.leave();
}
