//! Jobs of the kind `model`: any inference request, answered by the same pipeline as a caller's own, on behalf of
//! who asked for it and as its key stands now.

use super::id;
use super::payload::Call;
use crate::config::Priority;
use crate::desk::{Answer, Commission, Principal};
use crate::gateway::Gateway;
use crate::http;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Time;
use store::jobs::{Band, Running};
use wire::failure::{Failure, Kind, Retry};
use work::verdict::DEADLINE;
use work::{Context, Failed, Outcome};

/// What such jobs are called.
pub const KIND: &str = "model";

/// Attempts that one may cost: where a provider fails, they are spread over some ten minutes.
pub const ATTEMPTS_MAX: u32 = 8;

/// For so long it is put off, at no cost, while nobody may be asked; afterwards each time counts as an attempt.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// A deadline that is no further off is the one that has passed.
const RINGS: Duration = Duration::from_millis(100);
/// How long it is put off where nobody says.
const PUT_OFF: Duration = Duration::from_secs(5);
/// A provider's words in an error history have no more characters than this.
const WORDS_MAX: usize = 500;

/// Asks, and keeps the answer.
pub(super) async fn attempt(gateway: Arc<Gateway>, context: Context) -> Result<Outcome, Failed> {
    let commission = commission(&gateway, &context)?;
    let answer = tokio::select! {
        biased;
        answer = gateway.desk.ask(commission) => answer,
        // Dropped, so that the provider's call ends too. Why it stops decides what becomes of the job.
        _ = context.cancelled() => return Ok(Outcome::PutBack),
    };
    let left = context.deadline().map(|deadline| deadline.since(Time::now()));
    match &answer.failure {
        // Whoever of several keeps the time rings first.
        Some(failure) if failure.kind() == Kind::ProviderTimeout && left.is_some_and(|left| left < RINGS) => {
            Err(Failed::lasting(DEADLINE, "the deadline passed while a model was asked"))
        }
        _ => judge(&answer, context.job(), gateway.draining()),
    }
}

fn commission(gateway: &Gateway, context: &Context) -> Result<Commission, Failed> {
    let call: Call<'_> = serde_json::from_slice(context.payload())
        .map_err(|fault| Failed::lasting("payload", fault.to_string()))?;
    let operation = http::inference(&call.path)
        .ok_or_else(|| Failed::lasting("payload", format!("`{}` is no path of an inference", call.path)))?;
    let key = call.key.as_deref().map(Into::into);
    let principal = Principal { key, tenant: context.tenant().into() };
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    // The same in every attempt: a provider, and whoever reads its log, can tell that it was asked this before.
    if let Ok(id) = HeaderValue::try_from(id::show(context.id())) {
        http::head::identify(&mut headers, id);
    }
    let body = Bytes::copy_from_slice(call.body.get().as_bytes());
    let mut commission = Commission::new(operation, body, principal).by_default(priority(context.job().band));
    headers.extend(std::mem::take(&mut commission.headers));
    let deadline = context.deadline().map(|deadline| Instant::now() + deadline.since(Time::now()));
    let answer_bytes_max = gateway.snapshot(0).config.jobs.result_bytes_max;
    Ok(Commission { headers, deadline, answer_bytes_max, ..commission })
}

/// As urgent among those who wait for a target as among jobs.
pub(super) fn priority(band: Band) -> Priority {
    match band {
        Band::High => Priority::High,
        Band::Normal => Priority::Normal,
        Band::Low => Priority::Low,
        Band::Batch => Priority::Batch,
    }
}

/// What an answer means for its job. `leaving`: the process is about to end.
pub(super) fn judge(answer: &Answer, job: &Running, leaving: bool) -> Result<Outcome, Failed> {
    match Came::of(answer, leaving) {
        Came::Answered => {
            let mut result = Vec::with_capacity(answer.body.len() + 256);
            answer.write(&mut result);
            Ok(Outcome::from(result))
        }
        Came::Left => Ok(Outcome::PutBack),
        Came::NotAsked(pause, _) if Time::now().since(job.created) < PATIENCE => Ok(Outcome::Later(pause)),
        Came::NotAsked(_, failed) | Came::Failed(failed) => Err(failed),
    }
}

/// What came of a request, as far as somebody who asks again is concerned.
pub(super) enum Came {
    /// It is answered.
    Answered,
    /// Nothing, as the process is about to end.
    Left,
    /// Nobody was asked; so long, it says, nobody may be.
    NotAsked(Duration, Failed),
    /// It failed.
    Failed(Failed),
}

impl Came {
    /// Of this answer. `leaving`: the process is about to end.
    pub(super) fn of(answer: &Answer, leaving: bool) -> Self {
        if answer.is_good() {
            return Self::Answered;
        }
        let Some(failure) = &answer.failure else {
            return Self::Failed(refused(answer.status, &answer.body));
        };
        match failure.code() {
            Some("gateway_leaving") => return Self::Left,
            // Cut off with its worker; what it came to nobody knows, as after a kill.
            Some("answer_lost") if leaving => return Self::Left,
            _ => {}
        }
        Self::failed(answer, failure)
    }

    fn failed(answer: &Answer, failure: &Failure) -> Self {
        let after = match failure.retry() {
            Retry::After(wait) => Some(wait),
            _ => told_wait(&answer.headers),
        };
        // The tenant's own limit is reached, or every target is left alone or busy: no attempt, if nobody was asked.
        let is_put_off = matches!(failure.kind(), Kind::RateLimited | Kind::Overloaded)
            && http::head::attempts(&answer.headers) == 0;
        let failed = match after {
            Some(wait) => failed(failure).after(wait),
            None => failed(failure),
        };
        if is_put_off { Self::NotAsked(after.unwrap_or(PUT_OFF), failed) } else { Self::Failed(failed) }
    }
}

fn failed(failure: &Failure) -> Failed {
    let message = failure.public().to_owned();
    match failure.kind() {
        Kind::RateLimited => Failed::passing("rate_limited", message),
        Kind::Overloaded => Failed::passing("overloaded", message),
        Kind::ProviderTimeout | Kind::CallerTimeout => Failed::passing("timeout", message),
        Kind::Provider if failure.code() == Some("answer_too_large") => Failed::lasting("provider", message),
        Kind::Provider => Failed::passing("provider", message),
        Kind::Internal => Failed::passing("internal", message),
        _ => Failed::lasting("request", message),
    }
}

/// A provider refuses the request in its own words.
fn refused(status: StatusCode, body: &[u8]) -> Failed {
    let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let words = said.as_ref().and_then(|said| said["error"]["message"].as_str());
    let words: String = words.unwrap_or("no reason given").chars().take(WORDS_MAX).collect();
    let message = format!("the provider answered {}: {words}", status.as_u16());
    match status.as_u16() {
        429 => Failed::passing("rate_limited", message),
        408 | 409 | 425 | 500.. => Failed::passing("provider", message),
        _ => Failed::lasting("request", message),
    }
}

/// What an answer's head says of when to come again.
pub(super) fn told_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after-ms")?.to_str().ok()?;
    Some(Duration::from_millis(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::judge;
    use crate::desk::Answer;
    use http::StatusCode;
    use std::time::Duration;
    use store::Time;
    use store::jobs::{Band, JobId, Lease, Running, Token};
    use wire::failure::{Failure, Kind, Retry};
    use work::{Outcome, handler};

    fn job(created: Time) -> Running {
        let lease = Lease { id: JobId(1), token: Token(1) };
        let (tenant, kind, payload) = ("t".to_owned(), "model".to_owned(), Vec::new());
        let (band, attempt, attempts_max, deadline) = (Band::Low, 1, 8, None);
        Running { lease, tenant, kind, band, attempt, attempts_max, created, deadline, payload }
    }

    /// In a word: `done`, `back`, `later 5`, `again class`, `again class after 5`, `never class`.
    fn word(answer: &Answer, created: Time, leaving: bool) -> String {
        match judge(answer, &job(created), leaving) {
            Ok(Outcome::Done { .. }) => "done".to_owned(),
            Ok(Outcome::PutBack) => "back".to_owned(),
            Ok(Outcome::Later(pause)) => format!("later {}", pause.as_secs()),
            Ok(Outcome::Recorded) => "recorded".to_owned(),
            Err(failed) if failed.retry == handler::Retry::No => format!("never {}", failed.class),
            Err(failed) => match failed.after {
                Some(after) => format!("again {} after {}", failed.class, after.as_secs()),
                None => format!("again {}", failed.class),
            },
        }
    }

    #[test]
    fn a_failure_is_tried_again_put_off_or_final() {
        let seven = Retry::After(Duration::from_secs(7));
        let failure = |kind| Failure::new(kind, "x").with_retry(Retry::Soon);
        let check = |failure: Failure, tries: u32, expected: &str| {
            let mut answer = Answer::failed(failure.clone());
            answer.headers.insert("x-tidegate-attempts", tries.into());
            answer.headers.remove("retry-after-ms");
            assert_eq!(word(&answer, Time::now(), false), expected, "{failure:?} after {tries} tries");
        };
        check(failure(Kind::RateLimited), 0, "later 5");
        check(failure(Kind::RateLimited).with_retry(seven), 0, "later 7");
        check(failure(Kind::RateLimited).with_retry(seven), 1, "again rate_limited after 7");
        check(failure(Kind::Overloaded), 0, "later 5");
        check(failure(Kind::Overloaded), 3, "again overloaded");
        check(failure(Kind::Provider), 1, "again provider");
        check(failure(Kind::Provider).with_code("answer_too_large"), 1, "never provider");
        check(failure(Kind::ProviderTimeout), 1, "again timeout");
        check(failure(Kind::Internal), 0, "again internal");
        check(failure(Kind::Internal).with_code("answer_lost"), 0, "again internal");
        check(failure(Kind::InvalidRequest), 0, "never request");
        check(failure(Kind::Unauthenticated), 0, "never request");
        check(failure(Kind::NotFound), 0, "never request");
        check(failure(Kind::Overloaded).with_code("gateway_leaving"), 0, "back");
        let old = Time::now().before(Duration::from_secs(25 * 3600));
        let limited = Answer::failed(failure(Kind::RateLimited).with_retry(seven));
        assert_eq!(word(&limited, old, false), "again rate_limited after 7", "not for ever");
        assert_eq!(word(&Answer::lost(), Time::now(), true), "back");
    }

    #[test]
    fn a_provider_that_refuses_in_its_own_words_is_heard() {
        for (status, expected) in [
            (200, "done"),
            (400, "never request"),
            (404, "never request"),
            (408, "again provider"),
            (429, "again rate_limited"),
            (500, "again provider"),
        ] {
            let mut answer = Answer::failed(Failure::new(Kind::Provider, "x"));
            answer.failure = None;
            answer.status = StatusCode::from_u16(status).unwrap();
            answer.body = r#"{"error":{"message":"no such model"}}"#.into();
            assert_eq!(word(&answer, Time::now(), false), expected, "{status}");
            if let Err(failed) = judge(&answer, &job(Time::now()), false) {
                assert_eq!(failed.message, format!("the provider answered {status}: no such model"));
            }
        }
    }
}
