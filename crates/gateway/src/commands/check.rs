//! `tidegate check`: says whether a configuration may be run, and what would run.
//!
//! It opens no socket and calls nobody; what only the network can tell is not its business. Whether the data folder can
//! be written it tries, and leaves nothing behind.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use super::config::print;
use crate::config::{Alias, Config, Environment, Fault, Faults, Key, Loaded, Provider, Sources};

/// Validate the configuration: every fault with its place and its mend.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate check
  tidegate check --config /etc/tidegate/tidegate.yaml
  tidegate check --json | jq '.faults[].message'

Exit codes: 0 it may be run, 2 it may not.")]
pub(super) struct Args {
    /// The configuration file: TOML, YAML or JSON. Without it the first that is there of ./tidegate.toml,
    /// ./tidegate.yaml, ./tidegate.yml and ./tidegate.json.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tell the faults as one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// Lines of a list shown before the rest is only counted: the summary fits on a screen.
const LIST_MAX: usize = 8;

/// Loads the configuration and reports.
pub(super) fn run(args: &Args) -> ExitCode {
    let loaded = Config::load(&Sources::of_process(args.config.clone()));
    match (loaded.map(Loaded::with_data_folder_tried), args.json) {
        (Ok(loaded), false) => print(&summary(&loaded)),
        (Ok(loaded), true) => print(&format!("{:#}\n", report(Ok(&loaded)))),
        (Err(faults), true) => {
            print(&format!("{:#}\n", report(Err(&faults))));
            ExitCode::from(2)
        }
        (Err(faults), false) => refused(&faults),
    }
}

/// Draws the faults on stderr; the exit code of a wrong configuration.
pub(super) fn refused(faults: &Faults) -> ExitCode {
    let colour = std::io::stderr().is_terminal() && Environment::of_process().get("NO_COLOR").is_none();
    eprint!("{}", faults.render(colour));
    ExitCode::from(2)
}

fn report(outcome: Result<&Loaded, &Faults>) -> serde_json::Value {
    let warnings = |loaded: &Loaded| loaded.warnings.iter().map(Fault::to_json).collect();
    let (path, warnings, faults): (_, Vec<_>, _) = match outcome {
        Ok(loaded) => (loaded.path.as_ref(), warnings(loaded), serde_json::json!([])),
        Err(faults) => (faults.path(), Vec::new(), faults.to_json()),
    };
    serde_json::json!({
        "ok": outcome.is_ok(),
        "file": path.map(|path| path.display().to_string()),
        "faults": faults,
        "warnings": warnings,
    })
}

/// What would run, on one screen.
fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut out = String::new();
    let file = match &loaded.path {
        Some(path) => path.display().to_string(),
        None => "no file".to_owned(),
    };
    let _ = writeln!(out, "The configuration is sound ({file}, profile {}).\n", config.profile.name());
    listeners(&mut out, config);
    section(&mut out, "keys", config.keys.iter().map(key));
    section(&mut out, "providers", config.providers.values().map(provider));
    section(&mut out, "aliases", config.models.iter().map(|(name, alias)| alias_line(name, alias)));
    section(&mut out, "warnings", loaded.warnings.iter().map(ToString::to_string));
    out
}

fn listeners(out: &mut String, config: &Config) {
    let scheme = |tls: bool| if tls { "https" } else { "http" };
    let server = &config.server;
    let guard = match (config.keys.is_empty(), config.server.keys_required) {
        (false, _) => "keys required",
        (true, true) => "keys required: those of the store",
        (true, false) => "open: no keys, loopback only",
    };
    let _ = writeln!(out, "data plane   {}://{}  {guard}", scheme(server.tls.is_some()), server.listen);
    let admin = &config.admin;
    let guard = if admin.key.is_some() { "key required" } else { "open: no key, loopback only" };
    let _ = writeln!(out, "admin plane  {}://{}  {guard}", scheme(admin.tls.is_some()), admin.listen);
    let _ = writeln!(out, "data folder  {}", config.data.display());
}

/// A heading and its lines; nothing if there are none.
fn section(out: &mut String, heading: &str, lines: impl ExactSizeIterator<Item = String>) {
    let count = lines.len();
    for (index, line) in lines.take(LIST_MAX).enumerate() {
        let heading = if index == 0 { heading } else { "" };
        let _ = writeln!(out, "{heading:11}  {line}");
    }
    if count > LIST_MAX {
        let _ = writeln!(out, "{:11}  … and {} more", "", count - LIST_MAX);
    }
}

fn key(key: &Key) -> String {
    let tenant = key.tenant.as_deref().map(|tenant| format!("  tenant {tenant}")).unwrap_or_default();
    let models: Vec<String> = key.models.iter().map(ToString::to_string).collect();
    let models = if models.is_empty() { "every model".to_owned() } else { models.join(", ") };
    format!("{}{tenant}  {models}", key.id)
}

fn provider(provider: &Provider) -> String {
    let place = match &provider.base_url {
        Some(url) => url.to_string(),
        None => "in process, simulated".to_owned(),
    };
    let key = if provider.api_key.is_some() { "  with a key" } else { "" };
    format!("{:12} {place}{key}", provider.name)
}

fn alias_line(name: &str, alias: &Alias) -> String {
    let sum: u64 = alias.targets.iter().map(|target| u64::from(target.weight)).sum();
    let share = |weight: u32| (f64::from(weight) * 100.0 / sum.max(1) as f64).round();
    let targets: Vec<String> = alias
        .targets
        .iter()
        .map(|target| format!("{}/{} {} %", target.provider, target.model, share(target.weight)))
        .collect();
    format!("{name:12} {}", targets.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn load(text: &str) -> Result<Loaded, Faults> {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::load(&Sources { path: Some(file.path().to_owned()), ..Sources::default() })
    }

    #[test]
    fn the_summary_says_what_would_run() {
        let text = "[providers.vllm]\napi_key = 'CANARY'\n\
                    [models.smart]\ntargets = [{ model = 'vllm/a', weight = 3 }, { model = 'sim/fast' }]\n";
        let summary = summary(&load(text).ok().unwrap());
        for part in [
            "profile production",
            "data plane   http://127.0.0.1:4000  open: no keys, loopback only",
            "admin plane  http://127.0.0.1:4001  open: no key, loopback only",
            "vllm         http://127.0.0.1:8000/v1  with a key",
            "sim          in process, simulated",
            "smart        vllm/a 75 %, sim/fast 25 %",
        ] {
            assert!(summary.contains(part), "{part}: {summary}");
        }
        assert!(!summary.contains("CANARY"), "{summary}");
    }

    #[test]
    fn the_summary_fits_on_a_screen() {
        let providers: String = (0..500).map(|n| format!("[providers.p{n}]\npreset = 'vllm'\n")).collect();
        let summary = summary(&load(&providers).ok().unwrap());
        assert!(summary.lines().count() < 24 && summary.contains("… and 493 more"), "{summary}");
    }

    #[test]
    fn machines_are_told_of_faults_and_of_none() {
        let sound = report(load("").as_ref());
        assert_eq!((&sound["ok"], &sound["faults"]), (&true.into(), &serde_json::json!([])));
        let refused = report(load("nope = 1").as_ref());
        assert_eq!((&refused["ok"], &refused["faults"][0]["line"]), (&false.into(), &1.into()));
    }
}
