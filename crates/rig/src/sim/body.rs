//! A reply's body: pulled by whoever reads it. Nothing is produced while
//! nobody asks, and letting go of it is a caller that left.

use super::Reset;
use super::log::{Outcome, Ticket};
use super::paced::Paced;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The body of a simulated reply. Its error is the connection breaking.
pub struct Body {
    content: Content,
    ticket: Ticket,
    /// What the log says once all of it was handed out.
    outcome: Outcome,
}

pub(crate) enum Content {
    /// In one piece, at once: no timer, no box.
    Whole(Bytes),
    Paced(Box<Paced>),
    /// All handed out.
    Over,
}

impl Body {
    pub(crate) fn new(content: Content, ticket: Ticket, outcome: Outcome) -> Self {
        Self { content, ticket, outcome }
    }

    fn end(&mut self, outcome: Outcome) {
        self.content = Content::Over;
        self.ticket.end(outcome);
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        let body = self.get_mut();
        let bytes = match &mut body.content {
            Content::Over => return Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                body.ticket.frame();
                body.end(body.outcome);
                bytes
            }
            Content::Paced(paced) => match ready!(paced.poll_next(cx)) {
                Some(Ok(bytes)) => {
                    if paced.between_frames() {
                        body.ticket.frame();
                    }
                    // The end is known with the last bytes: nobody may ask again.
                    if paced.is_over() {
                        body.end(body.outcome);
                    }
                    bytes
                }
                None => {
                    body.end(body.outcome);
                    return Poll::Ready(None);
                }
                Some(Err(reset)) => {
                    body.end(Outcome::Reset);
                    return Poll::Ready(Some(Err(reset)));
                }
            },
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Over)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Over => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Paced(paced) => paced.bytes_left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
