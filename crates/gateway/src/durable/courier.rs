//! Carries parcels of batches to providers' own batch APIs, in the shape of OpenAI's `/files` and `/batches`.
//!
//! Whom an alias' lines go to stands in the configuration; what is asked of a provider goes out by `upstream`, and
//! what of a line concerns the cache, its caller's rights and its costs is the pipeline's, through the desk.

mod form;
mod seen;

use super::batch::{commission, reply};
use crate::desk::Answer;
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
use work::batches::{self, Books, Courier, Fault, Going, Looked, Mark, Order, Piece, Question, Remote};

/// The longest that a provider takes over a question that is answered in a few words: four parcels are brought on at
/// once, and one that accepts and says nothing is not to hold up those of others.
const ANSWER_MAX: Duration = Duration::from_secs(30);
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

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
enum Longest {
    /// That of a question in a few words, and its answer.
    Words,
    /// That of a file.
    File,
}

impl Longest {
    /// The bound, where the provider's own time-out of a whole call is `total`.
    fn within(self, total: Duration) -> Duration {
        match self {
            Self::Words => ANSWER_MAX.min(total),
            Self::File => FILE_MAX.max(total),
        }
    }
}

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

    /// Has `call` made at the office of a place, within so long.
    async fn at<T>(
        &self,
        place: &str,
        longest: Longest,
        call: impl AsyncFnOnce(Office<'_>) -> Result<T, upstream::Error>,
    ) -> Result<T, Fault> {
        let upstream = self.upstream(place)?;
        let lookups = self.0.metrics.shard(0).pool(upstream.name());
        let settings = upstream.settings();
        let longest = longest.within(settings.timeouts.total);
        match tokio::time::timeout(longest, call(Office { settings, lookups })).await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(passing("it did not answer in time".to_owned())),
        }
    }

    /// Asks for JSON.
    async fn ask<T: DeserializeOwned>(&self, place: &str, asked: Asked, body: Bytes) -> Result<T, Fault> {
        let reply = self.at(place, Longest::Words, async move |office| office.ask(asked, body).await).await?;
        read(&reply)
    }
}

impl Courier for ByGateway {
    fn route(&self, endpoint: &str, model: &str) -> Option<String> {
        let (operation, snapshot) = (inference(endpoint)?, self.snapshot());
        let target = snapshot.routes.batch_target(operation, model)?;
        target.upstream.is_remote().then(|| target.label.name.to_string())
    }

    fn look<'a>(&'a self, place: &'a str, question: Question) -> Going<'a, Looked> {
        Box::pin(async move {
            // Asked for where it was looked for: of an alias with several targets each has memories of its own.
            let commission = match commission(question) {
                Ok(commission) => commission.placed(place),
                Err(failure) => return looked(reply(&Answer::failed(failure), self.0.draining())),
            };
            match self.0.desk.look(commission.clone()).await {
                // What is for another place is seen, and given back, when the parcel is looked at anew.
                None | Some(Look::Elsewhere) => Looked::Later,
                Some(Look::Send(body)) => Looked::Send(body.to_vec()),
                Some(Look::Here) => {
                    let answer = self.0.desk.ask(commission).await;
                    looked(reply(&answer, self.0.draining()))
                }
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
            let named: Named = read(&self.at(place, Longest::File, bring).await?)?;
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
            match self.at(place, Longest::File, fetch).await? {
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

    fn open_books(&self) -> Option<Books> {
        Some(Box::new(self.0.desk.open_books()?))
    }

    fn note<'a>(
        &'a self,
        place: &'a str,
        question: Question,
        answer: batches::Answer,
    ) -> Going<'a, Result<(), String>> {
        Box::pin(async move {
            let commission = commission(question).map_err(|failure| failure.to_string())?;
            let noted = self.0.desk.ask(commission.answered_in_batch(place, answer.body.into())).await;
            noted.failure.map_or(Ok(()), |failure| Err(failure.to_string()))
        })
    }
}

/// What an answer that was had here says of its line; whether it stands, or is asked for again, is judged as for lines
/// that are asked one by one.
fn looked(reply: batches::Reply) -> Looked {
    match reply {
        batches::Reply::Answered(answer) => Looked::Answered(answer),
        batches::Reply::Busy { .. } | batches::Reply::Leaving => Looked::Later,
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
mod tests;
