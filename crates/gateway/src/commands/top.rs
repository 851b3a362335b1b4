//! `tidegate top`: how a running gateway does, over its admin plane, anew every other second: rates and percentiles,
//! routes, targets, the latest requests. Elsewhere than on a terminal, and with `--once`, it is told once.

mod picture;
mod screen;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use http::Method;
use rig::load::units;
use serde_json::Value;

use super::admin::AdminArgs;
use super::refusal::Refusal;
use super::signals::Signals;
use picture::Said;
use screen::Screen;

/// Windows that there are figures of.
const WINDOWS: [&str; 5] = ["10s", "1m", "10m", "1h", "24h"];
/// Requests that are asked for on a terminal, which shows as many as it has room for.
const REQUESTS_MAX: usize = 100;

/// What to show, and how often.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate top
  tidegate top --window 10m --every 5s
  tidegate top --once | head -20
  tidegate top --json | jq '.performance.all[\"1m\"].figures.total.p99_ms'

Ctrl-C ends it.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Over how long routes and targets are told.
    #[arg(long, value_name = "WINDOW", default_value = "1m", value_parser = WINDOWS, help_heading = "Report")]
    window: String,
    /// How often it is looked again.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "2s",
        value_parser = units::parse_duration,
        help_heading = "Report"
    )]
    every: Duration,
    /// Tell it once, as plain text.
    #[arg(long, help_heading = "Report")]
    once: bool,
    /// Print what the gateway says, as JSON, once.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Shows how the gateway does, once or until it is told to end.
pub(super) fn run(args: &Args) -> ExitCode {
    let is_once = args.once || args.json || !std::io::stdout().is_terminal();
    let done = if is_once { once(args) } else { watch(args) };
    done.unwrap_or_else(|refusal| refusal.tell())
}

fn once(args: &Args) -> Result<ExitCode, Refusal> {
    let said = ask(args, 20)?;
    Ok(super::show(args.json, &said.to_json(), || said.lines(None).join("\n") + "\n"))
}

fn ask(args: &Args, requests: usize) -> Result<Said, Refusal> {
    let get = |path: &str| args.admin.ask(Method::GET, path, None);
    Ok(Said {
        performance: get(&format!("/admin/performance?window={}", args.window))?,
        targets: get("/admin/targets")?,
        requests: get(&format!("/admin/requests?limit={requests}"))?,
    })
}

/// Looks again and again. A gateway that is away for a while is waited for, once it was there.
fn watch(args: &Args) -> Result<ExitCode, Refusal> {
    let failed = |error: std::io::Error| Refusal::Failed(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut signals = {
        let _within = runtime.enter();
        Signals::catch().map_err(failed)?
    };
    let mut said = ask(args, REQUESTS_MAX)?;
    let screen = Screen::begin().map_err(failed)?;
    let mut away = None;
    loop {
        // Where nobody reads any more there is nothing to be done.
        if screen.show(&said.lines(away.as_deref())).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        let is_over = runtime.block_on(async {
            tokio::select! {
                () = signals.any() => true,
                () = tokio::time::sleep(args.every.max(Duration::from_millis(100))) => false,
            }
        });
        if is_over {
            return Ok(ExitCode::SUCCESS);
        }
        match ask(args, REQUESTS_MAX) {
            Ok(fresh) => (said, away) = (fresh, None),
            Err(Refusal::Failed(why) | Refusal::Usage(why)) => away = Some(why),
            Err(refusal) => return Err(refusal),
        }
    }
}

impl Said {
    fn to_json(&self) -> Value {
        serde_json::json!({
            "performance": self.performance,
            "targets": self.targets["targets"],
            "requests": self.requests["requests"],
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: super::Args,
    }

    #[test]
    fn what_cannot_be_asked_is_wrong_usage() {
        for line in ["", "--once", "--json", "--once --json", "--window 24h --every 500ms"] {
            assert!(Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace())).is_ok(), "{line}");
        }
        for line in ["--window 2h", "--every soon", "now"] {
            assert!(Line::try_parse_from(["x"].into_iter().chain(line.split(' '))).is_err(), "{line}");
        }
    }
}
