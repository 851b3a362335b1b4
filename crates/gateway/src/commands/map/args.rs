//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgGroup;
use rig::load::units;
use wire::Operation;

use super::super::caller::CallerArgs;
use super::super::client::Client;
use super::super::rate::Rate;
use super::super::refusal::Refusal;
use super::ask::Asker;
use super::pace::Pace;
use super::sequence::Order;
use super::shape::Shape;
use super::sink::Earlier;
use super::source::Format;
use super::terms::{ErrorsMax, Terms};
use crate::config::{Environment, Priority};

/// Says how urgent the rows are.
const PRIORITY: &str = "x-tidegate-priority";

/// What to ask of which rows, whom, and where the answers go.
#[derive(Debug, clap::Args)]
#[command(mut_arg("url", |url| url.help("The gateway's data plane, or any base URL that speaks OpenAI's protocol")))]
#[command(group = ArgGroup::new("what").required(true).args(["prompt", "prompt_file", "input"]))]
#[command(after_help = "Examples:
  tidegate map in.jsonl -o out.jsonl --model smart --prompt 'Summarise: {{text}}'
  tidegate map in.csv -o out.csv --model smart --prompt 'Translate to French: {{text}}' --select id
  tidegate map in.jsonl -o out.jsonl --model smart --prompt-file ask.txt --json \\
      --param temperature=0 --param 'response_format={\"type\":\"json_object\"}'
  tidegate map in.jsonl -o vectors.jsonl --model openai/text-embedding-3-small --input '{{text}}' \\
      --field vector --select id
  tidegate map in.jsonl -o out.jsonl --model smart --prompt 'Summarise: {{text}}' --dry-run --sample

{{field}} is a field of the row, {{a.b}} or {{a.0}} one that lies deeper, {{$line}} the row's line, {{{{ two braces. \
A field that is not there or null makes the row an error; nothing is asked then.

Each line of the output is the row with the answer beside its fields. A row without an answer goes to the error \
file, as {\"line\", \"code\", \"message\", \"status\", \"row\"}, and the rest goes on; to ask those again: jq -c \
.row out.jsonl.errors.jsonl > again.jsonl

How far it has come is kept in OUTPUT.progress. Stopped, killed or out of power, it goes on with the same command \
where it stopped, and every row is in the output or among the errors exactly once. What was under way is asked \
again. Where the input, or what is asked, has changed since, it refuses.

Rows are asked in the batch band, behind all other callers, a few at once at first, more while all is well, half as \
many when the server says 429 or 503; its Retry-After is heeded.

Exit codes: 0 all rows answered, 1 rows failed or it stopped early, 2 wrong usage.")]
pub(in crate::commands) struct Args {
    /// The input: JSON objects, one a line, or CSV under a line of names.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The output: JSON lines, or CSV where its name ends so.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Model or alias to ask.
    #[arg(long, value_name = "MODEL")]
    pub(super) model: String,

    /// What to ask of each row, with {{field}} for what the row says.
    #[arg(long, value_name = "TEMPLATE", help_heading = "Request")]
    pub(super) prompt: Option<String>,
    /// The same, from a file.
    #[arg(long, value_name = "FILE", help_heading = "Request")]
    pub(super) prompt_file: Option<PathBuf>,
    /// What to embed of each row.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "system", help_heading = "Request")]
    pub(super) input: Option<String>,
    /// What the model is told before. A template too.
    #[arg(long, value_name = "TEMPLATE", help_heading = "Request")]
    pub(super) system: Option<String>,
    /// What is asked for. Without it: embeddings where --input is given, else chat.
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Request")]
    pub(super) endpoint: Option<Endpoint>,
    /// Member of each request, such as temperature=0; the value is JSON, or else a text. May be given again.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param, help_heading = "Request")]
    pub(super) params: Vec<(String, serde_json::Value)>,
    /// Members of each request, as a JSON object. What --param says wins.
    #[arg(long, value_name = "JSON", value_parser = members, help_heading = "Request")]
    pub(super) body: Option<serde_json::Map<String, serde_json::Value>>,

    /// The input's form. Without it: as its name ends.
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Rows")]
    pub(super) format: Option<Format>,
    /// The answer's name in the output.
    #[arg(long, value_name = "NAME", default_value = "answer", help_heading = "Rows")]
    pub(super) field: String,
    /// Fields of the row that the output keeps, in this order. Without it: all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Rows")]
    pub(super) select: Vec<String>,
    /// The answer must be JSON, and stands in the output as a value; any other is an error.
    #[arg(long, help_heading = "Rows")]
    pub(super) json: bool,
    /// Order of the output.
    #[arg(long, value_enum, value_name = "ORDER", default_value = "input", help_heading = "Rows")]
    pub(super) order: Order,
    /// Where errors go. Without it: beside the output, OUTPUT.errors.jsonl.
    #[arg(long, value_name = "FILE", help_heading = "Rows")]
    pub(super) errors: Option<PathBuf>,
    /// Only the first rows.
    #[arg(long, value_name = "N", help_heading = "Rows")]
    pub(super) limit: Option<u64>,

    /// Throw away what an earlier run has written, and begin anew.
    #[arg(long, conflicts_with = "force", help_heading = "Going on")]
    pub(super) restart: bool,
    /// Go on although the input or what is asked has changed. Rows count as done by their number.
    #[arg(long, help_heading = "Going on")]
    pub(super) force: bool,
    /// Stop when more rows fail in this run: a number, or a share such as 5% once there are 100 rows.
    #[arg(long, value_name = "N|P%", value_parser = errors_max, help_heading = "Going on")]
    pub(super) max_errors: Option<ErrorsMax>,

    #[command(flatten)]
    pub(super) caller: CallerArgs,

    /// Rows asked at once at most. Without it: 8 at first, up to 256 while all is well.
    #[arg(long, short = 'c', value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Pace")]
    pub(super) concurrency: Option<u16>,
    /// Most requests begun in a time, such as 5/s, 90/m or 1000/h.
    #[arg(long, value_name = "RATE", help_heading = "Pace")]
    pub(super) rate: Option<Rate>,
    /// How urgent the rows are beside other callers' requests: high, normal, low or batch.
    #[arg(long, value_name = "NAME", default_value = "batch", value_parser = priority, help_heading = "Pace")]
    pub(super) priority: Priority,
    /// Tries at a row after the first, where the server fails or cannot be reached.
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Pace")]
    pub(super) retries: u32,
    /// The longest that one answer may take.
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = units::parse_duration, help_heading = "Pace")]
    pub(super) timeout: Duration,

    /// Send nothing: read the whole input, tell its faults, and estimate tokens and cost.
    #[arg(long, conflicts_with_all = ["restart", "force"], help_heading = "Trying it out")]
    pub(super) dry_run: bool,
    /// With --dry-run: show the first requests, 3 or as many as said.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3", requires = "dry_run", help_heading = "Trying it out")]
    pub(super) sample: Option<u64>,
    /// With --dry-run: what the model costs, in dollars for a million tokens read and written, such as 2.5,10.
    /// Without it: what the configuration says.
    #[arg(long, value_name = "IN,OUT", value_parser = price, requires = "dry_run", help_heading = "Trying it out")]
    pub(super) price: Option<Dollars>,
    /// With --dry-run: the gateway's configuration file. Without it: ./tidegate.toml, if it is there.
    #[arg(long, value_name = "FILE", requires = "dry_run", help_heading = "Trying it out")]
    pub(super) config: Option<PathBuf>,

    /// The summary's form.
    #[arg(long, value_enum, value_name = "FORM", default_value = "text", help_heading = "Report")]
    pub(super) summary: SummaryForm,
    /// Show no progress and no summary.
    #[arg(long, short = 'q', help_heading = "Report")]
    pub(super) quiet: bool,
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Endpoint {
    /// A chat completion.
    Chat,
    /// A vector.
    Embeddings,
}

/// A form for people or for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SummaryForm {
    /// Words.
    Text,
    /// JSON.
    Json,
}

/// Dollars for a million tokens, which are millionths of a dollar for one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Dollars {
    /// Read.
    pub(super) input: f64,
    /// Written.
    pub(super) output: f64,
}

fn param(text: &str) -> Result<(String, serde_json::Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            let json = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((name.trim().to_owned(), json))
        }
        _ => Err("a member is written NAME=VALUE".to_owned()),
    }
}

fn members(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("it must be a JSON object: {error}"))
}

fn errors_max(text: &str) -> Result<ErrorsMax, String> {
    let refuse = || "it is a number of rows, or a share such as 5%".to_owned();
    match text.strip_suffix('%') {
        None => text.parse().map(ErrorsMax::Rows).map_err(|_| refuse()),
        Some(share) => match share.trim().parse() {
            Ok(share) if (0.0..=100.0).contains(&share) => Ok(ErrorsMax::Percent(share)),
            _ => Err(refuse()),
        },
    }
}

fn priority(text: &str) -> Result<Priority, String> {
    Priority::named(text).ok_or_else(|| "it is one of: high, normal, low, batch".to_owned())
}

fn price(text: &str) -> Result<Dollars, String> {
    let amount =
        |text: &str| text.trim().parse().ok().filter(|amount: &f64| amount.is_finite() && *amount >= 0.0);
    let (input, output) = text.split_once(',').unwrap_or((text, "0"));
    match (amount(input), amount(output)) {
        (Some(input), Some(output)) => Ok(Dollars { input, output }),
        _ => Err("a price is two amounts of dollars, such as 2.5,10".to_owned()),
    }
}

impl Args {
    /// What to ask for.
    ///
    /// # Errors
    /// Where the flags do not agree.
    pub(super) fn operation(&self) -> Result<Operation, Refusal> {
        match (self.endpoint, &self.input) {
            (None | Some(Endpoint::Embeddings), Some(_)) => Ok(Operation::Embeddings),
            (None | Some(Endpoint::Chat), None) => Ok(Operation::ChatCompletions),
            (Some(Endpoint::Embeddings), None) => {
                Err(Refusal::Usage("--endpoint embeddings wants --input and no --prompt".to_owned()))
            }
            (Some(Endpoint::Chat), Some(_)) => {
                Err(Refusal::Usage("--input is for --endpoint embeddings; chat wants --prompt".to_owned()))
            }
        }
    }

    /// What to do with an earlier run's output.
    pub(super) fn earlier(&self) -> Earlier {
        match (self.restart, self.force) {
            (true, _) => Earlier::Restart,
            (false, true) => Earlier::Force,
            (false, false) => Earlier::GoOn,
        }
    }

    /// The client that asks.
    ///
    /// # Errors
    /// Wrong usage.
    pub(super) fn client(&self, environment: &Environment) -> Result<Client, Refusal> {
        let client = self.caller.client(environment, self.timeout)?;
        if self.caller.says(PRIORITY) {
            return Ok(client);
        }
        client.with_header(PRIORITY, self.priority.name()).map_err(|error| Refusal::Usage(error.to_string()))
    }

    /// How a run goes.
    pub(super) fn terms(&self, client: Client, shape: Shape, operation: Operation) -> Terms {
        let path = self.caller.path(operation);
        Terms {
            asker: Asker { client, path, operation, json: self.json },
            shape,
            order: self.order,
            retries: self.retries,
            errors_max: self.max_errors,
            limited: self.limit.is_some(),
            pace: Pace::new(self.concurrency, self.rate.map(Rate::every)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(flags: &[&str]) -> Result<Args, clap::Error> {
        let always = ["map", "in.jsonl", "-o", "out.jsonl", "--model", "m"];
        Line::try_parse_from(always.iter().chain(flags)).map(|line| line.args)
    }

    #[test]
    fn members_are_json_or_else_texts() {
        let flags = ["--prompt=p", "--param=temperature=0", "--param", "user=a=b", "--body", r#"{"n":1}"#];
        let args = parsed(&flags).unwrap();
        let expected = [("temperature".to_owned(), 0.into()), ("user".to_owned(), "a=b".into())];
        assert_eq!(args.params, expected);
        assert_eq!(args.body.unwrap()["n"], 1);
    }

    #[test]
    fn what_is_asked_for_follows_from_what_is_given() {
        for (flags, operation) in [
            (&["--prompt=p"][..], Some(Operation::ChatCompletions)),
            (&["--input=i"], Some(Operation::Embeddings)),
            (&["--input=i", "--endpoint=embeddings"], Some(Operation::Embeddings)),
            (&["--input=i", "--endpoint=chat"], None),
            (&["--prompt=p", "--endpoint=embeddings"], None),
        ] {
            assert_eq!(parsed(flags).unwrap().operation().ok(), operation, "{flags:?}");
        }
    }

    #[test]
    fn rows_stand_behind_other_callers_unless_it_is_said_otherwise() {
        for (flags, said) in [
            (&["--prompt=p"][..], "batch"),
            (&["--prompt=p", "--priority=LOW"], "low"),
            (&["--prompt=p", "-H", "X-Tidegate-Priority: high"], "high"),
        ] {
            let client = parsed(flags).unwrap().client(&Environment::default()).unwrap();
            assert_eq!(client.header(PRIORITY).unwrap(), said);
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_wrong_usage() {
        for flags in [
            &[][..],
            &["--prompt=p", "--prompt-file=f"],
            &["--prompt=p", "--input=i"],
            &["--input=i", "--system=s"],
            &["--prompt=p", "--param=x"],
            &["--prompt=p", "--param==x"],
            &["--prompt=p", "--body=[]"],
            &["--prompt=p", "--max-errors=x"],
            &["--prompt=p", "--max-errors=101%"],
            &["--prompt=p", "--priority=urgent"],
            &["--prompt=p", "--restart", "--force"],
            &["--prompt=p", "--concurrency=0"],
            &["--prompt=p", "--sample"],
            &["--prompt=p", "--dry-run", "--price=x"],
            &["--prompt=p", "--format=xml"],
        ] {
            assert!(parsed(flags).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn bounds_and_prices_are_read_as_people_write_them() {
        assert_eq!(errors_max("7"), Ok(ErrorsMax::Rows(7)));
        assert_eq!(errors_max("2.5%"), Ok(ErrorsMax::Percent(2.5)));
        assert_eq!(price("2.5, 10"), Ok(Dollars { input: 2.5, output: 10.0 }));
        assert_eq!(price("0.02"), Ok(Dollars { input: 0.02, output: 0.0 }));
        assert!(price("-1,2").is_err() && price("1,inf").is_err());
    }
}
