//! What goes out on a connection: the simulator's bodies and the answers of
//! the control paths.

use super::connection::Link;
use crate::sim::{Body, Reset};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A response's body.
pub(super) enum Reply {
    Simulated {
        body: Body,
        link: Arc<Link>,
        /// Whether the simulator broke the connection.
        broken: bool,
    },
    /// `None` once sent.
    Control(Option<Bytes>),
}

impl Reply {
    pub(super) fn simulated(body: Body, link: Arc<Link>) -> Self {
        Self::Simulated { body, link, broken: false }
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        let (body, link, broken) = match self.get_mut() {
            Self::Simulated { body, link, broken } => (body, link, broken),
            Self::Control(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        };
        if !*broken {
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Err(Reset)) => *broken = true,
                frame => return Poll::Ready(frame),
            }
        }
        // An error drops the connection and with it what hyper has not written
        // yet, but the bytes before the break have to arrive. Told to wait,
        // hyper writes and flushes them.
        ready!(link.poll_flushed(cx));
        link.reset();
        Poll::Ready(Some(Err(Reset)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Simulated { body, .. } => body.is_end_stream(),
            Self::Control(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Simulated { body, .. } => body.size_hint(),
            Self::Control(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
