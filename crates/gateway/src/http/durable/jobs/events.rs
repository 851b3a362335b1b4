//! `GET /v1/jobs/{id}/events`: a job as it changes, by server-sent events, until it is over.
//!
//! Each is `event: state` where its state is new, or `event: progress`, with the job as `data`. The stream ends after
//! the last state; it ends before where the gateway leaves or `server.timeouts.total` passes, and is then asked for
//! again: it begins with how the job stands.

use super::{own, read};
use crate::durable::Open;
use crate::durable::api::View;
use crate::durable::fault;
use crate::http::body::Body;
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::head;
use bytes::Bytes;
use http::Response;
use http::header::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use store::jobs::{Job, JobId, State};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::sse::Encoder;
use work::watch::Watch;

/// How often a stream that has nothing to tell shows that it lives.
const PING: Duration = Duration::from_secs(15);
/// Events that wait for a caller who reads slowly; what changes meanwhile is told as one change.
const WAITING_MAX: usize = 4;

/// Streams a job's changes.
pub(super) async fn stream(asked: &Asked, id: &str) -> Answered {
    let (id, tenant) = (read(id)?, asked.tenant());
    let place = asked.durable().stream().ok_or_else(fault::busy)?;
    let leaving = asked.durable().leaving().clone();
    let whose = tenant.clone();
    let (open, watch) = asked
        .durable()
        .ask(move |open| async move {
            own(&open, id, &whose).await?;
            let watch = open.jobs.watch(id, Some(&whose));
            Ok((open, watch))
        })
        .await?;
    let (sender, frames) = mpsc::channel(WAITING_MAX);
    let telling = Telling { open, id, leaving, sender };
    asked.durable().spawn(async move {
        let _place = place;
        telling.tell(watch).await;
    })?;
    let mut headers = HeaderMap::new();
    head::stream(&mut headers);
    let mut response = Response::new(Body::events(frames));
    *response.headers_mut() = headers;
    Ok(response)
}

struct Telling {
    open: Arc<Open>,
    id: JobId,
    leaving: CancellationToken,
    sender: mpsc::Sender<Bytes>,
}

impl Telling {
    /// Until the job is over, nobody listens, or the gateway leaves.
    async fn tell(self, mut watch: Watch) {
        let mut seen = None;
        loop {
            let frame = tokio::select! {
                biased;
                () = self.sender.closed() => return,
                () = self.leaving.cancelled() => return,
                next = watch.next() => match next {
                    Ok(Some(job)) => self.frame(&job, seen.replace(job.state)).await,
                    Ok(None) => return,
                    Err(error) => {
                        tracing::warn!(%error, "a job's changes cannot be told any more");
                        return;
                    }
                },
                () = tokio::time::sleep(PING) => Encoder::new().comment("ping").finish(),
            };
            if self.sender.send(frame).await.is_err() {
                return;
            }
        }
    }

    async fn frame(&self, job: &Job, before: Option<State>) -> Bytes {
        let name = if before == Some(job.state) { "progress" } else { "state" };
        let faults = if job.state.is_final() { self.open.jobs.faults(self.id).await } else { Ok(Vec::new()) };
        let faults = faults.unwrap_or_default();
        let data = serde_json::to_string(&View::whole(job, &faults)).unwrap_or_default();
        Encoder::new().event(Some(name), &data).finish()
    }
}
