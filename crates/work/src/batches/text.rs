//! Lines of outputs and error files, in OpenAI's form.

use super::Answer;
use super::files::line_id;
use super::line::Bad;
use super::task::Task;
use serde::Serialize;
use serde_json::value::RawValue;
use store::batches::{LineEnd, LineText};

/// What a line is told whose time was over.
pub(super) const EXPIRED: Why<'_> = Why {
    code: "batch_expired",
    message: "This request could not be executed before the completion window expired.",
};
/// What a line is told that was not begun before its batch was cancelled.
pub(super) const CANCELLED: Why<'_> =
    Why { code: "batch_cancelled", message: "The batch was cancelled before this request was executed." };
/// What a line is told whose job is gone.
pub(super) const LOST: Why<'_> =
    Why { code: "request_lost", message: "This request was given up; the gateway's log may say why." };

/// Why a line has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Why<'a> {
    pub code: &'a str,
    pub message: &'a str,
}

#[derive(Serialize)]
struct Text<'a> {
    id: &'a str,
    custom_id: Option<&'a str>,
    response: Option<Response<'a>>,
    error: Option<Why<'a>>,
}

#[derive(Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: &'a str,
    body: &'a RawValue,
}

/// The end of a line that was answered: well, or by a refusal that stands.
pub(super) fn answered(task: &Task<'_>, answer: &Answer) -> LineEnd {
    let Answer { status, request_id, body, .. } = answer;
    // What a provider writes may spread over several lines, and need not be JSON where it fails.
    let json = compact(body);
    let body = json.as_deref().map_err(|()| serde_json::json!(String::from_utf8_lossy(body)));
    let quoted = body.as_ref().err().and_then(|text| serde_json::value::to_raw_value(text).ok());
    let body = body.ok().or(quoted.as_deref()).unwrap_or(RawValue::NULL);
    let response = Some(Response { status_code: *status, request_id, body });
    end(task, answer.is_good(), response, None)
}

/// The end of a line that was not.
pub(super) fn failed(task: &Task<'_>, why: Why<'_>) -> LineEnd {
    end(task, false, None, Some(why))
}

/// The end of a line that cannot be asked: the request `number` of the batch, in line `place` of the file.
pub(super) fn refused(batch: &str, number: u64, place: u64, bad: &Bad) -> LineEnd {
    let message = format!("Line {place}: {}", bad.problem.message);
    let why = Why { code: &bad.problem.code, message: &message };
    let id = line_id(batch, number);
    let custom_id = bad.custom_id.as_deref();
    let text = Text { id: &id, custom_id, response: None, error: Some(why) };
    LineEnd { batch: batch.to_owned(), line: number, good: false, text: write(&text) }
}

/// What is written for lines of `batch` whose jobs are taken back.
pub(super) fn taken_back(batch: &str, why: Why<'static>) -> LineText {
    let batch = batch.to_owned();
    std::sync::Arc::new(move |line, payload| {
        let id = line_id(&batch, line);
        let task = Task::read(payload);
        let custom_id = task.as_ref().map(|task| &*task.head.custom_id);
        write(&Text { id: &id, custom_id, response: None, error: Some(why) })
    })
}

fn end(task: &Task<'_>, good: bool, response: Option<Response<'_>>, error: Option<Why<'_>>) -> LineEnd {
    let head = &task.head;
    let id = line_id(&head.batch, head.line);
    let text = Text { id: &id, custom_id: Some(&head.custom_id), response, error };
    LineEnd { batch: head.batch.clone().into_owned(), line: head.line, good, text: write(&text) }
}

fn write(text: &Text<'_>) -> Vec<u8> {
    // Nothing in it can fail to be written.
    serde_json::to_vec(text).unwrap_or_default()
}

/// JSON in one line, all else as it was.
fn compact(body: &[u8]) -> Result<Box<RawValue>, ()> {
    let json: &RawValue = serde_json::from_slice(body).map_err(drop)?;
    if !json.get().contains(['\n', '\r']) {
        return Ok(json.to_owned());
    }
    // Within a string a line feed is escaped, so that each that stands here is space.
    let text = json.get().replace(['\n', '\r'], " ");
    RawValue::from_string(text).map_err(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{EXPIRED, answered, failed, taken_back};
    use crate::batches::Answer;
    use crate::batches::task::Task;

    const PAYLOAD: &[u8] =
        b"{\"batch\":\"batch_x\",\"line\":3,\"custom_id\":\"a\\\"b\",\"endpoint\":\"/v1/e\",\
        \"expires\":5}\n{\"model\":\"m\"}";

    #[test]
    fn a_line_is_one_line_of_json() {
        let task = Task::read(PAYLOAD).unwrap();
        assert_eq!(task.body, br#"{"model":"m"}"#);
        let check = |status, body: &[u8], good, expected: &str| {
            let request_id = "req-1".to_owned();
            let end = answered(&task, &Answer { status, request_id, body: body.to_vec(), after: None });
            let head = format!(
                r#"{{"id":"batch_req_x00003","custom_id":"a\"b","response":{{"status_code":{status},"request_id":"req-1","body":"#
            );
            assert_eq!(String::from_utf8(end.text).unwrap(), format!("{head}{expected}}},\"error\":null}}"));
            assert_eq!((end.good, end.line, end.batch.as_str()), (good, 3, "batch_x"));
        };
        check(200, br#"{"n":1.50}"#, true, r#"{"n":1.50}"#);
        check(200, b"{\r\n  \"a\": \"x\\ny\"\n}\n", true, "{    \"a\": \"x\\ny\" }");
        check(400, br#"{"error":{}}"#, false, r#"{"error":{}}"#);
        check(502, b"<html>\n", false, r#""<html>\n""#);
        check(502, b"", false, r#""""#);
    }

    #[test]
    fn a_line_that_was_not_answered_says_why() {
        let expected = r#"{"id":"batch_req_x00003","custom_id":"a\"b","response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}"#;
        let end = failed(&Task::read(PAYLOAD).unwrap(), EXPIRED);
        assert_eq!((String::from_utf8(end.text).unwrap().as_str(), end.good), (expected, false));
        let taken = taken_back("batch_x", EXPIRED)(3, PAYLOAD);
        assert_eq!(String::from_utf8(taken).unwrap(), expected);
        let nothing_known = taken_back("batch_x", EXPIRED)(3, b"");
        let nothing_known = String::from_utf8(nothing_known).unwrap();
        assert!(nothing_known.contains(r#""custom_id":null"#), "{nothing_known}");
    }
}
