//! Aliases: every target names a provider that exists, and some weight is above zero.

use std::collections::{BTreeMap, BTreeSet};

use super::Judge;
use crate::config::raw;
use crate::config::schema::nearest;
use crate::config::tree::Path;
use crate::config::{Alias, AliasTarget};

/// Longest alias, in bytes.
const ALIAS_BYTES_MAX: usize = 128;

/// The names that a configuration gives to things a caller may ask for.
pub(super) struct Names {
    providers: BTreeSet<String>,
    aliases: BTreeSet<String>,
}

impl Names {
    pub(super) fn of(raw: &raw::File) -> Self {
        Self {
            providers: raw.providers.keys().cloned().collect(),
            aliases: raw.models.keys().cloned().collect(),
        }
    }

    /// Whether a name or pattern of models can match anything.
    pub(super) fn may_mean(&self, pattern: &str) -> bool {
        let prefix = pattern.strip_suffix('*');
        match (pattern.split_once('/'), prefix) {
            (Some((provider, _)), _) => self.providers.contains(provider),
            (None, None) => self.aliases.contains(pattern),
            (None, Some(prefix)) => {
                self.aliases.iter().chain(&self.providers).any(|name| name.starts_with(prefix))
            }
        }
    }
}

impl Judge<'_> {
    pub(super) fn models(
        &mut self,
        raw: &BTreeMap<String, raw::Alias>,
        names: &Names,
    ) -> BTreeMap<String, Alias> {
        let all = Path::of(&["models"]);
        raw.iter().map(|(name, raw)| (name.clone(), self.alias(&all.key(name), name, raw, names))).collect()
    }

    fn alias(&mut self, at: &Path, name: &str, raw: &raw::Alias, names: &Names) -> Alias {
        self.alias_name(at, name);
        let targets_at = at.key("targets");
        let mut targets = Vec::new();
        for (index, target) in raw.targets.iter().enumerate() {
            let at = targets_at.index(index).key("model");
            let Some(model) = target.model.as_deref() else { continue };
            if let Some((provider, model)) = self.target(&at, model, names) {
                targets.push(AliasTarget { provider, model, weight: target.weight });
            }
        }
        if !raw.targets.is_empty() && raw.targets.iter().all(|target| target.weight == 0) {
            self.fault(
                &targets_at,
                "every weight is 0, so nothing would answer",
                "give one of them a weight",
            );
        }
        Alias { targets, cache: self.alias_cache(&at.key("cache"), &raw.cache) }
    }

    fn alias_name(&mut self, at: &Path, name: &str) {
        if name.contains('/') {
            let what = "an alias cannot hold a `/`: what stands before it names a provider";
            self.fault_of_key(at, what, "choose a name without one");
        } else if name.is_empty() || name.len() > ALIAS_BYTES_MAX || !name.chars().all(is_visible) {
            let mend = format!("use 1 to {ALIAS_BYTES_MAX} bytes, no spaces or control characters");
            self.fault_of_key(at, "this is no alias' name", mend);
        }
    }

    /// The provider and the model of a target.
    fn target(&mut self, at: &Path, text: &str, names: &Names) -> Option<(String, String)> {
        let shown = self.quoted(at, text);
        let Some((provider, model)) = text.split_once('/') else {
            let what = if names.aliases.contains(text) {
                format!("{shown} is an alias, and aliases do not lead to aliases")
            } else {
                format!("{shown} names no provider")
            };
            self.fault(at, what, "write it as provider/model");
            return None;
        };
        if model.is_empty() || !model.chars().all(is_visible) {
            self.fault(at, format!("{shown} names no model"), "write it as provider/model");
            return None;
        }
        if !names.providers.contains(provider) {
            let what = format!("{shown}: there is no such provider");
            self.fault(at, what, provider_mend(provider, names));
            return None;
        }
        Some((provider.to_owned(), model.to_owned()))
    }
}

fn provider_mend(provider: &str, names: &Names) -> String {
    if let Some(near) = nearest(provider, names.providers.iter().map(String::as_str)) {
        return format!("did you mean `{near}/…`?");
    }
    match wire::preset::by_name(provider).map(|preset| preset.key_env) {
        Some(Some(variable)) => format!("set {variable}, or add `[providers.{provider}]`"),
        Some(None) => format!("add `[providers.{provider}]`"),
        None => {
            let known: Vec<&str> = names.providers.iter().map(String::as_str).collect();
            format!("add it under `[providers]`, or use one of {}", known.join(", "))
        }
    }
}

/// Whether a character may stand in a name that goes into headers, logs and URLs.
pub(super) fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !c.is_control()
}
