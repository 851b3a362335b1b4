//! `POST /v1/batch`: up to a hundred requests in one body, each answered as if it had come alone, and all of them
//! in one answer, in their order.
//!
//! ```text
//! envelope ─► read and checked whole ─► items, a few at once ─► the pipeline, each ─► one line each
//! ```
//!
//! What is wrong with the envelope refuses it before anything is begun, with the place. What goes wrong with an
//! item is that item's own answer. Nothing is kept: the caller waits, and one who leaves ends it all. What must
//! outlive its caller is a job, or a batch of `/v1/batches`.

mod envelope;
mod sheet;

use super::body::Body;
use super::{compress, error, head, read};
use crate::alarm::Alarm;
use crate::auth::Caller;
use crate::config::Priority;
use crate::desk::{Answer, Commission};
use crate::gateway::Shared;
use crate::pipeline;
use bytes::Bytes;
use envelope::{Envelope, Item};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use measure::stopwatch::Stopwatch;
use sheet::Sheet;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;
use wire::failure::Failure;

/// Bytes of all answers together; an item whose answer does not fit any more is a 502.
const ANSWERS_BYTES_MAX: usize = 32 << 20;

/// Answers one inline batch. Never fails: a failure is an answer too.
pub(super) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut round =
        Round { stopwatch: Stopwatch::start(Instant::now()), id: head::request_id(&parts.headers), tries: 0 };
    let answered = round.answer(&shared, &parts.headers, body).await;

    let mut headers = HeaderMap::with_capacity(8);
    let answered = match answered {
        Ok(mut lines) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let compress_above = shared.snapshot().server.compress_above;
            compress::answer(compress_above, &parts.headers, &mut headers, &mut lines).await;
            Ok(lines)
        }
        Err(failure) => Err(failure),
    };
    let (watch, now) = (&round.stopwatch, Instant::now());
    head::timings(&mut headers, round.tries, watch.overhead(now), watch.total(now));
    head::identify(&mut headers, round.id);
    match answered {
        Ok(lines) => {
            let mut response = Response::new(Body::whole(lines));
            *response.headers_mut() = headers;
            response
        }
        Err(failure) => error::respond(headers, &failure, false),
    }
}

/// One batch on its way.
struct Round {
    /// What its items take counts as others' time; what of that is ours is counted with each of them.
    stopwatch: Stopwatch,
    id: HeaderValue,
    /// Tries made for all items.
    tries: u32,
}

impl Round {
    async fn answer(
        &mut self,
        shared: &Arc<Shared>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Bytes, Failure> {
        let snapshot = shared.snapshot();
        let caller = snapshot.callers.identify(headers)?;
        let timeout = head::timeout(headers)?;
        head::priority(headers, caller.priority())?;
        let (arrived, mut alarm) = (self.stopwatch.started(), Alarm::default());
        let body = read::whole(headers, body, &snapshot.server, arrived, &mut alarm).await?;
        let _held = shared.gateway.pressure.hold(body.len())?;
        let envelope = Envelope::read(&body)?;
        let deadline = timeout.map(|timeout| arrived + timeout);

        let mut sheet = Sheet::of(&envelope);
        self.stopwatch.upstream_begins(Instant::now());
        let items = envelope.items.into_iter().enumerate();
        let items =
            items.map(|(index, item)| (index, self.commission(index, item, &caller, headers, deadline)));
        let mut tries = 0;
        work_off(shared, items, envelope.concurrency, |index, answer| {
            tries += head::attempts(&answer.headers);
            sheet.enter(index, answer);
        })
        .await;
        self.tries = tries;
        self.stopwatch.upstream_ends(Instant::now());
        Ok(sheet.into_bytes())
    }

    /// An item as a request of its own, in the caller's name. It waits behind everybody who waits for one answer,
    /// unless the caller says otherwise.
    fn commission(
        &self,
        index: usize,
        item: Item,
        caller: &Caller,
        headers: &HeaderMap,
        deadline: Option<Instant>,
    ) -> Commission {
        let commission = Commission::new(item.operation, item.body, caller.principal())
            .with_headers_of(headers)
            .by_default(Priority::Batch);
        let mut commission = Commission { deadline, ..commission };
        head::identify(&mut commission.headers, head::part_of(&self.id, index));
        commission
    }
}

/// Answers `items`, so many at once, on this worker. Dropping it ends what is under way.
async fn work_off(
    shared: &Arc<Shared>,
    mut items: impl Iterator<Item = (usize, Commission)>,
    at_once: usize,
    mut enter: impl FnMut(usize, Answer),
) {
    let mut bytes_left = ANSWERS_BYTES_MAX;
    // A set rather than one future of all: an item that falls over takes no other with it.
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < at_once
            && let Some((index, mut commission)) = items.next()
        {
            commission.answer_bytes_max = commission.answer_bytes_max.min(bytes_left);
            let shared = Arc::clone(shared);
            under_way.spawn(async move { (index, pipeline::serve_own(&shared, &commission).await) });
        }
        match under_way.join_next().await {
            None => return,
            Some(Ok((index, answer))) => {
                let answer = answer.within(bytes_left);
                bytes_left -= answer.body.len().min(bytes_left);
                enter(index, answer);
            }
            Some(Err(fault)) => tracing::error!(%fault, "an item of a batch fell over"),
        }
    }
}
