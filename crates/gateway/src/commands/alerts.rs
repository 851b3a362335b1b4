//! `tidegate alerts`: what fires on a running gateway, silences, and a test of who is told; asked over its admin
//! plane.

mod table;

use std::process::ExitCode;

use http::Method;
use serde_json::json;

use super::admin::AdminArgs;
use super::refusal::Refusal;
use super::{duration, show};
use crate::admin::alerts::{Asked, AskedMatcher};

/// What to do with alerts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what fires and what may, silences, and how those are who are told.
    List(ListArgs),
    /// Send a test through every receiver, and say what came back. Exits with 1 where one fails.
    #[command(after_help = "Examples:
  tidegate alerts test
  tidegate alerts test --json | jq '.receivers[] | select(.ok | not)'")]
    Test(TestArgs),
    /// Let nobody be told of some alerts for a while.
    Silence(SilenceArgs),
    /// End a silence.
    #[command(after_help = "Examples:
  tidegate alerts unsilence 1b9d6bcd5f2c44f0
  tidegate alerts list --json | jq -r '.silences[].id' | xargs -n1 tidegate alerts unsilence")]
    Unsilence(UnsilenceArgs),
}

/// How to show them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate alerts list
  tidegate alerts list --history
  tidegate alerts list --json | jq '.alerts[] | select(.state == \"firing\").labels'")]
pub(super) struct ListArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// What fired and was resolved, too.
    #[arg(long, help_heading = "Report")]
    history: bool,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// How to show what came of it.
#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// What to silence.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate alerts silence alertname=errors --duration 2h --comment 'known, see #17'
  tidegate alerts silence alertname=failures 'provider=openai*' --until 2030-01-31T12:00:00Z
  tidegate alerts silence severity!=critical --duration 8h")]
pub(super) struct SilenceArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Labels that must match, all of them: `name=value` or `name!=value`, where `*` stands for anything.
    #[arg(value_name = "MATCHER", required = true, value_parser = matcher, help_heading = "Which")]
    matchers: Vec<Matcher>,
    /// For how long, up to 100 days.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "1h",
        value_parser = duration,
        conflicts_with = "until",
        help_heading = "How long"
    )]
    duration: String,
    /// Until when, as 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = moment, help_heading = "How long")]
    until: Option<String>,
    /// Who wants it.
    #[arg(long, value_name = "NAME", default_value = "", help_heading = "Why")]
    author: String,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Why")]
    comment: String,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Which silence to end.
#[derive(Debug, clap::Args)]
pub(super) struct UnsilenceArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Its id, as `tidegate alerts list` shows it.
    #[arg(value_name = "ID", value_parser = id, help_heading = "Which")]
    id: String,
}

/// A word on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Matcher {
    name: String,
    value: String,
    equal: bool,
}

fn matcher(text: &str) -> Result<Matcher, String> {
    let (name, value) = text.split_once('=').ok_or("write name=value or name!=value")?;
    let (name, equal) = match name.strip_suffix('!') {
        Some(name) => (name, false),
        None => (name, true),
    };
    if name.is_empty() {
        return Err("name a label before the sign".to_owned());
    }
    Ok(Matcher { name: name.to_owned(), value: value.to_owned(), equal })
}

/// A moment, sent as it was written.
fn moment(text: &str) -> Result<String, String> {
    let read: Result<jiff::Timestamp, _> = text.parse();
    read.map(|_| text.to_owned()).map_err(|_| "write it as 2030-01-31T12:00:00Z".to_owned())
}

/// What may stand in a path as it is.
fn id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id { Ok(text.to_owned()) } else { Err("an id is letters and digits".to_owned()) }
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::List(args) => list(args),
        Command::Test(args) => test(args),
        Command::Silence(args) => silence(args),
        Command::Unsilence(args) => unsilence(args),
    };
    done.unwrap_or_else(|refusal| refusal.tell())
}

fn list(args: &ListArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::GET, "/admin/alerts", None)?;
    Ok(show(args.json, &said, || table::of(&said, args.history)))
}

fn test(args: &TestArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::POST, "/admin/alerts/test", None)?;
    let shown = show(args.json, &said, || table::of_test(&said));
    let receivers = said["receivers"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(if receivers.iter().all(|receiver| receiver["ok"] == true) { shown } else { ExitCode::FAILURE })
}

fn silence(args: &SilenceArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::POST, "/admin/alerts/silences", Some(&json!(args.asked())))?;
    Ok(show(args.json, &said, || {
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        format!("silence {} until {}\n", text("id"), text("until"))
    }))
}

fn unsilence(args: &UnsilenceArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::DELETE, &format!("/admin/alerts/silences/{}", args.id), None)?;
    Ok(show(false, &said, || format!("silence {} has ended\n", args.id)))
}

impl SilenceArgs {
    fn asked(&self) -> Asked {
        let of = |matcher: &Matcher| {
            let Matcher { name, value, equal } = matcher.clone();
            AskedMatcher { name, value, equal }
        };
        Asked {
            matchers: self.matchers.iter().map(of).collect(),
            duration: self.until.is_none().then(|| self.duration.clone()),
            until: self.until.clone(),
            author: self.author.clone(),
            comment: self.comment.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SilenceArgs,
    }

    fn parsed(words: &[&str]) -> Result<Value, clap::Error> {
        let words = ["silence"].iter().chain(words);
        Line::try_parse_from(words).map(|line| json!(line.args.asked()))
    }

    #[test]
    fn matchers_and_an_end_become_a_silence() {
        let asked = parsed(&["alertname=errors", "model!=gpt=*", "--until", "2030-01-31T12:00:00Z"]).unwrap();
        let expected = json!({
            "matchers": [
                { "name": "alertname", "value": "errors", "equal": true },
                { "name": "model", "value": "gpt=*", "equal": false },
            ],
            "until": "2030-01-31T12:00:00Z",
            "author": "",
            "comment": "",
        });
        assert_eq!(asked, expected);
        assert_eq!(parsed(&["a=b"]).unwrap()["duration"], "1h");
    }

    #[test]
    fn what_is_no_matcher_is_wrong_usage() {
        for words in [
            &[][..],
            &["errors"],
            &["=x"],
            &["!=x"],
            &["a=b", "--duration", "1y"],
            &["a=b", "--until", "tomorrow"],
            &["a=b", "--duration", "1h", "--until", "2030-01-31T12:00:00Z"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }
}
