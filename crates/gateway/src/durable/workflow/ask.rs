//! A `model` step: a request of the gateway's own, on behalf of whoever started the run and as their key stands now.

use super::{failure, principal};
use crate::desk::{Answer, Commission};
use crate::durable::model::Came;
use crate::gateway::Gateway;
use crate::http::head;
use http::HeaderValue;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;
use wire::operation::Operation;
use work::workflow::effects::ModelCall;
use work::workflow::engine::OUTPUT_BYTES_MAX;
use work::workflow::event::Failure;

/// Which member of a request tells what is asked for.
const TELLING: [(&str, Operation); 3] = [
    ("messages", Operation::ChatCompletions),
    ("input", Operation::Embeddings),
    ("prompt", Operation::Completions),
];

/// Asks the model; the answer's body is the step's output.
pub(super) async fn ask(gateway: Arc<Gateway>, step: ModelCall) -> Result<Value, Failure> {
    let commission = commission(step)?;
    let answer = gateway.desk.ask(commission).await;
    judge(&answer, gateway.draining())
}

fn commission(step: ModelCall) -> Result<Commission, Failure> {
    let ModelCall { origin, model, request } = step;
    let operation = operation(&request)?;
    let mut body = Map::from_iter([("model".to_owned(), Value::String(model))]);
    body.extend(request.into_iter().filter(|(name, _)| name != "model"));
    let body = Value::Object(body).to_string();
    let principal = principal(origin.caller.as_deref(), &origin.tenant);
    let mut commission = Commission::new(operation, body.into(), principal);
    // The same in every attempt: a provider, and whoever reads its log, can tell that it was asked this before.
    if let Ok(id) = HeaderValue::try_from(origin.key) {
        head::identify(&mut commission.headers, id);
    }
    let deadline = Some(Instant::now() + origin.timeout);
    Ok(Commission { deadline, answer_bytes_max: OUTPUT_BYTES_MAX, ..commission })
}

fn operation(request: &Map<String, Value>) -> Result<Operation, Failure> {
    let found = TELLING.into_iter().find(|(name, _)| request.contains_key(*name));
    found.map(|(_, operation)| operation).ok_or_else(|| {
        let message =
            "the request has neither `messages`, `input` nor `prompt`, so that nobody knows what is asked";
        Failure::lasting("request", message)
    })
}

fn judge(answer: &Answer, leaving: bool) -> Result<Value, Failure> {
    match Came::of(answer, leaving) {
        Came::Answered => serde_json::from_slice(&answer.body)
            .map_err(|fault| Failure::passing("provider", format!("the answer is no JSON: {fault}"))),
        Came::Left => Err(Failure::before_it_began("leaving", "the gateway leaves")),
        Came::NotAsked(pause, failed) => Err(Failure { begun: false, after: Some(pause), ..failure(failed) }),
        Came::Failed(failed) => Err(failure(failed)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use serde_json::json;
    use std::time::Duration;
    use work::workflow::effects::Origin;

    fn step(request: Value) -> ModelCall {
        let origin = Origin {
            key: "run-1/title/3".to_owned(),
            tenant: "acme".to_owned(),
            caller: Some("tg-1".to_owned()),
            run: "run-1".to_owned(),
            workflow: "w".to_owned(),
            step: "title".to_owned(),
            timeout: Duration::from_secs(1),
        };
        let Value::Object(request) = request else { panic!("{request} is no object") };
        ModelCall { origin, model: "sim/fast".to_owned(), request }
    }

    #[test]
    fn a_request_tells_by_its_members_what_is_asked() {
        for (request, expected) in [
            (json!({ "messages": [] }), Some(Operation::ChatCompletions)),
            (json!({ "input": "x" }), Some(Operation::Embeddings)),
            (json!({ "prompt": "x" }), Some(Operation::Completions)),
            (json!({ "temperature": 0 }), None),
        ] {
            let made = commission(step(request.clone()));
            assert_eq!(made.ok().map(|made| made.operation), expected, "{request}");
        }
    }

    #[test]
    fn it_is_asked_in_the_callers_name_and_always_with_the_same_id() {
        let made = commission(step(json!({ "input": "x", "model": "other" }))).unwrap();
        assert_eq!((made.principal.key.as_deref(), &*made.principal.tenant), (Some("tg-1"), "acme"));
        assert_eq!(made.headers["x-request-id"], "run-1/title/3");
        let body: Value = serde_json::from_slice(&made.body).unwrap();
        assert_eq!(body, json!({ "model": "sim/fast", "input": "x" }));
    }
}
