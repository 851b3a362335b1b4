//! A batch's input, run: what each line comes to, and after what time.

use crate::sim::Shared;
use crate::sim::refusal::Refusal;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// Lines that an input may have; OpenAI's limit.
const LINES_MAX: u64 = 50_000;
/// Faults of an input that are told.
const FAULTS_MAX: usize = 20;
/// Bytes that may come of an input.
const OUTPUT_BYTES_MAX: usize = 256 << 20;

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
    /// Runs every line of an input whose lines all ask `endpoint`; none where anything is wrong with any, or there is
    /// too much.
    pub(super) fn run(&self, input: &[u8], endpoint: &str) -> Ran {
        let (mut lines, mut faults, mut ids, mut bytes) = (Vec::new(), Vec::new(), HashSet::new(), 0);
        let rows = input.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        for (row, number) in rows.zip(1..) {
            if let Some(too_much) = too_much(number, bytes) {
                faults = vec![too_much];
                break;
            }
            if faults.len() >= FAULTS_MAX {
                break;
            }
            match asked(row, endpoint, number) {
                Ok(asked) if !ids.insert(asked.custom_id.clone()) => {
                    faults.push(fault(number, "duplicate_custom_id", "Another line has this custom_id."));
                }
                Ok(asked) if faults.is_empty() => {
                    let done = self.done(&asked, number);
                    bytes += done.text.len();
                    lines.push(done);
                }
                Ok(_) => {}
                Err(wrong) => faults.push(wrong),
            }
        }
        if ids.is_empty() && faults.is_empty() {
            faults.push(fault(1, "empty_file", "The input file has no line."));
        }
        Ran { lines: if faults.is_empty() { lines } else { Vec::new() }, faults }
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

/// What is wrong with an input that has so many lines, of which so many bytes have come by then.
fn too_much(lines: u64, bytes: usize) -> Option<Value> {
    if lines > LINES_MAX {
        return Some(fault(1, "too_many_tasks", "There are more than 50,000 requests."));
    }
    let is_too_large = bytes > OUTPUT_BYTES_MAX;
    is_too_large
        .then(|| fault(lines, "output_too_large", "More comes of the lines before than is held here."))
}

fn fault(line: u64, code: &str, message: &str) -> Value {
    json!({"code": code, "message": message, "param": null, "line": line})
}
