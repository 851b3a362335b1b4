//! The simulated provider as a server of its own: HTTP/1.1 round
//! [`Sim`], and three paths to steer it.
//!
//! | path | does |
//! | --- | --- |
//! | `POST /sim/script` | appends a JSON list of directives for the requests to come |
//! | `DELETE /sim/script` | empties the list |
//! | `GET /sim/log` | the last 1,000 requests, as a JSON list; with `?after=7` those after the seventh |
//! | `DELETE /sim/log` | empties the log |
//!
//! It is also what benchmarks run against, so that a request costs little
//! more than reading and writing it. It is no gateway: no limits but on a
//! body's size, no keys, no TLS.

mod connection;
mod control;
mod reply;

use crate::sim::Sim;
use std::io;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long replies under way may still take once `drain` is cancelled.
const DRAIN: Duration = Duration::from_secs(5);
/// The pause after a connection that could not be accepted: the usual cause,
/// no file descriptor left, does not go away by trying again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves connections until `drain` is cancelled, then lets replies under way
/// end for five seconds, and drops those that have not.
///
/// Connections are tasks of the runtime that calls it: on a runtime of one
/// thread everything stays on that thread.
///
/// # Errors
/// Never at present: what one connection suffers, and a failed accept, is
/// that connection's own.
pub async fn serve(listener: TcpListener, sim: Sim, drain: CancellationToken) -> io::Result<()> {
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    while let Some(accepted) = drain.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = connection::serve(stream, sim.clone(), drain.clone());
        let abort = abort.clone();
        connections.spawn(async move {
            abort.run_until_cancelled(connection).await;
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        abort.cancel();
        connections.wait().await;
    }
    Ok(())
}
