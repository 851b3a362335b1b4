//! Why a workflow or a run is not as it was asked for, as a caller reads it.

use crate::durable::Fault;
use crate::durable::workflow::view::state_name;
use crate::http::body::Body;
use crate::http::durable::asked::not_found;
use crate::http::durable::jobs::create::mismatch;
use crate::http::durable::members::refusal;
use crate::http::error;
use http::Response;
use serde_json::json;
use wire::failure::{Failure, Kind};
use work::workflow::Faults;
use work::workflow::engine::Refusal;

/// What is wrong with what.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// A definition, which is the whole body.
    Definition,
    /// What a run is to be started with, which is a member of the body.
    Input,
    /// What comes with a signal.
    Payload,
}

/// An answer that says no: all that is wrong, each with its place.
pub(super) fn faulty(what: What, faults: &Faults) -> Response<Body> {
    let (noun, code, above) = match what {
        What::Definition => ("definition", "invalid_definition", ""),
        What::Input => ("input", "invalid_input", "/input"),
        What::Payload => ("payload", "invalid_payload", "/payload"),
    };
    let pointer = |below: &str| format!("{above}{below}");
    let count = faults.iter().count();
    let public = match count {
        1 => format!("The {noun} has a fault: {faults}."),
        _ => format!("The {noun} has {count} faults:\n{faults}."),
    };
    let first = faults.iter().next().map(|fault| pointer(&fault.pointer)).unwrap_or_default();
    let failure = refusal(first, public).with_code(code);
    let told = faults.iter().map(|fault| {
        let mut told = fault.to_json();
        told["pointer"] = json!(pointer(&fault.pointer));
        told
    });
    error::response_with(&failure, "faults", &told.collect::<serde_json::Value>().to_string())
}

/// What was refused, told apart from a store that does not answer.
pub(super) fn told<T>(done: Result<T, Refusal>) -> Result<Result<T, Refusal>, Fault> {
    match done {
        Err(Refusal::Store(error)) => Err(Fault::Store(error)),
        done => Ok(done),
    }
}

/// An answer that says no.
///
/// # Errors
/// The failure, where one parameter tells all of it.
pub(super) fn refused(what: What, refusal: Refusal) -> Result<Response<Body>, Failure> {
    Err(match refusal {
        Refusal::Faults(faults) => return Ok(faulty(what, &faults)),
        Refusal::UnknownWorkflow => not_found("workflow"),
        Refusal::UnknownRun => not_found("run"),
        Refusal::UnknownStep(steps) => {
            unknown("step", format!("The run has no step with this id; there are: {}.", steps.join(", ")))
        }
        Refusal::UnknownSignal(signals) if signals.is_empty() => {
            unknown("name", "No step of the workflow waits for a signal.".to_owned())
        }
        Refusal::UnknownSignal(signals) => {
            let signals = signals.join(", ");
            unknown("name", format!("No step of the workflow waits for this signal; there are: {signals}."))
        }
        Refusal::Reused => mismatch(),
        Refusal::State(state) => {
            let state = state_name(state);
            let public = format!("The run is {state}, and cannot do this.");
            Failure::new(Kind::Conflict, public).with_code(format!("run_is_{state}"))
        }
        Refusal::Id(error) => {
            Failure::new(Kind::Internal, "No run could be named.").with_detail(error.to_string())
        }
        Refusal::Store(error) => Fault::Store(error).into(),
    })
}

fn unknown(param: &'static str, public: String) -> Failure {
    refusal(param, public).with_code("invalid_value")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{What, faulty};
    use serde_json::Value;
    use work::workflow::{Definition, Format};

    #[test]
    fn every_fault_is_told_with_its_pointer_and_the_first_is_the_param() {
        let text = r#"{"name": "w", "steps": [{"id": "a", "kind": "slep", "ned": 1}]}"#;
        let faults = Definition::parse(text, Format::Json).unwrap_err();
        for (what, above) in [(What::Definition, ""), (What::Input, "/input")] {
            let response = faulty(what, &faults);
            assert_eq!(response.status(), 400);
            let body: Value = serde_json::from_slice(&response.into_body().into_whole().unwrap()).unwrap();
            let error = &body["error"];
            assert_eq!(error["param"], format!("{above}/steps/0/kind"), "{body}");
            assert_eq!(error["faults"].as_array().unwrap().len(), faults.iter().count());
            assert!(error["message"].as_str().unwrap().contains("did you mean `sleep`?"), "{body}");
        }
    }
}
