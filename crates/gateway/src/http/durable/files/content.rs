//! `GET /v1/files/{id}/content`: what stands in a file, a piece at a time. Of an output, that is a batch's lines.

use super::own;
use crate::durable::{Open, fault};
use crate::http::body::Body;
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use ::http::Response;
use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use bytes::Bytes;
use std::sync::Arc;
use store::files::{File, Files};
use tokio::sync::mpsc;
use work::batches::{FileKind, Lines, file_kind};

/// Pieces that wait for a caller who reads slowly, beside the one that is being read.
const WAITING_MAX: usize = 1;

/// Streams a file.
pub(super) async fn stream(asked: &Asked, id: &str) -> Answered {
    let place = asked.durable().stream().ok_or_else(fault::busy)?;
    let (id, tenant) = (id.to_owned(), asked.tenant());
    let found = asked.durable().ask(move |open| async move {
        let file = own(&open, &id, &tenant).await?;
        Ok((Content::of(&open, &file), file))
    });
    let (mut content, file) = found.await?;
    let (sender, frames) = mpsc::channel(WAITING_MAX);
    asked.durable().spawn(async move {
        let _place = place;
        if let Err(error) = send(&mut content, &sender).await {
            // It has fewer bytes than were announced, so that nobody takes it for whole.
            tracing::warn!(%error, "a file cannot be read to its end");
        }
    })?;
    let mut response = Response::new(Body::events(frames));
    *response.headers_mut() = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (CONTENT_LENGTH, HeaderValue::from(file.bytes)),
    ]);
    Ok(response)
}

/// Sends all that stands in a file to whoever listens.
async fn send(content: &mut Content, listener: &mpsc::Sender<Bytes>) -> store::Result<()> {
    while let Some(piece) = content.piece().await? {
        if listener.send(Bytes::from(piece)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// What stands in a file.
enum Content {
    Pieces { files: Arc<dyn Files>, id: String, next: u32 },
    Lines(Lines),
}

impl Content {
    fn of(open: &Open, file: &File) -> Self {
        match file_kind(&file.id) {
            FileKind::Lines { batch, good } => Self::Lines(open.batches.lines(&batch, good)),
            FileKind::Brought => {
                let (files, id) = (Arc::clone(&open.store.files), file.id.clone());
                Self::Pieces { files, id, next: 0 }
            }
        }
    }

    /// The next piece; `None` after the last.
    async fn piece(&mut self) -> store::Result<Option<Vec<u8>>> {
        match self {
            Self::Lines(lines) => lines.piece().await,
            Self::Pieces { files, id, next } => {
                let piece = files.read(id, *next).await?;
                *next += 1;
                Ok(piece)
            }
        }
    }
}
