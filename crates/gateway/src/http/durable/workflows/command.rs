//! `POST /v1/workflows/runs/{id}/{word}`: what may be asked of a run while it goes on, or after.

use super::refused::{What, refused, told};
use crate::durable::workflow::view::RunView;
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::durable::members::Members;
use http::StatusCode;
use serde_json::Value;
use store::runs::Run;
use wire::failure::Failure;
use work::workflow::Engine;
use work::workflow::engine::{OUTPUT_BYTES_MAX, Refusal};

/// All of them.
pub(super) const WORDS: [&str; 5] = ["cancel", "pause", "resume", "signal", "retry"];

/// Bytes of a body: what comes with a signal, and room for what stands around it.
const BODY_BYTES_MAX: usize = OUTPUT_BYTES_MAX + 1024;

/// What is asked of a run.
enum Command {
    Cancel,
    Pause,
    Resume,
    Signal { name: String, payload: Value },
    Retry { step: String },
}

/// Does it; the answer is the run as it stands then.
pub(super) async fn obey(asked: &mut Asked, id: &str, word: &str) -> Answered {
    let body = asked.body(BODY_BYTES_MAX, "bound of a payload").await?;
    let command = Command::read(word, &body)?;
    drop(body);
    let (tenant, id) = (asked.tenant(), id.to_owned());
    let done = asked
        .durable()
        .ask(move |open| async move { told(command.give(&open.workflows, &id, Some(&tenant)).await) })
        .await?;
    match done {
        Ok(run) => asked.json(StatusCode::OK, &RunView::brief(&run).with_outcome(&run)).await,
        Err(refusal) => refused(What::Payload, refusal),
    }
}

impl Command {
    fn read(word: &str, body: &[u8]) -> Result<Self, Failure> {
        let known: &[&str] = match word {
            "signal" => &["name", "payload"],
            "retry" => &["step"],
            _ => &[],
        };
        let members = Members::read(if body.is_empty() { b"{}" } else { body }, known)?;
        let text = |name| {
            members.required(name)?;
            Ok::<_, Failure>(members.text(name)?.unwrap_or_default().into_owned())
        };
        Ok(match word {
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "signal" => {
                let payload = members.get("payload").map(|payload| serde_json::from_str(payload.raw()));
                let payload = payload.transpose();
                let payload = payload.map_err(|_| members.wrong("payload", "JSON that is not too deep"))?;
                Self::Signal { name: text("name")?, payload: payload.unwrap_or_default() }
            }
            "retry" => Self::Retry { step: text("step")? },
            _ => Self::Cancel,
        })
    }

    async fn give(&self, engine: &Engine, run: &str, tenant: Option<&str>) -> Result<Run, Refusal> {
        match self {
            Self::Cancel => engine.cancel(run, tenant).await,
            Self::Pause => engine.pause(run, tenant).await,
            Self::Resume => engine.resume(run, tenant).await,
            Self::Signal { name, payload } => engine.signal(run, tenant, name, payload).await,
            Self::Retry { step } => engine.retry(run, tenant, step).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Command, WORDS};

    #[test]
    fn each_word_takes_its_members_and_no_others() {
        for (word, body, sound) in [
            ("cancel", "", true),
            ("pause", "{}", true),
            ("resume", r#"{"name":"x"}"#, false),
            ("signal", r#"{"name":"x","payload":[1]}"#, true),
            ("signal", r#"{"name":"x"}"#, true),
            ("signal", r#"{"payload":1}"#, false),
            ("signal", "", false),
            ("retry", r#"{"step":"a"}"#, true),
            ("retry", r#"{"step":1}"#, false),
            ("retry", "[]", false),
        ] {
            assert!(WORDS.contains(&word));
            assert_eq!(Command::read(word, body.as_bytes()).is_ok(), sound, "{word} {body}");
        }
    }
}
