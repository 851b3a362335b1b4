//! `tidegate keys create`: makes a caller's key, shows it once, and prints what goes into the file.
//!
//! It stores nothing: the file is the operator's. Listing and revoking keys is editing that file.

use std::process::ExitCode;

use super::config::print;
use crate::keys::{FreshKey, is_id};

/// What to do with callers' keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key: shown once, with the block for the configuration file.
    Create(CreateArgs),
}

/// What the key shall be.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate keys create --tenant search --models smart,openai/*
  tidegate keys create --json | jq -r .key
  tidegate keys create --id tg-AbCdEf123456     # a new secret under an id that is in use

The secret is nowhere kept: who loses it makes a new one. To revoke a key, take its block out of the file.")]
pub(super) struct CreateArgs {
    /// Keep this id and make a new secret for it, so that rules and logs that name it stay true.
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<String>,
    /// Whose key it is.
    #[arg(long, value_name = "NAME", value_parser = tenant)]
    tenant: Option<String>,
    /// What it may ask for: aliases, provider/model, provider/*. Without it: everything.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    models: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn id(text: &str) -> Result<String, String> {
    if is_id(text) { Ok(text.to_owned()) } else { Err("an id is tg- and 12 letters or digits".to_owned()) }
}

fn tenant(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a tenant's name is 1 to 64 letters, digits, `.`, `_` and `-`".to_owned())
    }
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Create(args) = command;
    match FreshKey::make(args.id.as_deref()) {
        Ok(key) => print(&shown(&key, args)),
        Err(error) => {
            eprintln!("error: the system has no randomness to give: {error}");
            ExitCode::FAILURE
        }
    }
}

fn shown(key: &FreshKey, args: &CreateArgs) -> String {
    if args.json {
        let object = serde_json::json!({
            "key": key.text,
            "id": key.id,
            "hash": key.hash.to_string(),
            "tenant": args.tenant,
            "models": args.models,
        });
        return format!("{object:#}\n");
    }
    format!(
        "The key, shown this once; give it to its holder:\n\n  {}\n\nFor the configuration file:\n\n{}",
        key.text,
        block(key, args)
    )
}

/// The key's block of the file.
fn block(key: &FreshKey, args: &CreateArgs) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut block = format!("[[keys]]\nid = {}\nhash = {}\n", quoted(&key.id), quoted(&key.hash.to_string()));
    if let Some(tenant) = &args.tenant {
        block.push_str(&format!("tenant = {}\n", quoted(tenant)));
    }
    if !args.models.is_empty() {
        let models: Vec<String> = args.models.iter().map(|model| quoted(model)).collect();
        block.push_str(&format!("models = [{}]\n", models.join(", ")));
    }
    block
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::config::{Config, Sources};
    use crate::keys::CallerKey;

    fn args(tenant: Option<&str>, models: &[&str]) -> CreateArgs {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        CreateArgs { id: None, tenant: tenant.map(str::to_owned), models, json: false }
    }

    #[test]
    fn the_block_loads_and_knows_the_key() {
        let key = FreshKey::make(None).unwrap();
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), block(&key, &args(Some("search"), &["sim/*", "sim/fast"]))).unwrap();
        let sources = Sources { path: Some(file.path().to_owned()), ..Sources::default() };
        let config =
            Config::load(&sources).unwrap_or_else(|faults| panic!("{}", faults.render(false))).config;
        let [known] = &config.keys[..] else { panic!("one key") };
        assert!(known.hash.verify(&CallerKey::parse(key.text.as_bytes()).unwrap()));
        assert_eq!(
            (known.id.as_str(), known.tenant.as_deref(), known.models.len()),
            (key.id.as_str(), Some("search"), 2)
        );
    }

    #[test]
    fn both_forms_show_the_key_once() {
        let key = FreshKey::make(None).unwrap();
        for json in [false, true] {
            let shown = shown(&key, &CreateArgs { json, ..args(None, &[]) });
            assert_eq!(shown.matches(&key.text).count(), 1, "{shown}");
            assert_eq!(shown.matches(&key.hash.to_string()).count(), 1, "{shown}");
        }
    }

    #[test]
    fn wrong_ids_and_tenants_are_wrong_usage() {
        assert!(id("tg-AbCdEf123456").is_ok() && tenant("a.b-c_d").is_ok());
        for text in ["", "tg-", "tg-AbCdEf12345!", "AbCdEf123456", "tg-AbCdEf1234567"] {
            assert!(id(text).is_err(), "{text}");
        }
        for text in ["", "a b", "é", &"x".repeat(65)] {
            assert!(tenant(text).is_err(), "{text}");
        }
    }
}
