//! The annotated example: it loads, says the defaults, and names every key there is.

use super::super::schema::Schema;
use super::*;

const EXAMPLE: &str = include_str!("../../../../../tidegate.example.toml");

#[test]
fn as_it_stands_it_is_the_defaults() {
    let loaded = Given::toml(EXAMPLE).loaded();
    assert_eq!(loaded.config, default_config());
    assert_eq!(loaded.warnings, []);
}

/// The example with every key that it holds back.
fn uncommented() -> String {
    let is_key = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()))
    };
    EXAMPLE.lines().map(|line| if is_key(line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn with_everything_taken_in_it_still_loads() {
    let (cert, key) = exposure::certificate();
    let config = Given::toml(&uncommented())
        .beside("server.pem", &cert)
        .beside("server-key.pem", &key)
        .beside("ca.pem", &cert)
        .variable("OPENAI_API_KEY", "sk-1")
        .config();
    assert_eq!(config.keys.len(), 1);
    assert_eq!(config.models["smart"].targets.len(), 2);
    // What it shows of a provider is the preset's own and the defaults.
    let plain = Given::toml("").variable("OPENAI_API_KEY", "sk-1").config();
    let (shown, plain) = (&config.providers["openai"], &plain.providers["openai"]);
    assert_eq!(
        (&shown.api_key, shown.timeouts, shown.connections),
        (&plain.api_key, plain.timeouts, plain.connections)
    );
    assert_eq!(
        shown.base_url.as_ref().map(ToString::to_string),
        plain.base_url.as_ref().map(ToString::to_string)
    );
}

#[test]
fn it_names_every_key() {
    let file: toml::Table = uncommented().parse().unwrap();
    let missing: Vec<String> = Schema::root()
        .paths()
        .into_iter()
        .filter(|path| !holds(&toml::Value::Table(file.clone()), path))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// Whether a value holds a path such as `keys[].id` or `providers.*.timeouts`.
fn holds(value: &toml::Value, path: &str) -> bool {
    let (step, rest) = match path.split_once('.') {
        Some((step, rest)) => (step, Some(rest)),
        None => (path, None),
    };
    let below = |value: &toml::Value| rest.is_none_or(|rest| holds(value, rest));
    match (step.strip_suffix("[]"), value) {
        (_, toml::Value::Table(table)) if step == "*" => table.values().any(below),
        (Some(key), toml::Value::Table(table)) => {
            table.get(key).and_then(toml::Value::as_array).is_some_and(|items| items.iter().any(below))
        }
        (None, toml::Value::Table(table)) => table.get(step).is_some_and(below),
        _ => false,
    }
}
