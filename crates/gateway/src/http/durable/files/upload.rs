//! `POST /v1/files`: a file from a caller to the store, of which one piece is held at a time. It is found once it is
//! whole; what was brought of one that breaks off is swept up later.

use super::View;
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::durable::members::refusal;
use crate::http::read;
use ::http::StatusCode;
use ::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use multer::{Constraints, Field, Multipart, SizeLimit};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use store::Time;
use store::files::File;
use wire::failure::{Failure, Kind};
use work::batches::{INPUT_BYTES_MAX, KEPT};

/// Bytes of a piece: large enough that the disk is not asked too often, and small enough to be read for one line.
const PIECE_BYTES: usize = 512 << 10;
/// Bytes of all other parts together, and of what stands between the parts.
const OTHER_BYTES_MAX: u64 = 64 << 10;
/// Characters of a file's name.
const NAME_MAX: usize = 255;
/// How long the rest of a refused file is read for.
const DISCARD_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a file may be kept where its owner says.
const KEEP: std::ops::RangeInclusive<u64> = 3600..=30 * 86_400;

/// What a form says beside the file.
#[derive(Default)]
struct Form {
    purpose: Option<String>,
    anchor: Option<String>,
    seconds: Option<String>,
}

/// Takes a file in; says so once all of it is on disk.
pub(super) async fn upload(asked: &mut Asked) -> Answered {
    let content_type = asked.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|text| multer::parse_boundary(text).ok()).ok_or_else(no_form)?;
    let _held = asked.shared.gateway.pressure.hold(2 * PIECE_BYTES)?;
    let within = asked.snapshot.server.timeouts.total;
    let mut body = asked.stream().ok_or_else(no_form)?;
    let taken = tokio::time::timeout(within, take_in(asked, &mut body, boundary)).await;
    match taken.unwrap_or_else(|_| Err(late(within))) {
        Ok(file) => asked.json(StatusCode::OK, &View::from(&file)).await,
        Err(failure) => {
            // So that a caller who sends first and reads afterwards reads why.
            let _ = tokio::time::timeout(DISCARD_WAIT_MAX, read::discard(&mut body)).await;
            Err(failure)
        }
    }
}

async fn take_in(asked: &Asked, body: &mut Incoming, boundary: String) -> Result<File, Failure> {
    let limits = SizeLimit::new()
        .whole_stream(INPUT_BYTES_MAX + OTHER_BYTES_MAX)
        .for_field("file", INPUT_BYTES_MAX)
        .per_field(OTHER_BYTES_MAX);
    let constraints = Constraints::new().size_limit(limits);
    let slowly = Slowly { body, has_given: false };
    let mut parts = Multipart::with_constraints(BodyDataStream::new(slowly), boundary, constraints);
    let wait_max = asked.snapshot.server.timeouts.body;
    let (mut form, mut file) = (Form::default(), None);
    while let Some(part) = within(wait_max, parts.next_field()).await? {
        match part.name() {
            Some("file") if file.is_none() => file = Some(keep(asked, part, wait_max).await?),
            Some("purpose") => form.purpose = Some(within(wait_max, part.text()).await?),
            Some("expires_after[anchor]") => form.anchor = Some(within(wait_max, part.text()).await?),
            Some("expires_after[seconds]") => form.seconds = Some(within(wait_max, part.text()).await?),
            _ => {}
        }
    }
    let file = form.judge(file.ok_or_else(|| refusal("file", "Missing required parameter: 'file'."))?)?;
    let closed = file.clone();
    asked.durable().ask(move |open| async move { Ok(open.store.files.close(closed).await?) }).await?;
    Ok(file)
}

/// Writes a part to the store as it comes in.
async fn keep(asked: &Asked, mut part: Field<'_>, wait_max: Duration) -> Result<File, Failure> {
    let (mut bytes, mut number, id) = (0, 0, new_id());
    let name = part.file_name().unwrap_or("file").chars().filter(|letter| !letter.is_control());
    let name = name.take(NAME_MAX).collect();
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    while let Some(mut chunk) = within(wait_max, part.chunk()).await? {
        bytes += chunk.len() as u64;
        while piece.len() + chunk.len() >= PIECE_BYTES {
            piece.extend_from_slice(&chunk.split_to(PIECE_BYTES - piece.len()));
            write(asked, &id, number, std::mem::replace(&mut piece, Vec::with_capacity(PIECE_BYTES))).await?;
            number += 1;
        }
        piece.extend_from_slice(&chunk);
    }
    if !piece.is_empty() {
        write(asked, &id, number, piece).await?;
    }
    let (tenant, created) = (asked.tenant(), Time::now());
    Ok(File { id, tenant, purpose: String::new(), name, bytes, created, expires: None })
}

async fn write(asked: &Asked, id: &str, number: u32, piece: Vec<u8>) -> Result<(), Failure> {
    let id = id.to_owned();
    let work = move |open: std::sync::Arc<crate::durable::Open>| async move {
        Ok(open.store.files.write(&id, number, piece, Time::now()).await?)
    };
    asked.durable().ask(work).await
}

impl Form {
    /// The file as the form wants it.
    fn judge(self, file: File) -> Result<File, Failure> {
        let purpose =
            self.purpose.ok_or_else(|| refusal("purpose", "Missing required parameter: 'purpose'."))?;
        if purpose != "batch" {
            let public =
                "Invalid value for 'purpose': the gateway keeps files for batches alone, so it is 'batch'.";
            return Err(refusal("purpose", public).with_code("invalid_value"));
        }
        let keep = match self.seconds {
            None => KEPT,
            Some(text) => {
                let seconds = text.parse().ok().filter(|seconds| KEEP.contains(seconds));
                let public = "Invalid value for 'expires_after[seconds]': expected 3600 to 2592000.";
                Duration::from_secs(seconds.ok_or_else(|| refusal("expires_after[seconds]", public))?)
            }
        };
        if self.anchor.is_some_and(|anchor| anchor != "created_at") {
            let public = "Invalid value for 'expires_after[anchor]': expected 'created_at'.";
            return Err(refusal("expires_after[anchor]", public));
        }
        Ok(File { purpose, expires: Some(file.created.after(keep)), ..file })
    }
}

/// Waits for a caller, but not for ever.
async fn within<T>(wait_max: Duration, next: impl Future<Output = multer::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(wait_max, next).await {
        Ok(Ok(next)) => Ok(next),
        Ok(Err(fault)) => Err(malformed(&fault)),
        Err(_) => Err(late(wait_max)),
    }
}

fn malformed(fault: &multer::Error) -> Failure {
    match fault {
        multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => {
            let public = format!("The file is larger than {} MiB.", INPUT_BYTES_MAX >> 20);
            Failure::new(Kind::TooLarge, public).with_param("file").with_code("file_too_large")
        }
        _ => Failure::new(Kind::InvalidRequest, format!("The form could not be read: {fault}.")),
    }
}

fn no_form() -> Failure {
    let public = "A file is brought as 'multipart/form-data', with the parts 'purpose' and 'file'.";
    Failure::new(Kind::InvalidRequest, public)
}

fn late(wait_max: Duration) -> Failure {
    Failure::new(Kind::CallerTimeout, format!("The file did not arrive within {} s.", wait_max.as_secs()))
}

/// `file-` and 24 letters and digits.
fn new_id() -> String {
    let own = std::iter::repeat_with(fastrand::alphanumeric).take(24);
    "file-".chars().chain(own).collect()
}

/// A body that gives one chunk at a time: whoever reads a form takes all that there is, and would hold a file that
/// comes in faster than it can be written.
struct Slowly<'a> {
    body: &'a mut Incoming,
    has_given: bool,
}

impl http_body::Body for Slowly<'_> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if std::mem::take(&mut self.has_given) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = ready!(Pin::new(&mut *self.body).poll_frame(cx));
        self.has_given = true;
        Poll::Ready(next)
    }
}
