//! Reads a caller's body, once, whole, within its bounds.

use crate::alarm::{Alarm, Late};
use crate::config::Server;
use crate::spurious;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HeaderMap};
use http_body::Body as _;
use hyper::body::Incoming;
use std::pin::pin;
use std::time::Instant;
use wire::failure::{Failure, Kind};

/// Beyond the limit this much more is read and thrown away, so that a caller who sends first and
/// reads afterwards reads the 413 instead of a broken connection.
const DISCARD_MAX: usize = 16 << 20;
/// Memory set aside for a body on the strength of its announced length alone.
const RESERVE_MAX: usize = 1 << 20;

/// Reads all of `body`: without a copy where it came in one piece.
///
/// # Errors
/// 413 beyond the limit, 408 where it takes too long, 415 where it is compressed, 400 where it breaks
/// off or its framing is broken.
pub async fn whole(
    headers: &HeaderMap,
    body: Incoming,
    limits: &Server,
    arrived: Instant,
    alarm: &mut Alarm,
) -> Result<Bytes, Failure> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Failure::new(
            Kind::UnsupportedMediaType,
            "Compressed request bodies are not read: send the body without 'Content-Encoding'.",
        ));
    }
    let (bytes_max, timeout) = (limits.body_bytes_max, limits.timeouts.body);
    let announced = announced(headers);
    match alarm
        .within(arrived + timeout, pin!(read(body, announced, headers.contains_key(EXPECT), bytes_max)))
        .await
    {
        Ok(result) => result,
        Err(Late) => Err(Failure::new(
            Kind::CallerTimeout,
            format!("The request's body did not arrive within {} s.", timeout.as_secs()),
        )),
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read(
    mut body: Incoming,
    announced: Option<usize>,
    asks_first: bool,
    bytes_max: usize,
) -> Result<Bytes, Failure> {
    if announced.is_some_and(|length| length > bytes_max) {
        // One who asks first whether to send it is told no, and sends nothing.
        if !asks_first {
            discard(&mut body).await;
        }
        return Err(too_large(bytes_max));
    }
    let Some(first) = chunk(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > bytes_max {
        discard(&mut body).await;
        return Err(too_large(bytes_max));
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let capacity = announced.unwrap_or(0).min(RESERVE_MAX).max(first.len() * 2);
    let mut whole = BytesMut::with_capacity(capacity);
    whole.extend_from_slice(&first);
    while let Some(chunk) = chunk(&mut body).await? {
        if whole.len() + chunk.len() > bytes_max {
            discard(&mut body).await;
            return Err(too_large(bytes_max));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        match std::future::poll_fn(|cx| spurious::poll_frame(body, cx)).await {
            None => return Ok(None),
            // Trailers say nothing that we read.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_) => continue,
            },
            Some(Err(error)) => {
                return Err(Failure::new(
                    Kind::InvalidRequest,
                    "The request's body could not be read to its end.",
                )
                .with_detail(error.to_string()));
            }
        }
    }
}

/// Reads on and throws away, up to a bound.
pub(super) async fn discard(body: &mut Incoming) {
    let mut discarded = 0;
    while discarded < DISCARD_MAX {
        match chunk(body).await {
            Ok(Some(chunk)) => discarded += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

fn too_large(bytes_max: usize) -> Failure {
    Failure::new(
        Kind::TooLarge,
        format!(
            "The request's body is larger than {bytes_max} bytes, the gateway's 'server.body_bytes_max'."
        ),
    )
    .with_code("request_too_large")
}
