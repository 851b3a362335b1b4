//! What `POST /v1/batch` answers: a line for each item, in the form of a line of OpenAI's batch output files.

use super::envelope::Envelope;
use crate::desk::Answer;
use bytes::Bytes;

/// The answers of a batch, entered as they come.
pub(super) struct Sheet {
    /// The items' own names for themselves, as JSON.
    ids: Vec<Bytes>,
    answers: Vec<Option<Answer>>,
}

impl Sheet {
    /// An empty line for each item.
    pub(super) fn of(envelope: &Envelope) -> Self {
        let ids: Vec<_> = envelope.items.iter().map(|item| item.custom_id.clone()).collect();
        let answers = ids.iter().map(|_| None).collect();
        Self { ids, answers }
    }

    /// Enters an item's answer.
    pub(super) fn enter(&mut self, index: usize, answer: Answer) {
        if let Some(line) = self.answers.get_mut(index) {
            *line = Some(answer);
        }
    }

    /// All lines, in the items' order.
    pub(super) fn into_bytes(self) -> Bytes {
        let answers = self.answers.into_iter().map(|answer| answer.unwrap_or_else(Answer::lost));
        let answers: Vec<_> = answers.collect();
        let (total, completed) = (answers.len(), answers.iter().filter(|answer| answer.is_good()).count());
        let bytes: usize = answers.iter().map(|answer| answer.body.len() + 256).sum();
        let mut out = Vec::with_capacity(bytes);
        out.extend_from_slice(br#"{"object":"list","data":["#);
        for (index, (id, answer)) in self.ids.iter().zip(answers).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_line(&mut out, id, &answer);
        }
        let failed = total - completed;
        let counts =
            format!(r#"],"request_counts":{{"total":{total},"completed":{completed},"failed":{failed}}}}}"#);
        out.extend_from_slice(counts.as_bytes());
        out.into()
    }
}

/// `{"custom_id":…,"response":{…},"error":null}`.
fn push_line(out: &mut Vec<u8>, id: &[u8], answer: &Answer) {
    out.extend_from_slice(br#"{"custom_id":"#);
    out.extend_from_slice(id);
    out.extend_from_slice(br#","response":"#);
    answer.write(out);
    out.extend_from_slice(br#","error":null}"#);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Envelope, Sheet};
    use crate::desk::Answer;
    use serde_json::{Value, json};
    use wire::failure::{Failure, Kind};

    #[test]
    fn every_item_has_its_line_in_its_place() {
        let item = |id: &str| format!(r#"{{"custom_id":"{id}","url":"/v1/embeddings","body":{{}}}}"#);
        let text = format!(r#"{{"requests":[{},{},{}]}}"#, item("a"), item(r#"\"b\""#), item("c"));
        let mut sheet = Sheet::of(&Envelope::read(&text.into()).unwrap());
        let mut good = Answer::failed(Failure::new(Kind::RateLimited, "No.").with_code("c"));
        sheet.enter(1, good.clone());
        good.status = http::StatusCode::OK;
        good.headers = [("x-request-id", "r"), ("x-tidegate-cache", "miss")]
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .into_iter()
            .collect();
        good.body = r#"{"x": 1.0}"#.into();
        sheet.enter(0, good);
        let said: Value = serde_json::from_slice(&sheet.into_bytes()).unwrap();
        assert_eq!(said["request_counts"], json!({ "total": 3, "completed": 1, "failed": 2 }));
        let response =
            json!({ "status_code": 200, "request_id": "r", "cache": "miss", "body": { "x": 1.0 } });
        assert_eq!(said["data"][0], json!({ "custom_id": "a", "response": response, "error": null }));
        assert_eq!(said["data"][1]["custom_id"], "\"b\"");
        let response = &said["data"][1]["response"];
        assert_eq!((&response["status_code"], &response["retry_after_ms"]), (&json!(429), &json!("1000")));
        assert_eq!(response["body"]["error"]["code"], "c");
        assert_eq!(said["data"][2]["response"]["status_code"], 500, "an item that fell over says so");
    }
}
