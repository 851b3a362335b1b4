//! The layers that come from outside the file: `TIDEGATE__SECTION__KEY` variables, flags, and the well-known
//! variables that work alone (`OPENAI_API_KEY`, …, `TIDEGATE_ADMIN_KEY`, `REDIS_URL`,
//! `DATABASE_URL`, `OTEL_…`).
//!
//! The process environment is not read here but handed in, so that tests never touch it.

mod misspelt;
mod otel;

use std::collections::BTreeMap;

pub(super) use otel::OTLP_TRACES_ENDPOINT;

use super::fault::{Finding, Findings};
use super::load::Override;
use super::schema::{Schema, Type};
use super::shape;
use super::tree::{Kind, Node, Origin, Path};

const PREFIX: &str = "TIDEGATE__";
const ADMIN_KEY: &str = "TIDEGATE_ADMIN_KEY";
const REDIS_URL: &str = "REDIS_URL";
const DATABASE_URL: &str = "DATABASE_URL";
/// Most steps of a variable's path; the schema has five.
const STEPS_MAX: usize = 8;

/// Environment variables: those whose name and value are Unicode.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process' own.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A variable's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A variable's value, unless it is empty: an empty one counts as not set wherever it would switch
    /// something on.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
}

impl std::fmt::Debug for Environment {
    /// Names only: values are secrets more often than not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Lays the `TIDEGATE__…` variables over a tree.
pub(super) fn overlay_variables(tree: &mut Node, environment: &Environment, faults: &mut Findings) {
    // In the order of names a table's own variable (JSON) comes before those of its keys.
    for (name, value) in &environment.0 {
        let Some(steps) = name.strip_prefix(PREFIX) else { continue };
        let steps: Vec<&str> = steps.split("__").collect();
        overlay(tree, &steps, value, Origin::Variable(name.clone()), faults);
    }
}

/// Lays flags over a tree.
pub(super) fn overlay_flags(tree: &mut Node, flags: &[Override], faults: &mut Findings) {
    for flag in flags {
        let steps: Vec<&str> = flag.key.split('.').collect();
        overlay(tree, &steps, &flag.value, Origin::Flag(flag.flag.clone()), faults);
    }
}

fn overlay(tree: &mut Node, steps: &[&str], value: &str, origin: Origin, faults: &mut Findings) {
    if steps.len() > STEPS_MAX || steps.iter().any(|step| step.is_empty()) {
        let mend = "write it as TIDEGATE__SECTION__KEY, as in TIDEGATE__SERVER__LISTEN";
        faults.push(Finding::new("this names no key", mend).given_at(origin));
        return;
    }
    let (keys, schema) = resolve(tree, steps);
    // Tables and lists are made here, not by the shape check: a later variable may reach into one.
    let container = schema.filter(|schema| schema.allows(Type::Table) || schema.allows(Type::List));
    let kind = match container.map(|schema| shape::typed(value, schema, &origin)) {
        None => Kind::Untyped(value.to_owned()),
        Some(Ok(kind)) => kind,
        Some(Err(what)) => {
            let path = Path::of(&keys.iter().map(String::as_str).collect::<Vec<_>>());
            let mend = "write it as JSON: [\"a\", \"b\"] or {\"key\": \"value\"}";
            faults.push(Finding::new(what, mend).about(&path).given_at(origin));
            return;
        }
    };
    let mut layer = Node::table(origin.clone());
    layer.put(&keys, Node::new(kind, origin));
    tree.merge(layer);
}

/// The keys that a variable's steps mean. Variables are upper case and know no hyphen, so a free key is
/// sought among those already there and, for providers, among the presets.
fn resolve(tree: &Node, steps: &[&str]) -> (Vec<String>, Option<Schema>) {
    let mut keys: Vec<String> = Vec::new();
    let mut schema = Some(Schema::root());
    let mut node = Some(tree);
    for step in steps {
        let plain = step.to_ascii_lowercase();
        let is_free = schema.is_some_and(|schema| schema.any_key().is_some());
        let key = if is_free {
            let there = node.and_then(Node::as_table).into_iter().flat_map(|table| table.keys());
            let presets = wire::preset::all().iter().map(|preset| preset.name);
            let presets = presets.filter(|_| keys == ["providers"]);
            there
                .map(String::as_str)
                .chain(presets)
                .find(|key| folded(key) == folded(&plain))
                .unwrap_or(&plain)
        } else {
            &plain
        }
        .to_owned();
        schema = schema.and_then(|schema| schema.child(&key));
        node = node.and_then(|node| node.get(&key));
        keys.push(key);
    }
    (keys, schema)
}

fn folded(key: &str) -> String {
    key.to_ascii_lowercase().replace('-', "_")
}

/// Adds what the well-known variables bring and nobody said otherwise, and the simulated provider. What is
/// odd about them comes back as warnings.
pub(super) fn add_well_known(tree: &mut Node, environment: &Environment) -> Findings {
    let mut warnings = Findings::default();
    if let Some(key) = environment.filled(ADMIN_KEY) {
        add(tree, &["admin", "key"], key, Origin::Variable(ADMIN_KEY.to_owned()));
    }
    if let Some(url) = environment.filled(REDIS_URL) {
        add(tree, &["cache", "redis", "url"], url, Origin::Variable(REDIS_URL.to_owned()));
    }
    if let Some(url) = environment.filled(DATABASE_URL) {
        add(tree, &["store", "url"], url, Origin::Variable(DATABASE_URL.to_owned()));
    }
    for preset in wire::preset::all() {
        let Some((variable, key)) = preset.key_env.and_then(|name| Some((name, environment.filled(name)?)))
        else {
            continue;
        };
        let path = Path::of(&["providers", preset.name]);
        if tree.at(&path).is_some() {
            continue;
        }
        let origin = Origin::Variable(variable.to_owned());
        if preset.base_url.is_some() {
            add(tree, &["providers", preset.name, "preset"], preset.name, origin.clone());
            add(tree, &["providers", preset.name, "api_key"], key, origin);
        } else {
            let what =
                format!("{variable} is set, but {} has no address of its own, so it stays off", preset.title);
            let mend = format!("give it one: `[providers.{}]` with `base_url`", preset.name);
            warnings.push(Finding::new(what, mend).about(&path));
        }
    }
    misspelt::tell(environment, &mut warnings);
    otel::add(tree, environment, &mut warnings);
    add_keys(tree, environment);
    if tree.at(&Path::of(&["providers", "sim"])).is_none() {
        add(tree, &["providers", "sim", "preset"], "sim", Origin::Default);
    }
    warnings
}

/// Gives a provider without a key its preset's variable. Not one whose address was changed: whoever writes
/// another address must also say that the key may go there.
fn add_keys(tree: &mut Node, environment: &Environment) {
    let providers = tree.get("providers").and_then(Node::as_table);
    let keyless: Vec<(String, &str, &str)> = providers
        .into_iter()
        .flatten()
        .filter(|(_, entry)| entry.node.as_table().is_some() && entry.node.get("api_key").is_none())
        .filter_map(|(name, entry)| {
            let preset = entry.node.get("preset").map_or(Some(name.as_str()), Node::as_text)?;
            let preset = wire::preset::by_name(preset)?;
            let moved = preset.base_url.is_some() && entry.node.get("base_url").is_some();
            let variable = preset.key_env.filter(|_| !moved)?;
            Some((name.clone(), variable, environment.filled(variable)?))
        })
        .collect();
    for (name, variable, key) in keyless {
        add(tree, &["providers", &name, "api_key"], key, Origin::Variable(variable.to_owned()));
    }
}

/// Puts a text where nothing is yet.
fn add(tree: &mut Node, keys: &[&str], text: &str, origin: Origin) {
    put(tree, keys, Kind::Text(text.to_owned()), origin);
}

/// Puts a value where nothing is yet.
fn put(tree: &mut Node, keys: &[&str], kind: Kind, origin: Origin) {
    if tree.at(&Path::of(keys)).is_some() {
        return;
    }
    // What stands where a table should is a fault that the shape check tells; it must not be covered up.
    let parents_are_tables = (0..keys.len())
        .all(|depth| tree.at(&Path::of(&keys[..depth])).is_none_or(|node| node.as_table().is_some()));
    if parents_are_tables {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        tree.put(&keys, Node::new(kind, origin));
    }
}
