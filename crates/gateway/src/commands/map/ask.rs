//! One try at one row's request, and what its answer means: a result, a fault of the row, a reason to try again, or one
//! to ask no more.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use wire::Operation;
use wire::json::{self, Kind};
use wire::openai::usage_of;
use wire::retry_after;

use super::super::caller::hopeless;
use super::super::client::{Answer, Client, Error, Line as Connection};
use super::row::{Fault, Ready};
use super::sequence::Ticket;
use super::shape::Content;
use super::tally::Used;
use super::tries::Tries;

/// Whom to ask, for what, and what an answer must be.
pub(super) struct Asker {
    /// The gateway.
    pub(super) client: Client,
    /// Where it takes such requests.
    pub(super) path: String,
    /// What is asked for.
    pub(super) operation: Operation,
    /// Whether an answer's text must be JSON.
    pub(super) json: bool,
}

/// A row that is being asked.
pub(super) struct Flight {
    /// The row, to be asked again or written.
    pub(super) ready: Ready,
    /// Its place in the order.
    pub(super) ticket: Ticket,
    /// The tries before.
    pub(super) tries: Tries,
    /// When this try began.
    pub(super) began: Instant,
    /// What it is sent on; kept for the next.
    pub(super) connection: Connection,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what was asked for.
    Good(Content, Used),
    /// It is not, and never will be.
    Bad(Fault, Used),
    /// Another try may help.
    Again {
        /// After this long at the soonest, if the server said so.
        after: Option<Duration>,
        /// Whether the server has too much to do.
        overload: bool,
        /// What the row's fault is if no try helps.
        fault: Fault,
    },
    /// No row would be answered.
    Hopeless {
        /// Why, with the mend.
        why: String,
        /// Whether it may pass, as a restart of the gateway does.
        may_pass: bool,
    },
}

impl Asker {
    /// Sends a row's request once.
    pub(super) async fn ask(self: Arc<Self>, mut flight: Flight) -> (Flight, Result<Answer, Error>) {
        let body = flight.ready.body.clone().unwrap_or_default();
        let answer = self.client.ask(&mut flight.connection, Method::POST, &self.path, body).await;
        (flight, answer)
    }

    /// Judges an answer.
    pub(super) fn judge(&self, answer: &Result<Answer, Error>) -> Verdict {
        if let Some(why) = hopeless(&self.client, answer) {
            return Verdict::Hopeless { why, may_pass: answer.is_err() };
        }
        match answer {
            Err(error) => Verdict::Again {
                after: None,
                overload: false,
                fault: Fault::new("no_answer", error.to_string()),
            },
            Ok(answer) if answer.status == StatusCode::OK => self.read(answer),
            Ok(answer) => self.refused(answer),
        }
    }

    fn read(&self, answer: &Answer) -> Verdict {
        let used = used(answer);
        match self.content(&answer.body) {
            Ok(content) => Verdict::Good(content, used),
            Err(fault) => Verdict::Bad(fault, used),
        }
    }

    fn content(&self, body: &[u8]) -> Result<Content, Fault> {
        let foreign = |_| Fault::new("bad_answer", "the answer is no JSON object");
        let reply = json::reply(body).map_err(foreign)?;
        if self.operation == Operation::Embeddings {
            let first = reply.get("data").and_then(|data| data.elements()?.next()?.object());
            let vector = first.and_then(|first| first.get("embedding"));
            let vector = vector.filter(|vector| matches!(vector.kind(), Kind::Array | Kind::String));
            let vector = vector.ok_or_else(|| Fault::new("no_vector", "the answer has no embedding"))?;
            return Ok(Content::Json(on_one_line(vector.raw())));
        }
        let choice = reply.get("choices").and_then(|choices| choices.elements()?.next()?.object());
        let message = choice.as_ref().and_then(|choice| choice.get("message")?.object());
        let content = message.as_ref().and_then(|message| message.get("content"));
        let Some(text) = content.and_then(|content| content.as_str()) else {
            let finish = choice.and_then(|choice| choice.get("finish_reason"));
            let finish = finish.and_then(|reason| reason.as_str()).unwrap_or("unknown".into());
            return Err(Fault::new("no_text", format!("the answer has no text; it ended with {finish:?}")));
        };
        if !self.json {
            return Ok(Content::Text(text.into_owned()));
        }
        match json::validate(text.as_bytes()) {
            Ok(()) => Ok(Content::Json(on_one_line(text.trim()))),
            Err(fault) => {
                let begin: String = text.chars().take(200).collect();
                Err(Fault::new("answer_not_json", format!("the answer is no JSON: {fault}: {begin:?}")))
            }
        }
    }

    fn refused(&self, answer: &Answer) -> Verdict {
        let fault =
            Fault { code: code(answer), message: answer.complaint(), status: Some(answer.status.as_u16()) };
        let overload = matches!(answer.status.as_u16(), 429 | 503 | 529);
        let again =
            overload || answer.status.is_server_error() || matches!(answer.status.as_u16(), 408 | 425);
        if again {
            return Verdict::Again { after: retry_after_of(&answer.headers), overload, fault };
        }
        let everyone = matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
        if everyone {
            let why = format!("{} answers {}", self.client.url(), fault.message);
            return Verdict::Hopeless { why, may_pass: false };
        }
        Verdict::Bad(fault, Used::default())
    }
}

/// What the server calls it: `error.code`, else `error.type`, else its status.
fn code(answer: &Answer) -> String {
    let said: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let member = |name: &str| said.as_ref().and_then(|said| said["error"][name].as_str());
    let code = member("code").or_else(|| member("type"));
    code.map_or_else(|| format!("http_{}", answer.status.as_u16()), str::to_owned)
}

fn retry_after_of(headers: &HeaderMap) -> Option<Duration> {
    let bytes = |name| headers.get(name).map(http::HeaderValue::as_bytes);
    retry_after::parse(bytes("retry-after-ms"), bytes("retry-after"), SystemTime::now())
}

/// What a good answer cost, by its usage and the gateway's headers.
fn used(answer: &Answer) -> Used {
    let usage = usage_of(&answer.body).ok().flatten().unwrap_or_default();
    let text = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let dollars: f64 = text("x-tidegate-cost-usd").and_then(|cost| cost.parse().ok()).unwrap_or(0.0);
    let cache = text("x-tidegate-cache").unwrap_or_default();
    let hit = matches!(cache.split(';').next(), Some("hit" | "coalesced"));
    Used {
        input_tokens: usage.input,
        output_tokens: usage.output,
        // Casting makes nothing of what is negative or no number.
        micro_usd: (dollars * 1e6).round() as u64,
        hits: u64::from(hit),
    }
}

/// A JSON text without the white space between its tokens.
fn on_one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\r' | '\n') {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn asker(operation: Operation, json: bool) -> Asker {
        let client = Client::new("http://h".parse().unwrap(), None, None, Duration::from_secs(1)).unwrap();
        Asker { client, path: String::new(), operation, json }
    }

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Result<Answer, Error> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Ok(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    fn said(content: &str) -> String {
        let content = serde_json::Value::from(content);
        format!(
            r#"{{"choices":[{{"message":{{"content":{content}}},"finish_reason":"stop"}}],
            "usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}}"#
        )
    }

    fn chat(json: bool, body: &str) -> Result<Content, String> {
        match asker(Operation::ChatCompletions, json).judge(&answer(200, &[], body)) {
            Verdict::Good(content, _) => Ok(content),
            Verdict::Bad(fault, _) => Err(fault.code),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_answer_is_its_text_or_the_json_in_it() {
        let text = |text: &str| Ok(Content::Text(text.to_owned()));
        let json = |text: &str| Ok(Content::Json(text.to_owned()));
        let fault = |code: &str| Err(code.to_owned());
        assert_eq!(chat(false, &said("a\n\"b\"")), text("a\n\"b\""));
        assert_eq!(chat(false, &said("")), text(""));
        assert_eq!(
            chat(true, &said(" {\n \"a b\" : [1, \"x \\\" y\\\\\" ] }\n")),
            json(r#"{"a b":[1,"x \" y\\"]}"#)
        );
        assert_eq!(chat(true, &said("yes")), fault("answer_not_json"));
        assert_eq!(chat(true, &said("```json\n{}\n```")), fault("answer_not_json"));
        let calls = r#"{"choices":[{"message":{"content":null},"finish_reason":"tool_calls"}]}"#;
        assert_eq!(chat(false, calls), fault("no_text"));
        assert_eq!(chat(false, "{}"), fault("no_text"));
        assert_eq!(chat(false, "<html>"), fault("bad_answer"));
    }

    #[test]
    fn the_answer_of_an_embedding_is_its_vector() {
        let asker = asker(Operation::Embeddings, false);
        let body = r#"{"data":[{"embedding":[0.5,
            -1e-3],"index":0}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#;
        let Verdict::Good(content, used) = asker.judge(&answer(200, &[], body)) else { panic!() };
        assert_eq!((content, used.input_tokens), (Content::Json("[0.5,-1e-3]".to_owned()), 4));
        let Verdict::Bad(fault, _) = asker.judge(&answer(200, &[], r#"{"data":[]}"#)) else { panic!() };
        assert_eq!(fault.code, "no_vector");
    }

    #[test]
    fn what_it_cost_is_read_beside_it() {
        let headers = [("x-tidegate-cost-usd", "0.001250"), ("x-tidegate-cache", "hit; tier=memory")];
        let verdict = asker(Operation::ChatCompletions, false).judge(&answer(200, &headers, &said("x")));
        let Verdict::Good(_, used) = verdict else { panic!() };
        assert_eq!(used, Used { input_tokens: 3, output_tokens: 2, micro_usd: 1250, hits: 1 });
    }

    #[test]
    fn some_refusals_are_the_rows_some_pass_and_some_are_everyones() {
        let asker = asker(Operation::ChatCompletions, false);
        let body = r#"{"error":{"message":"No.","type":"t","code":"c"}}"#;
        let judge = |status, headers: &[_]| asker.judge(&answer(status, headers, body));
        for status in [400, 413, 422] {
            let Verdict::Bad(fault, _) = judge(status, &[]) else { panic!("{status}") };
            let message = format!("{status}: No.");
            assert_eq!(fault, Fault { code: "c".to_owned(), message, status: Some(status) });
        }
        for (status, overloaded) in [(429, true), (503, true), (500, false), (502, false), (408, false)] {
            let Verdict::Again { after, overload, .. } = judge(status, &[("retry-after", "2")]) else {
                panic!("{status}")
            };
            assert_eq!((after, overload), (Some(Duration::from_secs(2)), overloaded), "{status}");
        }
        for status in [401, 403, 404] {
            assert!(matches!(judge(status, &[]), Verdict::Hopeless { may_pass: false, .. }), "{status}");
        }
        let url: rig::load::Url = "http://h".parse().unwrap();
        let broken = Err(Error::Broken { url: url.clone(), why: "reset".to_owned() });
        assert!(matches!(asker.judge(&broken), Verdict::Again { after: None, overload: false, .. }));
        let nobody = Err(Error::Unreachable { url, why: "refused".to_owned() });
        assert!(matches!(asker.judge(&nobody), Verdict::Hopeless { may_pass: true, .. }));
        let bare = asker.judge(&answer(500, &[], ""));
        assert!(matches!(bare, Verdict::Again { fault: Fault { code, .. }, .. } if code == "http_500"));
    }
}
