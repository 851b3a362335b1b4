//! Lines of batches, answered by the same pipeline as a caller's own requests, on behalf of who created the batch and
//! as its key stands now.

use super::model::told_wait;
use crate::config::Priority;
use crate::desk::{Answer, Commission, Principal};
use crate::gateway::Gateway;
use crate::http::{head, inference};
use ::http::HeaderValue;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use store::Time;
use wire::failure::{Failure, Kind, Retry};
use work::batches::{self, Ask, Question, Reply};

/// What answers lines.
pub(super) fn ask(gateway: &Arc<Gateway>) -> Ask {
    let gateway = Arc::clone(gateway);
    Arc::new(move |question| {
        let gateway = Arc::clone(&gateway);
        Box::pin(async move {
            let answer = match commission(question) {
                Ok(commission) => gateway.desk.ask(commission).await,
                Err(failure) => Answer::failed(failure),
            };
            reply(&answer, gateway.draining())
        })
    })
}

/// The line as a request of its own, behind everybody who waits for an answer.
pub(super) fn commission(question: Question) -> Result<Commission, Failure> {
    let operation = inference(&question.endpoint).ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("Nothing is asked at '{}'.", question.endpoint))
            .with_code("unknown_url")
    })?;
    let principal = Principal { key: question.key.map(Into::into), tenant: question.tenant.into() };
    let body = Bytes::from(question.body);
    let mut commission = Commission::new(operation, body, principal).by_default(Priority::Batch);
    // The same in every attempt: a provider, and whoever reads its log, can tell that it was asked this before.
    if let Ok(id) = HeaderValue::try_from(question.id) {
        head::identify(&mut commission.headers, id);
    }
    Ok(Commission { deadline: Some(Instant::now() + question.deadline.since(Time::now())), ..commission })
}

/// What an answer means for its line. `leaving`: the process is about to end.
pub(super) fn reply(answer: &Answer, leaving: bool) -> Reply {
    let after = match answer.failure.as_ref().map(Failure::retry) {
        Some(Retry::After(wait)) => Some(wait),
        _ => told_wait(&answer.headers),
    };
    if let Some(failure) = &answer.failure {
        match failure.code() {
            Some("gateway_leaving") => return Reply::Leaving,
            // Cut off with its worker; what it came to nobody knows, as after a kill.
            Some("answer_lost") if leaving => return Reply::Leaving,
            _ => {}
        }
        // The tenant's own limit is reached, or every target is left alone or busy.
        let is_limited = matches!(failure.kind(), Kind::RateLimited | Kind::Overloaded);
        if is_limited && head::attempts(&answer.headers) == 0 {
            return Reply::Busy { after };
        }
    }
    let id = answer.headers.get("x-request-id").and_then(|id| id.to_str().ok());
    Reply::Answered(batches::Answer {
        status: answer.status.as_u16(),
        request_id: id.unwrap_or_default().to_owned(),
        body: answer.body.to_vec(),
        after,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::reply;
    use crate::desk::Answer;
    use std::time::Duration;
    use wire::failure::{Failure, Kind, Retry};
    use work::batches::Reply;

    /// In a word: `busy 5`, `leaving`, `429 5`.
    fn word(answer: &Answer, leaving: bool) -> String {
        let seconds =
            |after: Option<Duration>| after.map_or("-".to_owned(), |after| after.as_secs().to_string());
        match reply(answer, leaving) {
            Reply::Busy { after } => format!("busy {}", seconds(after)),
            Reply::Leaving => "leaving".to_owned(),
            Reply::Answered(answer) => format!("{} {}", answer.status, seconds(answer.after)),
        }
    }

    #[test]
    fn a_line_is_put_off_while_nobody_was_asked() {
        let check = |failure: Failure, tries: u32, leaving, expected: &str| {
            let mut answer = Answer::failed(failure.clone());
            answer.headers.insert("x-tidegate-attempts", tries.into());
            answer.headers.remove("retry-after-ms");
            assert_eq!(word(&answer, leaving), expected, "{failure:?} after {tries} tries");
        };
        let failure = |kind| Failure::new(kind, "x").with_retry(Retry::Soon);
        let seven = Retry::After(Duration::from_secs(7));
        check(failure(Kind::RateLimited).with_retry(seven), 0, false, "busy 7");
        check(failure(Kind::RateLimited).with_retry(seven), 1, false, "429 7");
        check(failure(Kind::Overloaded), 0, false, "busy -");
        check(failure(Kind::Overloaded), 2, false, "503 -");
        check(failure(Kind::NotFound), 0, false, "404 -");
        check(failure(Kind::Overloaded).with_code("gateway_leaving"), 0, false, "leaving");
        check(failure(Kind::Internal).with_code("answer_lost"), 0, true, "leaving");
        check(failure(Kind::Internal).with_code("answer_lost"), 0, false, "500 -");
    }
}
