//! `tidegate dashboard export`: what is ready-made for others' tools, printed. The files lie under `deploy/`, and in the
//! program.

use std::process::ExitCode;

use super::config::print;

const GRAFANA: &str = include_str!("../../../../deploy/grafana/tidegate.json");
const RULES: &str = include_str!("../../../../deploy/prometheus/tidegate.rules.yml");

/// What to do with dashboards.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print a dashboard for Grafana, or rules for Prometheus.
    Export(ExportArgs),
}

/// Which to print.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate dashboard export > tidegate.json            # Grafana: Dashboards, New, Import
  tidegate dashboard export rules > /etc/prometheus/rules/tidegate.yml")]
pub(super) struct ExportArgs {
    /// For whom.
    #[arg(value_enum, default_value_t = What::Grafana)]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// A dashboard, as JSON.
    Grafana,
    /// Recorded figures and alerts, as YAML.
    Rules,
}

/// Prints what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Export(ExportArgs { what }) = command;
    print(match what {
        What::Grafana => GRAFANA,
        What::Rules => RULES,
    })
}
