//! Carries parcels of batches to providers' own batch APIs, in the shape of OpenAI's `/files` and `/batches`.
//!
//! Whom an alias' lines go to stands in the configuration; what is asked of a provider goes out by `upstream`, and
//! what of a line concerns the cache, its caller's rights and its costs is the pipeline's, through the desk.

mod form;
mod seen;

use super::batch::commission;
use crate::desk::{Answer, Commission};
use crate::gateway::Gateway;
use crate::http::inference;
use crate::pipeline::Look;
use crate::snapshot::Snapshot;
use crate::upstream::office::{Asked, Office, Reply};
use crate::upstream::{self, Upstream};
use ::http::{HeaderValue, Method, StatusCode};
use bytes::Bytes;
use form::Form;
use seen::{Listed, Named, Seen};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::failure::{Failure, Kind};
use work::batches::{self, Courier, Fault, Going, Looked, Mark, Order, Piece, Question, Remote};

/// The longest that a file is on its way.
const FILE_MAX: Duration = Duration::from_secs(15 * 60);
/// Batches that are looked through for one of ours: the latest, page by page.
const PAGE: usize = 100;
const PAGES_MAX: usize = 10;
/// A provider's words in what is written of a parcel have no more characters than this.
const WORDS_MAX: usize = 300;

/// What carries parcels.
pub(super) fn courier(gateway: &Arc<Gateway>) -> Arc<dyn Courier> {
    Arc::new(ByGateway(Arc::clone(gateway)))
}

struct ByGateway(Arc<Gateway>);

impl ByGateway {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot(0)
    }

    /// The provider of a place.
    fn upstream(&self, place: &str) -> Result<Arc<Upstream>, Fault> {
        let name = place.split_once('/').map_or(place, |(provider, _)| provider);
        let snapshot = self.snapshot();
        let known = snapshot.upstreams.iter().find(|upstream| upstream.name() == name);
        known.cloned().ok_or_else(|| Fault::Refused("the configuration does not name it any more".to_owned()))
    }

    /// Has `call` made at the office of a place, within so long or as long as its provider may take.
    async fn at<T>(
        &self,
        place: &str,
        longest: Option<Duration>,
        call: impl AsyncFnOnce(Office<'_>) -> Result<T, upstream::Error>,
    ) -> Result<T, Fault> {
        let upstream = self.upstream(place)?;
        let lookups = self.0.metrics.shard(0).pool(upstream.name());
        let settings = upstream.settings();
        let longest = longest.unwrap_or_default().max(settings.timeouts.total);
        match tokio::time::timeout(longest, call(Office { settings, lookups })).await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(passing("it did not answer in time".to_owned())),
        }
    }

    /// Asks for JSON.
    async fn ask<T: DeserializeOwned>(&self, place: &str, asked: Asked, body: Bytes) -> Result<T, Fault> {
        let reply = self.at(place, None, async move |office| office.ask(asked, body).await).await?;
        read(&reply)
    }
}

impl Courier for ByGateway {
    fn route(&self, endpoint: &str, model: &str) -> Option<String> {
        let (operation, snapshot) = (inference(endpoint)?, self.snapshot());
        let target = snapshot.routes.batch_target(operation, model)?;
        target.upstream.is_remote().then(|| target.label.name.to_string())
    }

    fn look<'a>(&'a self, _: &'a str, question: Question) -> Going<'a, Looked> {
        Box::pin(async move {
            let commission = match commission(question) {
                Ok(commission) => commission,
                Err(failure) => return Looked::Answered(as_answer(&Answer::failed(failure))),
            };
            match self.0.desk.look(commission.clone()).await {
                None => Looked::Later,
                Some(Look::Send(body)) => Looked::Send(body.to_vec()),
                Some(Look::Here) => ask(&self.0, commission).await.map_or(Looked::Later, Looked::Answered),
            }
        })
    }

    fn bring<'a>(
        &'a self,
        place: &'a str,
        name: &'a str,
        pieces: mpsc::Receiver<Piece>,
    ) -> Going<'a, Result<String, Fault>> {
        Box::pin(async move {
            let form = Form::new(name, pieces);
            let asked = Asked::with(Method::POST, "/files", form.kind());
            let bring = async move |office: Office<'_>| office.bring(asked, form).await;
            let named: Named = read(&self.at(place, Some(FILE_MAX), bring).await?)?;
            Ok(named.id)
        })
    }

    fn create<'a>(&'a self, place: &'a str, order: &'a Order) -> Going<'a, Result<Remote, Fault>> {
        Box::pin(async move {
            let body = json!({
                "input_file_id": order.file,
                "endpoint": order.endpoint,
                "completion_window": "24h",
                "metadata": seen::metadata(&order.mark),
            });
            let kind = HeaderValue::from_static("application/json");
            let asked = Asked::with(Method::POST, "/batches", kind);
            let seen: Seen = self.ask(place, asked, body.to_string().into()).await?;
            Ok(seen.into_remote())
        })
    }

    fn find<'a>(&'a self, place: &'a str, mark: &'a Mark) -> Going<'a, Result<Option<Remote>, Fault>> {
        Box::pin(async move {
            let mut after = String::new();
            for _ in 0..PAGES_MAX {
                let asked = Asked::plain(Method::GET, format!("/batches?limit={PAGE}{after}"));
                let listed: Listed = self.ask(place, asked, Bytes::new()).await?;
                let last = listed.data.last().map(|seen| seen.id.clone());
                if let Some(seen) = listed.data.into_iter().find(|seen| seen.has(mark)) {
                    return Ok(Some(seen.into_remote()));
                }
                let Some(last) = last.filter(|_| listed.has_more) else { break };
                after = format!("&after={}", escaped(&last));
            }
            Ok(None)
        })
    }

    fn see<'a>(&'a self, place: &'a str, id: &'a str) -> Going<'a, Result<Remote, Fault>> {
        Box::pin(async move {
            let asked = Asked::plain(Method::GET, format!("/batches/{}", escaped(id)));
            let seen: Seen = self.ask(place, asked, Bytes::new()).await?;
            Ok(seen.into_remote())
        })
    }

    fn cancel<'a>(&'a self, place: &'a str, id: &'a str) -> Going<'a, Result<(), Fault>> {
        Box::pin(async move {
            let asked = Asked::plain(Method::POST, format!("/batches/{}/cancel", escaped(id)));
            self.ask::<Named>(place, asked, Bytes::new()).await.map(drop)
        })
    }

    fn fetch<'a>(
        &'a self,
        place: &'a str,
        file: &'a str,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Going<'a, Result<(), Fault>> {
        Box::pin(async move {
            let asked = Asked::plain(Method::GET, format!("/files/{}/content", escaped(file)));
            let fetch = async move |office: Office<'_>| office.fetch(asked, pieces).await;
            match self.at(place, Some(FILE_MAX), fetch).await? {
                None => Ok(()),
                Some(reply) => Err(fault(&reply)),
            }
        })
    }

    fn remove<'a>(&'a self, place: &'a str, file: &'a str) -> Going<'a, Result<(), Fault>> {
        Box::pin(async move {
            let asked = Asked::plain(Method::DELETE, format!("/files/{}", escaped(file)));
            self.ask::<Named>(place, asked, Bytes::new()).await.map(drop)
        })
    }

    fn note<'a>(&'a self, _: &'a str, question: Question, answer: batches::Answer) -> Going<'a, ()> {
        Box::pin(async move {
            let Ok(commission) = commission(question) else { return };
            let commission = commission.answered_in_batch(answer.body.into());
            let noted = self.0.desk.ask(Commission { deadline: None, ..commission }).await;
            if let Some(failure) = noted.failure {
                tracing::debug!(%failure, "batches: a line's answer was not counted");
            }
        })
    }
}

/// The answer to what the gateway can say by itself; a failure that might pass is none.
async fn ask(gateway: &Gateway, commission: Commission) -> Option<batches::Answer> {
    let answer = gateway.desk.ask(commission).await;
    answer.failure.as_ref().is_none_or(is_final).then(|| as_answer(&answer))
}

fn is_final(failure: &Failure) -> bool {
    let passes = [Kind::RateLimited, Kind::Overloaded, Kind::Provider, Kind::ProviderTimeout, Kind::Internal];
    !passes.contains(&failure.kind())
}

fn as_answer(answer: &Answer) -> batches::Answer {
    let id = answer.headers.get("x-request-id").and_then(|id| id.to_str().ok());
    batches::Answer {
        status: answer.status.as_u16(),
        request_id: id.unwrap_or_default().to_owned(),
        body: answer.body.to_vec(),
        after: None,
    }
}

/// A good answer, as what it is expected to be.
fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, Fault> {
    if !reply.status.is_success() {
        return Err(fault(reply));
    }
    let said = serde_json::from_slice(&reply.body);
    said.map_err(|wrong| {
        Fault::Refused(format!("it answered what is not in the shape of OpenAI's API: {wrong}"))
    })
}

/// What an answer says that is no good one.
fn fault(reply: &Reply) -> Fault {
    let said: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
    let words = said.as_ref().and_then(|said| said["error"]["message"].as_str()).unwrap_or("no reason given");
    let why = format!("{}: {}", reply.status.as_u16(), words.chars().take(WORDS_MAX).collect::<String>());
    match reply.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Fault::Unknown,
        StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Fault::Undone { why, after: reply.after },
        StatusCode::REQUEST_TIMEOUT => Fault::Passing { why, after: reply.after },
        StatusCode::NOT_IMPLEMENTED => Fault::Refused(why),
        status if status.is_server_error() => Fault::Passing { why, after: reply.after },
        _ => Fault::Refused(why),
    }
}

/// What a call comes to that has no answer.
fn broken(error: &upstream::Error) -> Fault {
    let why = upstream::describe(error);
    match error {
        upstream::Error::Cut(_) | upstream::Error::TooLarge(_) => passing(why),
        // Nobody has heard it.
        _ => Fault::Undone { why, after: None },
    }
}

fn passing(why: String) -> Fault {
    Fault::Passing { why, after: None }
}

/// A provider's name for something as a path may have it: what else stands in it than letters and digits is escaped
/// (RFC 3986, 2.1).
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{broken, escaped, fault, passing};
    use crate::upstream::Error;
    use crate::upstream::office::Reply;
    use ::http::StatusCode;
    use std::time::Duration;
    use work::batches::Fault;

    #[test]
    fn a_refusal_passes_or_stays() {
        let check = |status: u16, expected: &str| {
            let (status, after) = (StatusCode::from_u16(status).unwrap(), Some(Duration::from_secs(3)));
            let body = r#"{"error":{"message":"no"}}"#.into();
            let found = match fault(&Reply { status, after, body }) {
                Fault::Refused(why) => format!("refused {why}"),
                Fault::Unknown => "unknown".to_owned(),
                Fault::Passing { why, after } => {
                    format!("passing {why} {}", after.unwrap_or_default().as_secs())
                }
                Fault::Undone { why, after } => {
                    format!("undone {why} {}", after.unwrap_or_default().as_secs())
                }
            };
            assert_eq!(found, expected);
        };
        check(400, "refused 400: no");
        check(401, "refused 401: no");
        check(404, "unknown");
        check(405, "refused 405: no");
        check(408, "passing 408: no 3");
        check(413, "refused 413: no");
        check(425, "undone 425: no 3");
        check(429, "undone 429: no 3");
        check(500, "passing 500: no 3");
        check(501, "refused 501: no");
        check(503, "passing 503: no 3");
    }

    #[test]
    fn a_call_that_nobody_heard_has_done_nothing() {
        let check = |error, expected| assert_eq!(broken(&error), expected, "{error}");
        let undone = |why: &str| Fault::Undone { why: why.to_owned(), after: None };
        check(Error::Unreachable("refused".to_owned()), undone("cannot connect: refused"));
        check(Error::ConnectTimeout, undone("no connection in time"));
        check(Error::Cut("reset".to_owned()), passing("the connection broke: reset".to_owned()));
    }

    #[test]
    fn a_strange_name_stays_in_its_place() {
        assert_eq!(escaped("file-A_1.b~"), "file-A_1.b~");
        assert_eq!(escaped("../x?y#z"), "..%2Fx%3Fy%23z");
    }
}
