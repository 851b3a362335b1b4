//! The body of a provider's answer, wherever it comes from, and the connection it came on.

use super::pool::{Loan, Shared};
use super::{Error, describe};
use crate::spurious;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// How long a connection may take to end an answer that is complete.
const SETTLE: Duration = Duration::from_secs(1);

/// Reading it to the end gives its connection back for the next request; dropping it before
/// closes the connection, which is how a provider learns that nobody listens any more.
pub struct Answer(Source);

enum Source {
    Http { body: Incoming, lease: Lease },
    Sim(Box<rig::sim::Body>),
}

/// The connection that an answer comes on.
pub(super) enum Lease {
    /// HTTP/1.1: nobody else's until the answer has ended.
    Own(Loan),
    /// HTTP/2: counted among the requests on it until the answer has ended.
    Shared { _held: Shared },
    /// Given back.
    Ended,
}

impl Answer {
    pub(super) fn http(body: Incoming, lease: Lease) -> Self {
        let mut answer = Self(Source::Http { body, lease });
        answer.give_back_at_end();
        answer
    }

    pub(super) fn sim(body: rig::sim::Body) -> Self {
        Self(Source::Sim(Box::new(body)))
    }

    /// The next bytes; `None` at the end that the provider itself marked.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let frame = match &mut self.0 {
                Source::Http { body, .. } => {
                    let frame = ready!(spurious::poll_frame(body, cx));
                    frame.map(|frame| frame.map_err(|error| Error::Cut(describe(&error))))
                }
                Source::Sim(body) => {
                    let frame = ready!(Pin::new(&mut **body).poll_frame(cx));
                    frame.map(|frame| frame.map_err(|reset| Error::Cut(reset.to_string())))
                }
            };
            match frame {
                None => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    // Trailers carry nothing that this protocol knows.
                    let Ok(data) = frame.into_data() else { continue };
                    self.give_back_at_end();
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }

    /// All of it; without a copy where it came in one piece.
    ///
    /// # Errors
    /// [`Error::Cut`] where it broke off, [`Error::TooLarge`] beyond `bytes_max`.
    pub async fn collect(mut self, bytes_max: usize) -> Result<Bytes, Error> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() > bytes_max {
            return Err(Error::TooLarge(bytes_max));
        }
        if self.is_end() {
            return Ok(first);
        }
        let mut whole =
            BytesMut::with_capacity((first.len() + self.expected()).max(first.len() * 2).min(bytes_max));
        whole.extend_from_slice(&first);
        while let Some(chunk) = self.next().await.transpose()? {
            if whole.len() + chunk.len() > bytes_max {
                return Err(Error::TooLarge(bytes_max));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Lets go of an answer of which nothing more is wanted, although its end may not have come yet.
    /// The connection is worth a moment's wait; the caller is not made to wait for it.
    pub fn settle(mut self, cx: &mut Context<'_>, tasks: &TaskTracker) {
        if matches!(self.poll_chunk(cx), Poll::Pending) && self.is_leased() {
            tasks.spawn(async move {
                let rest = async { while let Some(Ok(_)) = self.next().await {} };
                // Beyond that the connection is closed.
                let _ = tokio::time::timeout(SETTLE, rest).await;
            });
        }
    }

    async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn is_leased(&self) -> bool {
        matches!(&self.0, Source::Http { lease: Lease::Own(_), .. })
    }

    fn is_end(&self) -> bool {
        match &self.0 {
            Source::Http { body, .. } => body.is_end_stream(),
            Source::Sim(body) => body.is_end_stream(),
        }
    }

    /// What is still to come as far as the provider has said, up to a mebibyte: a length that a
    /// stranger announces is not memory to be set aside.
    fn expected(&self) -> usize {
        let announced = match &self.0 {
            Source::Http { body, .. } => body.size_hint().lower(),
            Source::Sim(_) => 0,
        };
        usize::try_from(announced).unwrap_or(usize::MAX).min(1 << 20)
    }

    fn give_back_at_end(&mut self) {
        if self.is_end() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Source::Http { lease, .. } = &mut self.0
            && let Lease::Own(loan) = std::mem::replace(lease, Lease::Ended)
        {
            loan.give_back(Instant::now());
        }
    }
}
