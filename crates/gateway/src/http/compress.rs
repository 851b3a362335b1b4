//! Answers made smaller for callers who ask for it; and [`Gzip`], for whoever sends much to one who reads that.
//!
//! Whole answers only. An encoder holds bytes back until it has enough of them, and a stream's next token
//! must not wait in it: streams never come here. Nor do errors, which are short, and no body is encoded
//! twice: what has a `content-encoding` keeps it.
//!
//! The head is the same for `HEAD` as for `GET`, length and coding with it, as RFC 9110, section 9.3.2 asks.

mod accept;
mod coding;
mod gzip;

pub use accept::accepts;
pub use accept::negotiate;
pub use coding::Coding;
pub use gzip::Gzip;

use bytes::Bytes;
use coding::SMALL_BYTES_MAX;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use tokio::sync::Semaphore;

/// Large bodies in work at once in this process. Whoever finds no turn free sends its bytes as they are:
/// that costs the network more and the workers, who need the cores, nothing.
const LARGE_AT_ONCE_MAX: usize = 4;

static LARGE_TURNS: Semaphore = Semaphore::const_new(LARGE_AT_ONCE_MAX);

/// Makes the body of a good answer smaller where its caller can read that and it is worth it: longer than
/// `above` (`None`: never) and of a type that compresses. `headers` are the answer's, its `content-type`
/// among them, and are completed.
pub async fn answer(above: Option<usize>, asked: &HeaderMap, headers: &mut HeaderMap, body: &mut Bytes) {
    if let Some(coding) = agree(above, asked, headers, body)
        && let Some(smaller) = whole(coding, body.clone()).await
    {
        headers.insert(CONTENT_ENCODING, coding.header());
        *body = smaller;
    }
}

/// As [`answer`], where nothing can be waited for: a body too large to be encoded in passing stays as it is.
pub fn answer_at_once(above: Option<usize>, asked: &HeaderMap, headers: &mut HeaderMap, body: &mut Bytes) {
    if body.len() <= SMALL_BYTES_MAX
        && let Some(coding) = agree(above, asked, headers, body)
        && let Some(smaller) = encode(coding, body)
    {
        headers.insert(CONTENT_ENCODING, coding.header());
        *body = smaller;
    }
}

/// Says of an answer that it is encoded already, for a caller who reads that.
pub fn encoded(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, coding.header());
    vary(headers);
}

/// Encodes a whole body; `None` where it got no smaller, or where too many large ones are in work. A large
/// one is encoded on a thread of its own, so that no other request of this worker waits for it.
pub async fn whole(coding: Coding, body: Bytes) -> Option<Bytes> {
    if body.len() <= SMALL_BYTES_MAX {
        encode(coding, &body)
    } else {
        large(&LARGE_TURNS, coding, body).await
    }
}

async fn large(turns: &'static Semaphore, coding: Coding, body: Bytes) -> Option<Bytes> {
    let turn = turns.try_acquire().ok()?;
    let encoded = tokio::task::spawn_blocking(move || {
        let encoded = encode(coding, &body);
        // Here and not where it is waited for: a caller who leaves does not end the work.
        drop(turn);
        encoded
    });
    encoded.await.ok()?
}

/// Encodes a body here and now; `None` where it got no smaller.
fn encode(coding: Coding, body: &[u8]) -> Option<Bytes> {
    let encoded = coding.encode(body).ok()?;
    (encoded.len() < body.len()).then(|| encoded.into())
}

/// How to encode the body, if at all. An answer that may be encoded for one caller and not for the next says
/// so to both.
fn agree(above: Option<usize>, asked: &HeaderMap, headers: &mut HeaderMap, body: &Bytes) -> Option<Coding> {
    let is_worth_it = above.is_some_and(|above| body.len() > above)
        && !headers.contains_key(CONTENT_ENCODING)
        && headers.get(CONTENT_TYPE).is_some_and(|media| is_text(media.as_bytes()));
    if !is_worth_it {
        return None;
    }
    vary(headers);
    negotiate(asked)
}

/// Whether a media type is one of text, whole: JSON, metrics (as protobuf they are names for the most part), `text/*`
/// but for events.
fn is_text(media: &[u8]) -> bool {
    let media = media.split(|byte| *byte == b';').next().unwrap_or(media).trim_ascii();
    let is = |name: &str| media.eq_ignore_ascii_case(name.as_bytes());
    let top = media.get(..5).is_some_and(|top| top.eq_ignore_ascii_case(b"text/"));
    let is_metrics = is("application/openmetrics-text") || is("application/vnd.google.protobuf");
    is("application/json") || is_metrics || (top && !is("text/event-stream"))
}

/// Tells caches on the way that the answer depends on `accept-encoding`, besides whatever it depends on.
pub fn vary(headers: &mut HeaderMap) {
    let known = headers.get_all(VARY).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_said = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding");
    if !known.map(<[u8]>::trim_ascii).any(is_said) {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

#[cfg(test)]
mod tests;
