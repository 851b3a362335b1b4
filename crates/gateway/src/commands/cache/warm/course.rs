//! The course of a run: a line is read, waits for its turn, is asked, and is counted. Everything that is counted
//! or shown is in one place and needs no lock; only the requests themselves are tasks of their own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::super::super::caller::hopeless;
use super::super::super::client::{Answer, Client, Error, Line as Connection};
use super::super::super::lines::Line;
use super::super::super::progress::Progress;
use super::super::super::rate::{Pace, Rate};
use super::super::super::signals::Signals;
use super::lines::{LINE_BYTES_MAX, Lines};
use super::prompt::{Asking, Recipe};
use super::tally::{Came, Tally};

/// Between two looks at the progress, where nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is to be run.
pub(super) struct Course {
    /// The gateway.
    pub(super) client: Arc<Client>,
    /// Where it takes chat completions.
    pub(super) path: Arc<str>,
    /// The file's name, for what is said of its lines.
    pub(super) file: PathBuf,
    /// How a line becomes requests.
    pub(super) recipe: Recipe,
    /// Lines asked at once.
    pub(super) concurrency: usize,
    /// How fast they are begun.
    pub(super) rate: Option<Rate>,
}

/// How a run ended.
pub(super) enum Ended {
    /// With the file.
    Done,
    /// By a signal.
    Interrupted,
    /// For a reason that would have failed every further line.
    Refused(String),
}

/// A line whose turn has come.
struct Turn {
    number: u64,
    end: u64,
    asking: Vec<Asking>,
}

/// A line that was asked.
struct Asked {
    number: u64,
    end: u64,
    came: Vec<Came>,
    /// Why asking more would be of no use.
    refused: Option<String>,
    connection: Connection,
}

impl Course {
    /// Asks every line. An interrupt ends it: what is under way is waited for, a second interrupt gives that up.
    pub(super) async fn run(
        &self,
        mut lines: Lines,
        progress: &mut Progress,
        signals: &mut Signals,
    ) -> (Tally, Ended) {
        let mut tally = Tally::default();
        let mut under_way: JoinSet<Asked> = JoinSet::new();
        let mut idle: Vec<Connection> = Vec::new();
        let mut pace = Pace::new(self.rate);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn: Option<Turn> = None;
        let mut ended: Option<Ended> = None;
        let mut bytes = 0;
        while ended.is_none() || !under_way.is_empty() {
            tokio::select! {
                biased;
                () = signals.any() => {
                    if matches!(ended, Some(Ended::Interrupted)) {
                        under_way.shutdown().await;
                    } else {
                        progress.tell("interrupted: what is under way is waited for; once more gives it up");
                        ended = Some(Ended::Interrupted);
                    }
                }
                Some(asked) = under_way.join_next() => {
                    let Ok(mut asked) = asked else {
                        tally.failed += 1;
                        continue;
                    };
                    bytes = asked.end.max(bytes);
                    match asked.refused.take() {
                        // Also where the file is at its end: its last lines may be the ones refused.
                        Some(why) => ended = Some(Ended::Refused(why)),
                        None => tally.prompts += 1,
                    }
                    idle.push(self.count(asked, &mut tally, progress));
                }
                line = lines.ahead.recv(), if ended.is_none() && turn.is_none() => match line {
                    None => ended = Some(Ended::Done),
                    Some(Err(error)) => {
                        ended = Some(Ended::Refused(format!("{}: {error}", self.file.display())));
                    }
                    Some(Ok(line)) => turn = self.turn(&line, &mut tally, progress),
                },
                () = pace.next(), if ended.is_none() && turn.is_some() && under_way.len() < self.concurrency => {
                    if let Some(turn) = turn.take() {
                        let connection = idle.pop().unwrap_or_default();
                        under_way.spawn(ask(Arc::clone(&self.client), Arc::clone(&self.path), turn, connection));
                    }
                }
                _ = look.tick() => {}
            }
            progress.at(bytes, |elapsed| tally.line(elapsed));
        }
        (tally, ended.unwrap_or(Ended::Done))
    }

    /// What is to be asked for a line; a bad one is told and counted.
    fn turn(&self, line: &Line, tally: &mut Tally, progress: &mut Progress) -> Option<Turn> {
        let asking = match &line.text {
            Some(text) => self.recipe.requests(text).map_err(|fault| fault.to_string()),
            None => Err(format!("longer than {} MiB", LINE_BYTES_MAX >> 20)),
        };
        match asking {
            Ok(asking) => Some(Turn { number: line.number, end: line.end, asking }),
            Err(why) => {
                tally.bad_lines += 1;
                progress.fault(&self.told(line.number, &why));
                None
            }
        }
    }

    fn count(&self, asked: Asked, tally: &mut Tally, progress: &mut Progress) -> Connection {
        for came in asked.came {
            if let Came::Failed(why) = &came {
                progress.fault(&self.told(asked.number, why));
            }
            tally.count(came);
        }
        asked.connection
    }

    fn told(&self, line: u64, why: &str) -> String {
        format!("{}:{line}: {why}", self.file.display())
    }
}

/// Asks one line, one request after another.
async fn ask(client: Arc<Client>, path: Arc<str>, turn: Turn, mut connection: Connection) -> Asked {
    let mut came = Vec::with_capacity(turn.asking.len());
    let mut refused = None;
    for asking in turn.asking {
        let answer = client.ask(&mut connection, Method::POST, &path, asking.body).await;
        refused = hopeless(&client, &answer);
        if refused.is_some() {
            break;
        }
        came.push(judge(answer, asking.stream));
    }
    Asked { number: turn.number, end: turn.end, came, refused, connection }
}

fn judge(answer: Result<Answer, Error>, stream: bool) -> Came {
    match answer {
        Err(error) => Came::Failed(error.to_string()),
        Ok(answer) if answer.status != StatusCode::OK => Came::Failed(answer.complaint()),
        Ok(answer) if stream && !came_to_its_end(&answer.body) => {
            Came::Failed("the stream broke off".to_owned())
        }
        Ok(answer) => came(&answer.headers),
    }
}

fn came_to_its_end(stream: &Bytes) -> bool {
    stream.trim_ascii_end().ends_with(b"data: [DONE]")
}

/// What the cache had to do with an answer, by its `x-tidegate-cache`.
fn came(headers: &HeaderMap) -> Came {
    let told = headers.get("x-tidegate-cache").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match told.split(';').next().unwrap_or_default() {
        "hit" | "coalesced" => Came::Hit,
        "miss" => Came::Fetched,
        "bypass" => {
            let reason = told.split_once("reason=").map_or("unknown", |(_, reason)| reason);
            Came::Bypassed(reason.to_owned())
        }
        _ => {
            Came::Failed("an answer without `x-tidegate-cache`: no Tidegate with a cache is there".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use http::HeaderValue;

    use super::*;

    fn answer(status: StatusCode, cache: Option<&'static str>, body: &'static str) -> Result<Answer, Error> {
        let cache = cache.map(|value| {
            (http::HeaderName::from_static("x-tidegate-cache"), HeaderValue::from_static(value))
        });
        Ok(Answer { status, headers: cache.into_iter().collect(), body: Bytes::from_static(body.as_bytes()) })
    }

    #[test]
    fn an_answer_counts_as_what_the_cache_made_of_it() {
        let good = |cache| judge(answer(StatusCode::OK, Some(cache), "{}"), false);
        assert_eq!(good("hit; tier=memory"), Came::Hit);
        assert_eq!(good("hit; tier=semantic; similarity=0.97"), Came::Hit);
        assert_eq!(good("coalesced"), Came::Hit);
        assert_eq!(good("miss"), Came::Fetched);
        assert_eq!(good("bypass; reason=temperature"), Came::Bypassed("temperature".to_owned()));
        assert!(matches!(judge(answer(StatusCode::OK, None, "{}"), false), Came::Failed(_)));
    }

    #[test]
    fn a_refusal_or_a_broken_stream_is_a_failure() {
        let check = |answer, stream, why: &str| {
            let Came::Failed(told) = judge(answer, stream) else { panic!("{why}") };
            assert!(told.contains(why), "{told}");
        };
        let body = r#"{"error":{"message":"No such model.","code":null}}"#;
        check(answer(StatusCode::NOT_FOUND, Some("miss"), body), false, "404: No such model.");
        check(answer(StatusCode::BAD_GATEWAY, None, ""), false, "502 Bad Gateway");
        check(answer(StatusCode::OK, Some("miss"), "data: {}\n\n"), true, "broke off");
        let whole = answer(StatusCode::OK, Some("miss"), "data: {}\n\ndata: [DONE]\n\n");
        assert_eq!(judge(whole, true), Came::Fetched);
    }
}
