//! The form in which a file is brought (RFC 7578), sent while it is made.

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use work::batches::Piece;

/// What stands between the parts: too long to come about by chance.
const EDGE_LEN: usize = 32;

/// A form with a purpose and a file.
pub(super) struct Form {
    edge: String,
    head: Option<Bytes>,
    pieces: mpsc::Receiver<Piece>,
    is_over: bool,
}

/// The file has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was to be sent could not be made")]
pub(super) struct Torn;

impl Form {
    /// A file of this name, for a batch.
    pub(super) fn new(name: &str, pieces: mpsc::Receiver<Piece>) -> Self {
        let edge: String = (0..EDGE_LEN).map(|_| fastrand::alphanumeric()).collect();
        let head = format!(
            "--{edge}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --{edge}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: application/jsonl\r\n\r\n"
        );
        Self { edge, head: Some(head.into()), pieces, is_over: false }
    }

    /// What the request's head says of it.
    pub(super) fn kind(&self) -> HeaderValue {
        let kind = format!("multipart/form-data; boundary={}", self.edge);
        // Letters and digits: always a header's value.
        HeaderValue::try_from(kind).unwrap_or(HeaderValue::from_static("multipart/form-data"))
    }
}

impl Body for Form {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        let form = self.get_mut();
        if form.is_over {
            return Poll::Ready(None);
        }
        if let Some(head) = form.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        let frame = match ready!(form.pieces.poll_recv(cx)) {
            Some(Piece::Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            Some(Piece::End) => Ok(Frame::data(format!("\r\n--{}--\r\n", form.edge).into())),
            None => Err(Torn),
        };
        form.is_over = true;
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Form, Torn};
    use http_body_util::{BodyExt, Collected};
    use tokio::sync::mpsc;
    use work::batches::Piece;

    #[tokio::test]
    async fn a_form_is_whole_or_torn() {
        let form = async |pieces: &[Piece]| {
            let (sender, receiver) = mpsc::channel(9);
            for piece in pieces {
                sender.send(piece.clone()).await.unwrap();
            }
            drop(sender);
            let form = Form::new("in.jsonl", receiver);
            let edge = form.edge.clone();
            (form.collect().await.map(Collected::to_bytes), edge)
        };
        let some = |text: &str| Piece::Some(text.as_bytes().to_vec());
        let (whole, edge) = form(&[some("{}\n"), some("{}\n"), Piece::End]).await;
        let whole = String::from_utf8(whole.unwrap().to_vec()).unwrap();
        assert!(whole.contains("name=\"purpose\"\r\n\r\nbatch\r\n--"), "{whole}");
        assert!(whole.ends_with(&format!("\r\n\r\n{{}}\n{{}}\n\r\n--{edge}--\r\n")), "{whole}");
        assert_eq!(form(&[some("{}\n")]).await.0.unwrap_err(), Torn);
    }
}
