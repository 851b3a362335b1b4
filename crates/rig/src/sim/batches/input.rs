//! A batch's input, run: what each line comes to, and after what time.

use crate::sim::Shared;
use crate::sim::refusal::Refusal;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// Lines that an input may have; OpenAI's limit.
const LINES_MAX: usize = 50_000;
/// Faults of an input that are told.
const FAULTS_MAX: usize = 20;

/// What is to be run.
#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) input_file_id: String,
    pub(super) endpoint: String,
    pub(super) completion_window: String,
    #[serde(default)]
    pub(super) metadata: Value,
}

impl Order {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(body).map_err(|fault| Refusal::invalid(format!("This is no batch: {fault}.")))
    }
}

/// A line that is done so long after the batch's beginning.
pub(super) struct Done {
    pub(super) wait: Duration,
    /// Whether it goes to the output, or to the errors.
    pub(super) good: bool,
    /// The line of that file.
    pub(super) text: Vec<u8>,
}

/// An input that was run, or what is wrong with it.
pub(super) struct Ran {
    pub(super) lines: Vec<Done>,
    pub(super) faults: Vec<Value>,
}

#[derive(Deserialize)]
struct Asked<'a> {
    custom_id: String,
    method: String,
    url: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Shared {
    /// Runs every line of an input whose lines all ask `endpoint`.
    pub(super) fn run(&self, input: &[u8], endpoint: &str) -> Ran {
        let (mut ran, mut ids) = (Ran { lines: Vec::new(), faults: Vec::new() }, HashSet::new());
        let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        for (line, number) in lines.zip(1..) {
            match asked(line, endpoint, number) {
                Ok(asked) if !ids.insert(asked.custom_id.clone()) => {
                    ran.faults.push(fault(number, "duplicate_custom_id", "Another line has this custom_id."));
                }
                Ok(asked) => ran.lines.push(self.done(&asked, number)),
                Err(wrong) => ran.faults.push(wrong),
            }
        }
        if ran.lines.len() > LINES_MAX {
            ran.faults.push(fault(1, "too_many_tasks", "There are more than 50,000 requests."));
        }
        if ran.lines.is_empty() && ran.faults.is_empty() {
            ran.faults.push(fault(1, "empty_file", "The input file has no line."));
        }
        ran.faults.truncate(FAULTS_MAX);
        ran
    }

    fn done(&self, asked: &Asked<'_>, number: u64) -> Done {
        let line = self.line(&asked.url, asked.body.get().as_bytes(), number);
        let (good, response, error) = match line.answer {
            None => {
                (false, Value::Null, json!({"code": "batch_expired", "message": "No answer came in time."}))
            }
            Some((status, body)) => {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let id = format!("req_{number:016x}");
                let response = json!({"status_code": status.as_u16(), "request_id": id, "body": body});
                (status.is_success(), response, Value::Null)
            }
        };
        let id = format!("batch_req_{number:016x}");
        let text =
            json!({"id": id, "custom_id": asked.custom_id, "response": response, "error": error}).to_string();
        Done { wait: line.wait, good, text: text.into_bytes() }
    }
}

fn asked<'a>(line: &'a [u8], endpoint: &str, number: u64) -> Result<Asked<'a>, Value> {
    let asked: Asked<'a> = serde_json::from_slice(line)
        .map_err(|_| fault(number, "invalid_json_line", "This line is not parseable as valid JSON."))?;
    match asked.method == "POST" && asked.url == endpoint {
        true => Ok(asked),
        false => Err(fault(number, "invalid_url", "The line asks for another endpoint than the batch.")),
    }
}

fn fault(line: u64, code: &str, message: &str) -> Value {
    json!({"code": code, "message": message, "param": null, "line": line})
}
