//! The body of an answer to a caller: bytes at hand, or a provider's stream relayed.

use crate::listener::watch::Underway;
use crate::recorder::Record;
use crate::relay::Relayed;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a caller is sent. What must end with it travels in it: the mark that its connection is busy
/// and, of a stream, the record and the provider's connection.
pub struct Body {
    kind: Kind,
    // Held only to be dropped with the body.
    _underway: Option<Underway>,
}

enum Kind {
    Whole(Bytes),
    Stream(Box<Relayed>, Box<Record>),
}

impl Body {
    /// Bytes at hand.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Whole(bytes.into()), _underway: None }
    }

    /// A provider's stream; the record closes with it.
    pub fn stream(relayed: Box<Relayed>, record: Box<Record>) -> Self {
        Self { kind: Kind::Stream(relayed, record), _underway: None }
    }

    /// Ties the connection's mark to this body.
    pub fn holding(mut self, underway: Option<Underway>) -> Self {
        self._underway = underway;
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.kind {
            Kind::Stream(relayed, record) => {
                relayed.poll_next(cx, record).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Stream(relayed, _) => relayed.is_end(),
            Kind::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Stream(..) => SizeHint::default(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
