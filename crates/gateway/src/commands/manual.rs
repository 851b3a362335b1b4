//! `tidegate completions` and `tidegate man`: made from the command line's own description.

use super::Cli;
use super::config::print;
use clap::CommandFactory;
use std::process::ExitCode;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tidegate completions bash > /etc/bash_completion.d/tidegate")]
pub(super) struct CompletionsArgs {
    /// Which shell.
    shell: clap_complete::Shell,
}

/// Prints the completions.
pub(super) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tidegate", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page, the subcommands' pages after it.
pub(super) fn man() -> ExitCode {
    let mut page = Vec::new();
    let mut root = Cli::command();
    root.build();
    match render(&root, &mut page) {
        Ok(()) => print(&String::from_utf8_lossy(&page)),
        Err(error) => {
            eprintln!("error: cannot write the manual page: {error}");
            ExitCode::FAILURE
        }
    }
}

fn render(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(page)?;
    let shown = |sub: &&clap::Command| sub.get_name() != "help";
    command.get_subcommands().filter(shown).try_for_each(|sub| render(sub, page))
}
