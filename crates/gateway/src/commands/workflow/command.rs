//! `tidegate workflow signal`, `cancel`, `pause`, `resume` and `retry`: what may be asked of a run.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::list::word;
use super::remote::Remote;
use super::run::json_of;
use crate::commands::caller::CallerArgs;
use crate::commands::config::print;
use crate::commands::refusal::Refusal;

/// Which run.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct RunArgs {
    #[command(flatten)]
    caller: CallerArgs,
    /// The run: `run-…`.
    #[arg(value_name = "RUN", value_parser = word)]
    run: String,
}

/// Which signal.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate workflow signal run-4az1n6yrktjedg43w6wfa27t approved --payload '{\"yes\": true}'")]
pub(in crate::commands) struct SignalArgs {
    #[command(flatten)]
    of: RunArgs,
    /// The signal, as the step that waits for it names it.
    #[arg(value_name = "NAME")]
    name: String,
    /// What comes with it, which becomes the step's output: JSON, or @FILE.
    #[arg(long, value_name = "JSON", default_value = "null")]
    payload: String,
}

/// Which step.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct RetryArgs {
    #[command(flatten)]
    of: RunArgs,
    /// The step that is done anew, with all that follow it.
    #[arg(value_name = "STEP")]
    step: String,
}

impl RunArgs {
    /// Says a word without more to it.
    pub(super) fn say(&self, word: &str) -> ExitCode {
        self.tell(word, &json!({})).unwrap_or_else(|refusal| refusal.tell())
    }

    fn tell(&self, word: &str, body: &Value) -> Result<ExitCode, Refusal> {
        let mut remote = Remote::new(&self.caller, None)?;
        let run = remote.post(&format!("/runs/{}/{word}", self.run), body)?;
        Ok(print(&format!("{} is {}\n", self.run, run["state"].as_str().unwrap_or("?"))))
    }
}

impl SignalArgs {
    /// Sends it.
    pub(super) fn send(&self) -> ExitCode {
        let payload = json_of("--payload", &self.payload);
        let sent = payload
            .and_then(|payload| self.of.tell("signal", &json!({ "name": self.name, "payload": payload })));
        sent.unwrap_or_else(|refusal| refusal.tell())
    }
}

impl RetryArgs {
    /// Asks for it.
    pub(super) fn ask(&self) -> ExitCode {
        self.of.tell("retry", &json!({ "step": self.step })).unwrap_or_else(|refusal| refusal.tell())
    }
}
