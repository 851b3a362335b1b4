//! The body of an outgoing request: a few shared segments, sent with one vectored write and an
//! exact length, so that a spliced body of megabytes is never copied into one piece.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use wire::splice::Spliced;

/// Segments yet to be sent.
#[derive(Debug)]
pub struct Payload {
    segments: SmallVec<[Bytes; 5]>,
    next: usize,
    left: u64,
}

impl Payload {
    /// A payload that shares the memory of `body`, so that another try can be made from it.
    pub fn of(body: &Spliced) -> Self {
        Self { segments: body.segments.clone(), next: 0, left: body.len() as u64 }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.next;
        let Some(segment) = self.segments.get_mut(next) else { return Poll::Ready(None) };
        let segment = std::mem::take(segment);
        self.next += 1;
        self.left -= segment.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(segment))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
