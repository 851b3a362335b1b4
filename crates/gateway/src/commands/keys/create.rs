//! `tidegate keys create`: makes a caller's key and shows it once, for the file or on a running gateway.
//!
//! For the file it stores nothing: the file is the operator's. A stored key is made by the gateway, which alone knows
//! which ids there are, and is valid at once.

use std::process::ExitCode;

use http::Method;
use serde_json::{Map, Value, json};

use crate::commands::admin::AdminArgs;
use crate::commands::config::print;
use crate::commands::refusal::Refusal;
use crate::config::{KeySettings, Priority};
use crate::keys::{FreshKey, is_id};

/// What the key shall be.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  tidegate keys create --tenant search --models smart,openai/*
  tidegate keys create --json | jq -r .key
  tidegate keys create --id tg-AbCdEf123456     # a new secret under an id that is in use
  tidegate keys create --stored --tenant search --requests-per-minute 600

The secret is nowhere kept: who loses it makes a new one. To revoke a key of the file, take its block out; to revoke \
a stored one: tidegate keys revoke ID.")]
pub(in crate::commands) struct Args {
    /// Make it on a running gateway, in its store: it is valid at once, without a change of the file.
    #[arg(long)]
    stored: bool,
    /// Keep this id and make a new secret for it, so that rules and logs that name it stay true. A stored key's id is
    /// never given twice.
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

/// What is said of a key beside its id.
#[derive(Debug, Default, clap::Args)]
struct Settings {
    /// Whose key it is.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// What it may ask for: aliases, provider/model, provider/*. Without it: everything.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    models: Vec<String>,
    /// How its requests stand among others that wait: high, normal, low or batch.
    #[arg(long, value_name = "PRIORITY", value_parser = priority)]
    priority: Option<Priority>,
    /// Most requests a minute.
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u64>,
    /// Most tokens a minute, read and written.
    #[arg(long, value_name = "N")]
    tokens_per_minute: Option<u64>,
    /// Most requests under way at once.
    #[arg(long, value_name = "N")]
    concurrent_requests: Option<u64>,
    /// Most streams under way at once.
    #[arg(long, value_name = "N")]
    concurrent_streams: Option<u64>,
}

impl Settings {
    /// As the file and the admin plane name them; what was not said is left out.
    fn members(&self) -> Map<String, Value> {
        let members = [
            ("tenant", self.tenant.as_deref().map(Value::from)),
            ("models", (!self.models.is_empty()).then(|| json!(self.models))),
            ("priority", self.priority.map(|priority| priority.name().into())),
            ("requests_per_minute", self.requests_per_minute.map(Value::from)),
            ("tokens_per_minute", self.tokens_per_minute.map(Value::from)),
            ("concurrent_requests", self.concurrent_requests.map(Value::from)),
            ("concurrent_streams", self.concurrent_streams.map(Value::from)),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Holds them to the file's own rules.
    fn check(&self) -> Result<(), Refusal> {
        match KeySettings::check(self.members()) {
            Ok(_) => Ok(()),
            Err(fault) => {
                let setting = fault.key.split('[').next().unwrap_or_default().replace('_', "-");
                Err(Refusal::Usage(format!("--{setting}: {}", fault.what)))
            }
        }
    }
}

fn priority(text: &str) -> Result<Priority, String> {
    Priority::named(text).ok_or_else(|| "write high, normal, low or batch".to_owned())
}

fn id(text: &str) -> Result<String, String> {
    if is_id(text) { Ok(text.to_owned()) } else { Err("an id is tg- and 12 letters or digits".to_owned()) }
}

/// Does what was asked for.
pub(super) fn run(args: &Args) -> ExitCode {
    if let Err(refusal) = args.settings.check() {
        return refusal.tell();
    }
    if args.stored {
        return on_gateway(args);
    }
    match FreshKey::make(args.id.as_deref()) {
        Ok(key) => print(&shown(&key, args)),
        Err(error) => {
            eprintln!("error: the system has no randomness to give: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Has a running gateway make it.
fn on_gateway(args: &Args) -> ExitCode {
    let mut asked = args.settings.members();
    if let Some(id) = &args.id {
        asked.insert("id".to_owned(), id.as_str().into());
    }
    match args.admin.ask(Method::POST, "/admin/keys", Some(&Value::Object(asked))) {
        Ok(made) if args.json => print(&format!("{made:#}\n")),
        Ok(made) => {
            let key = made["key"].as_str().unwrap_or_default();
            print(&format!("The key, shown this once; give it to its holder. It is valid now:\n\n  {key}\n"))
        }
        Err(refusal) => refusal.tell(),
    }
}

fn shown(key: &FreshKey, args: &Args) -> String {
    if args.json {
        let mut object = json!({
            "key": key.text,
            "id": key.id,
            "hash": key.hash.to_string(),
            "tenant": args.settings.tenant,
            "models": args.settings.models,
        });
        args.settings.members().into_iter().for_each(|(name, value)| object[name] = value);
        return format!("{object:#}\n");
    }
    format!(
        "The key, shown this once; give it to its holder:\n\n  {}\n\nFor the configuration file:\n\n{}",
        key.text,
        block(key, args)
    )
}

/// The key's block of the file. Values are written in TOML as in JSON: text, numbers and lists of text.
fn block(key: &FreshKey, args: &Args) -> String {
    let own = [("id", key.id.as_str().into()), ("hash", key.hash.to_string().into())];
    let own = own.map(|(name, value): (&str, Value)| (name.to_owned(), value));
    let lines = own.into_iter().chain(args.settings.members());
    lines.fold("[[keys]]\n".to_owned(), |block, (name, value)| format!("{block}{name} = {}\n", toml(value)))
}

fn toml(value: Value) -> String {
    toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::config::{Config, Sources};
    use crate::keys::CallerKey;

    fn args(tenant: Option<&str>, models: &[&str]) -> Args {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        let settings = Settings { tenant: tenant.map(str::to_owned), models, ..Settings::default() };
        Args { settings, ..Args::default() }
    }

    #[test]
    fn the_block_loads_and_knows_the_key() {
        let key = FreshKey::make(None).unwrap();
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let mut args = args(Some("search"), &["sim/*", "sim/fast"]);
        args.settings.priority = Some(Priority::Low);
        args.settings.requests_per_minute = Some(60);
        std::fs::write(file.path(), block(&key, &args)).unwrap();
        let sources = Sources { path: Some(file.path().to_owned()), ..Sources::default() };
        let config =
            Config::load(&sources).unwrap_or_else(|faults| panic!("{}", faults.render(false))).config;
        let [known] = &config.keys[..] else { panic!("one key") };
        assert!(known.hash.verify(&CallerKey::parse(key.text.as_bytes()).unwrap()));
        assert_eq!(
            (known.id.as_str(), known.tenant.as_deref(), known.models.len()),
            (key.id.as_str(), Some("search"), 2)
        );
        assert_eq!((known.priority, known.rates.requests_per_minute), (Priority::Low, Some(60)));
    }

    #[test]
    fn both_forms_show_the_key_once() {
        let key = FreshKey::make(None).unwrap();
        for json in [false, true] {
            let shown = shown(&key, &Args { json, ..args(None, &[]) });
            assert_eq!(shown.matches(&key.text).count(), 1, "{shown}");
            assert_eq!(shown.matches(&key.hash.to_string()).count(), 1, "{shown}");
        }
    }

    #[test]
    fn what_the_file_would_refuse_is_wrong_usage() {
        assert!(id("tg-AbCdEf123456").is_ok());
        for text in ["", "tg-", "tg-AbCdEf12345!", "AbCdEf123456", "tg-AbCdEf1234567"] {
            assert!(id(text).is_err(), "{text}");
        }
        assert!(args(Some("a.b-c_d"), &["smart", "openai/*"]).settings.check().is_ok());
        let rated = |rate| Settings { requests_per_minute: Some(rate), ..Settings::default() };
        for (settings, flag) in [
            (args(Some(""), &[]).settings, "--tenant:"),
            (args(Some("a b"), &[]).settings, "--tenant:"),
            (args(None, &[""]).settings, "--models:"),
            (args(None, &["smart", ""]).settings, "--models:"),
            (args(None, &["*b"]).settings, "--models:"),
            (rated(0), "--requests-per-minute: out of range: 1 to 1000000000 is allowed;"),
            (rated(5_000_000_000), "--requests-per-minute:"),
            (Settings { concurrent_streams: Some(u64::MAX), ..Settings::default() }, "--concurrent-streams:"),
        ] {
            match settings.check() {
                Err(Refusal::Usage(why)) => assert!(why.starts_with(flag), "{why}"),
                other => panic!("{settings:?}: {other:?}"),
            }
        }
    }
}
