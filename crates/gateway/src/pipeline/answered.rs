//! What the pipeline answers, and what becomes of it on its way out: its head completed, its body made smaller or
//! handed the record that closes with it.

use crate::http::body::Body;
use crate::http::compress::Coding;
use crate::http::{compress, head};
use crate::recorder::Record;
use crate::relay::Relayed;
use crate::remember::question::Form;
use crate::remember::replay::Replay;
use crate::remember::ride::Ride;
use crate::remember::status::Status;
use ::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use measure::metrics::Outcome;
use std::time::{Duration, Instant};

/// What the pipeline answers.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// The provider's own head.
    pub(super) provider: HeaderMap,
    /// Who answered.
    pub(super) target: HeaderValue,
    /// What the cache had to do with it.
    pub(super) cache: Status,
    /// How old it is, if it was remembered.
    pub(super) age: Option<Duration>,
    /// What it cost, in millionths of a US dollar, where that is known by now.
    pub(super) cost: Option<u64>,
    pub(super) content: Content,
}

/// The body of an answer.
pub(super) enum Content {
    Whole(Bytes, Outcome),
    Stream(Box<Relayed>),
    Replay(Replay),
    Ride(Box<Ride>),
}

impl Content {
    fn is_stream(&self) -> bool {
        match self {
            Self::Whole(..) => false,
            Self::Replay(replay) => replay.form == Form::Stream,
            Self::Stream(_) | Self::Ride(_) => true,
        }
    }
}

impl Answered {
    pub(super) fn remembered(replay: Replay, cache: Status, age: Duration) -> Self {
        Self {
            status: StatusCode::OK,
            provider: HeaderMap::new(),
            target: replay.notes.target.clone(),
            cache,
            age: Some(age),
            // Where it cost something, having it again costs nothing.
            cost: (replay.notes.cost_micro_usd > 0).then_some(0),
            content: Content::Replay(replay),
        }
    }

    /// Begins `headers` and makes a good whole answer smaller for a caller who accepts that; it counts as
    /// our own time.
    pub(super) async fn prepare(
        &mut self,
        compress_above: Option<usize>,
        asked: &HeaderMap,
        headers: &mut HeaderMap,
    ) {
        head::answered(headers, &self.provider, &self.target, self.cache.header());
        if let Some(age) = self.age {
            head::age(headers, age);
        }
        if let Some(cost) = self.cost {
            head::cost(headers, cost);
        }
        match &mut self.content {
            Content::Whole(bytes, Outcome::Ok) => {
                compress::answer(compress_above, asked, headers, bytes).await;
            }
            Content::Replay(replay) if replay.compressed => compress::encoded(headers, Coding::Zstd),
            Content::Replay(replay) if replay.form == Form::Whole => {
                if let [bytes] = replay.segments.as_mut_slice() {
                    compress::answer(compress_above, asked, headers, bytes).await;
                }
            }
            _ => {}
        }
    }

    /// Completes `headers`. A whole answer is over once it is handed over here; a stream takes the
    /// record along, to be closed at its end or its drop.
    pub(super) fn into_response(
        self,
        mut headers: HeaderMap,
        mut record: Box<Record>,
        now: Instant,
    ) -> Response<Body> {
        record.answered(self.status, self.cache, self.content.is_stream(), now);
        let body = match self.content {
            Content::Whole(bytes, outcome) => {
                record.end(outcome, now);
                Body::whole(bytes)
            }
            Content::Replay(replay) => {
                if replay.form == Form::Stream {
                    head::stream(&mut headers);
                }
                record.end(Outcome::Ok, now);
                Body::pieces(replay.segments)
            }
            Content::Stream(relayed) => {
                head::stream(&mut headers);
                Body::stream(relayed, record)
            }
            Content::Ride(ride) => {
                head::stream(&mut headers);
                Body::ride(ride, record)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}
