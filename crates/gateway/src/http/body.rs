//! The body of an answer to a caller: bytes at hand, or a provider's stream relayed.

use crate::listener::watch::Underway;
use crate::recorder::Record;
use crate::relay::Relayed;
use crate::remember::ride::Ride;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use smallvec::SmallVec;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// What a caller is sent. What must end with it travels in it: the mark that its connection is busy
/// and, of a stream, the record and the provider's connection.
pub struct Body {
    kind: Kind,
    // Held only to be dropped with the body.
    _underway: Option<Underway>,
}

enum Kind {
    Whole(Bytes),
    /// Pieces at hand, and how many bytes of them are left.
    Pieces(SmallVec<[Bytes; 2]>, u64),
    Stream(Box<Relayed>, Box<Record>),
    Ride(Box<Ride>, Box<Record>),
    /// Events of our own, until their sender is gone.
    Events(mpsc::Receiver<Bytes>),
}

impl Body {
    /// Bytes at hand.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Whole(bytes.into()), _underway: None }
    }

    /// Bytes at hand, in pieces.
    pub fn pieces(mut pieces: SmallVec<[Bytes; 2]>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        pieces.reverse();
        Self { kind: Kind::Pieces(pieces, left), _underway: None }
    }

    /// A seat on a flight; the record closes with it.
    pub fn ride(ride: Box<Ride>, record: Box<Record>) -> Self {
        Self { kind: Kind::Ride(ride, record), _underway: None }
    }

    /// Events of our own, as they are sent.
    pub fn events(frames: mpsc::Receiver<Bytes>) -> Self {
        Self { kind: Kind::Events(frames), _underway: None }
    }

    /// A provider's stream; the record closes with it.
    pub fn stream(relayed: Box<Relayed>, record: Box<Record>) -> Self {
        Self { kind: Kind::Stream(relayed, record), _underway: None }
    }

    /// All of it, for one who is no connection; `None` of a stream, which ends here.
    pub fn into_whole(self) -> Option<Bytes> {
        match self.kind {
            Kind::Whole(bytes) => Some(bytes),
            Kind::Pieces(mut pieces, _) if pieces.len() <= 1 => Some(pieces.pop().unwrap_or_default()),
            Kind::Pieces(pieces, _) => Some(pieces.iter().rev().flatten().copied().collect()),
            Kind::Stream(..) | Kind::Ride(..) | Kind::Events(_) => None,
        }
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
            Kind::Ride(ride, record) => {
                ride.poll_next(cx, record).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Events(frames) => frames.poll_recv(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Pieces(pieces, left) => Poll::Ready(pieces.pop().map(|piece| {
                *left -= piece.len() as u64;
                Ok(Frame::data(piece))
            })),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Stream(relayed, _) => relayed.is_end(),
            Kind::Ride(ride, _) => ride.is_end(),
            Kind::Events(_) => false,
            Kind::Pieces(pieces, _) => pieces.is_empty(),
            Kind::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Stream(..) | Kind::Ride(..) | Kind::Events(_) => SizeHint::default(),
            Kind::Pieces(_, left) => SizeHint::with_exact(*left),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
