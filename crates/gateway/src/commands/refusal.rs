//! Why a command was not done, and the exit code that says so.

use std::process::ExitCode;

use super::check::refused;
use crate::config::Faults;

/// Why a command was not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It was asked for in a way that cannot be: exit code 2.
    Usage(String),
    /// The configuration is wrong: exit code 2. With how it could have been done without one.
    Configuration(Faults, Option<&'static str>),
    /// It was tried: exit code 1.
    Failed(String),
}

impl Refusal {
    /// Tells it on stderr.
    pub(super) fn tell(&self) -> ExitCode {
        match self {
            Self::Configuration(faults, note) => {
                let code = refused(faults);
                if let Some(note) = note {
                    eprintln!("{note}");
                }
                code
            }
            Self::Usage(message) => {
                eprintln!("error: {message}");
                ExitCode::from(2)
            }
            Self::Failed(message) => {
                eprintln!("error: {message}");
                ExitCode::FAILURE
            }
        }
    }
}
