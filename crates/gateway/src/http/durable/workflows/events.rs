//! `GET /v1/workflows/runs/{id}/events`: a run as it changes, by server-sent events, until it is over.
//!
//! The first is `event: run` with the run and all its steps, without their outputs. Then each change is an
//! `event: step` for each step that has changed, and an `event: run` where the run's own state is new; the last is
//! that of its end, with its output. The stream ends before where the gateway leaves or `server.timeouts.total`
//! passes, and is then asked for again.

use super::own;
use crate::durable::workflow::view::{RunView, steps};
use crate::durable::{Open, fault};
use crate::http::body::Body;
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::head;
use bytes::Bytes;
use http::Response;
use http::header::HeaderMap;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use store::runs::{Run, RunState};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::sse::Encoder;
use work::workflow::engine::Watch;
use work::workflow::status::Mark;
use work::workflow::{Definition, Status};

/// How often a stream that has nothing to tell shows that it lives.
const PING: Duration = Duration::from_secs(15);
/// Events that wait for a caller who reads slowly; what changes meanwhile is told as one change.
const WAITING_MAX: usize = 4;

/// Streams a run's changes.
pub(super) async fn stream(asked: &Asked, id: &str) -> Answered {
    let (tenant, id) = (asked.tenant(), id.to_owned());
    let place = asked.durable().stream().ok_or_else(fault::busy)?;
    let leaving = asked.durable().leaving().clone();
    let (open, watch) = asked
        .durable()
        .ask(move |open| async move {
            let run = own(&open, &id, &tenant).await?;
            let watch = open.workflows.watch(&run.id, Some(&tenant));
            Ok((open, watch))
        })
        .await?;
    let (sender, frames) = mpsc::channel(WAITING_MAX);
    let telling = Telling { open, sender, seen: None };
    asked.durable().spawn(async move {
        let _place = place;
        telling.tell(watch, leaving).await;
    })?;
    let mut headers = HeaderMap::new();
    head::stream(&mut headers);
    let mut response = Response::new(Body::events(frames));
    *response.headers_mut() = headers;
    Ok(response)
}

struct Telling {
    open: Arc<Open>,
    sender: mpsc::Sender<Bytes>,
    seen: Option<Seen>,
}

/// What has been told of.
struct Seen {
    state: RunState,
    /// Of each step, in the definition's order.
    steps: Vec<Stand>,
}

/// How a step stands, as far as a change of it is told: its mark, and the items that are done and that failed.
type Stand = (Mark, usize, usize);

impl Telling {
    /// Until the run is over, nobody listens, or the gateway leaves.
    async fn tell(mut self, mut watch: Watch, leaving: CancellationToken) {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.sender.closed() => return,
                () = leaving.cancelled() => return,
                next = watch.next() => match next {
                    Ok(Some(run)) => self.frames(&run).await,
                    Ok(None) => return,
                    Err(error) => Err(error),
                },
                () = tokio::time::sleep(PING) => Ok(Encoder::new().comment("ping").finish()),
            };
            match frame {
                Ok(frame) if frame.is_empty() => {}
                Ok(frame) => {
                    if self.sender.send(frame).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a run's changes cannot be told any more");
                    return;
                }
            }
        }
    }

    /// What has changed.
    async fn frames(&mut self, run: &Run) -> store::Result<Bytes> {
        let definition = self.open.workflows.definition(&run.definition).ok();
        let now = definition.as_ref().map(|definition| stands(run, definition)).unwrap_or_default();
        let before = self.seen.replace(Seen { state: run.state, steps: now.clone() });
        let mut encoder = Encoder::new();
        let changed: Option<Vec<usize>> = before.as_ref().map(|before| {
            let pairs = now.iter().zip(before.steps.iter().map(Some).chain(std::iter::repeat(None)));
            pairs
                .enumerate()
                .filter(|(_, (now, before))| Some(*now) != *before)
                .map(|(place, _)| place)
                .collect()
        });
        let views = match &definition {
            Some(definition) => {
                let runs = &*self.open.store.runs;
                steps(runs, run, definition, changed.as_deref(), false).await?
            }
            None => Vec::new(),
        };
        if changed.is_none() {
            let view = RunView::brief(run).with_outcome(run).with_steps(views);
            return Ok(encoder.event(Some("run"), &text(&view)).finish());
        }
        for view in &views {
            encoder = encoder.event(Some("step"), &text(view));
        }
        if before.is_some_and(|before| before.state != run.state) {
            encoder = encoder.event(Some("run"), &text(&RunView::brief(run).with_outcome(run)));
        }
        Ok(encoder.finish())
    }
}

fn stands(run: &Run, definition: &Definition) -> Vec<Stand> {
    let Some(status) = Status::parse(&run.status, definition) else { return Vec::new() };
    let stand = |place| {
        let (done, failed) = status.spread(place).map_or((0, 0), |spread| (spread.done, spread.failed));
        (status.mark(place), done, failed)
    };
    (0..definition.steps().len()).map(stand).collect()
}

fn text(view: &impl Serialize) -> String {
    serde_json::to_string(view).unwrap_or_default()
}
