//! `tidegate advice`: what might be changed on a running gateway and what for; applying it, and taking it back; asked
//! over its admin plane.

mod table;

use std::process::ExitCode;

use http::Method;

use super::admin::AdminArgs;
use super::refusal::Refusal;
use super::show;

/// What to do with advice.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what might be changed, with its evidence, and what was applied.
    List(ListArgs),
    /// Write what is advised into the gateway's configuration file and put it in force. Only what is safe.
    #[command(after_help = "Examples:
  tidegate advice apply duplicates-5b0c9b1f6d2a7e33")]
    Apply(OneArgs),
    /// Take what was applied out of the file again.
    #[command(after_help = "Examples:
  tidegate advice revert duplicates-5b0c9b1f6d2a7e33")]
    Revert(OneArgs),
}

/// How to show it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate advice list
  tidegate advice list --json | jq '.advice[] | select(.safe).id'")]
pub(super) struct ListArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Which piece of advice.
#[derive(Debug, clap::Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Its id, as `tidegate advice list` shows it.
    #[arg(value_name = "ID", value_parser = id, help_heading = "Which")]
    id: String,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// What may stand in a path as it is.
fn id(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_id = !text.is_empty() && text.bytes().all(is_plain);
    if is_id { Ok(text.to_owned()) } else { Err("an id is letters, digits, '-' and '_'".to_owned()) }
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::List(args) => list(args),
        Command::Apply(args) => one(args, "apply"),
        Command::Revert(args) => one(args, "revert"),
    };
    done.unwrap_or_else(|refusal| refusal.tell())
}

fn list(args: &ListArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::GET, "/admin/advice", None)?;
    Ok(show(args.json, &said, || table::of(&said)))
}

fn one(args: &OneArgs, word: &str) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::POST, &format!("/admin/advice/{}/{word}", args.id), None)?;
    Ok(show(args.json, &said, || table::of_one(&said, word)))
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn an_id_stands_in_a_path_as_it_is() {
        assert_eq!(id("prompt_cache-00ff").as_deref(), Ok("prompt_cache-00ff"));
        for text in ["", "a/b", "a b", "../x", "a%2f"] {
            assert!(id(text).is_err(), "{text}");
        }
    }
}
