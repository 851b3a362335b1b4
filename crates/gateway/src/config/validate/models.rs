//! Aliases: every target names a provider that exists, and some weight is above zero.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Judge;
use super::limits::rates;
use super::providers::DEADLINE;
use crate::config::quantity::Span;
use crate::config::raw;
use crate::config::schema::nearest;
use crate::config::tree::Path;
use crate::config::{
    Alias, AliasRetry, AliasTarget, AliasTimeouts, Balance, Coalesce, Fallback, Guard, Provider,
};

/// The longest that an embedding request may be held back: more is for a batch.
const COALESCE_WAIT_MAX: Span = Span(Duration::from_millis(50));
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
        providers: &BTreeMap<String, Provider>,
        guard: &Guard,
    ) -> BTreeMap<String, Alias> {
        let all = Path::of(&["models"]);
        raw.iter()
            .map(|(name, raw)| {
                let at = all.key(name);
                self.alias_name(&at, name);
                let alias = self.alias(&at, raw, names, guard);
                if alias.batch_at_provider {
                    self.runs_batches(&at.key("batch"), &alias.targets, providers);
                }
                (name.clone(), alias)
            })
            .collect()
    }

    fn alias(&mut self, at: &Path, raw: &raw::Alias, names: &Names, guard: &Guard) -> Alias {
        let targets = self.targets(&at.key("targets"), raw, names);
        let strategy = raw.strategy.as_deref();
        Alias {
            fallback: self.fallback(&at.key("fallback"), &raw.fallback, &targets, names),
            targets,
            balance: match raw.balance {
                raw::Balance::Weights => Balance::Weights,
                raw::Balance::LeastLoaded => Balance::LeastLoaded,
            },
            affinity: raw.affinity,
            strategy: strategy.map(|name| self.strategy(&at.key("strategy"), name, guard)),
            rates: rates(&raw.limits),
            timeouts: self.alias_timeouts(&at.key("timeouts"), &raw.timeouts),
            hedge: raw.hedge.unwrap_or(guard.hedge.enabled),
            retry: AliasRetry {
                tries: raw.retry.tries.unwrap_or(guard.retry.tries),
                accepted: raw.retry.accepted.unwrap_or(guard.retry.accepted),
            },
            cache: self.alias_cache(&at.key("cache"), &raw.cache),
            coalesce: self.coalesce(&at.key("coalesce"), raw.coalesce.as_ref()),
            batch_at_provider: matches!(raw.batch, raw::BatchWay::Provider),
        }
    }

    /// Each target's provider must run batches itself, and should ask less for them.
    fn runs_batches(&mut self, at: &Path, targets: &[AliasTarget], providers: &BTreeMap<String, Provider>) {
        for AliasTarget { provider: name, model, .. } in targets {
            // What is wrong with a provider that is not there has been told.
            let Some(provider) = providers.get(name) else { continue };
            if !provider.batches {
                let what =
                    format!("`{name}` runs no batches in the shape of OpenAI's API, as far as is known");
                let mend = match provider.preset.name {
                    "openai-compatible" => format!("add `batches = true` to `[providers.{name}]` if it does"),
                    _ => "leave it out: the gateway runs them itself".to_owned(),
                };
                self.fault(at, what, mend);
            } else if provider.batch_factor(model).is_none() {
                let what = format!("never used: nothing says that `{name}/{model}` costs less in a batch");
                let mend = format!("say so: `prices = {{ \"{model}\" = {{ …, batch = 0.5 }} }}`");
                self.warn(at, what, mend);
            }
        }
    }

    fn targets(&mut self, at: &Path, raw: &raw::Alias, names: &Names) -> Vec<AliasTarget> {
        let mut targets = Vec::new();
        for (index, target) in raw.targets.iter().enumerate() {
            let at = at.index(index).key("model");
            let Some(model) = target.model.as_deref() else { continue };
            if let Some((provider, model)) = self.target(&at, model, names) {
                let (weight, priority) = (target.weight, target.priority);
                targets.push(AliasTarget { provider, model, weight, priority });
            }
        }
        if !raw.targets.is_empty() && raw.targets.iter().all(|target| target.weight == 0) {
            self.fault(at, "every weight is 0, so nothing would answer", "give one of them a weight");
        }
        targets
    }

    /// Whom to ask when no target answers. To ask a target a second time is for retries.
    fn fallback(
        &mut self,
        at: &Path,
        raw: &[String],
        targets: &[AliasTarget],
        names: &Names,
    ) -> Vec<Fallback> {
        let mut fallback: Vec<Fallback> = Vec::new();
        for (index, text) in raw.iter().enumerate() {
            let at = at.index(index);
            let Some((provider, model)) = self.target(&at, text, names) else { continue };
            if targets.iter().any(|target| target.provider == provider && target.model == model) {
                let what = format!("{} is among the targets already", self.quoted(&at, text));
                self.fault(&at, what, "leave it out here, or there");
            }
            let found = Fallback { provider, model };
            if fallback.contains(&found) {
                let what = format!("{} stands here a second time", self.quoted(&at, text));
                self.fault(&at, what, "keep one of them");
            }
            fallback.push(found);
        }
        fallback
    }

    fn alias_timeouts(&mut self, at: &Path, raw: &raw::AliasTimeouts) -> AliasTimeouts {
        let mut within =
            |key: &str, span: Option<Span>| span.map(|span| self.duration(&at.key(key), span, DEADLINE));
        let timeouts = AliasTimeouts {
            first_token: within("first_token", raw.first_token),
            between_tokens: within("between_tokens", raw.between_tokens),
            total: within("total", raw.total),
        };
        if let (Some(first_token), Some(total)) = (raw.first_token, raw.total)
            && first_token > total
        {
            let what = format!("never reached: `total` is shorter ({total})");
            self.warn(&at.key("first_token"), what, "shorten it, or lengthen `total`");
        }
        timeouts
    }

    pub(super) fn coalesce(&mut self, at: &Path, raw: Option<&raw::Coalesce>) -> Option<Coalesce> {
        let raw = raw?;
        let wait = self.duration(&at.key("wait"), raw.wait, Span(Duration::ZERO)..=COALESCE_WAIT_MAX);
        Some(Coalesce { wait, items: raw.items as usize, tokens: raw.tokens.into() })
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
    let Some(preset) = wire::preset::by_name(provider) else {
        let known: Vec<&str> = names.providers.iter().map(String::as_str).collect();
        return format!("add it under `[providers]`, or use one of {}", known.join(", "));
    };
    match (preset.base_url, preset.key_env) {
        // Its variable does not switch it on.
        (None, _) => format!(
            "add `[providers.{provider}]` with `base_url`, as {} has no address of its own",
            preset.title
        ),
        (Some(_), Some(variable)) => format!("set {variable}, or add `[providers.{provider}]`"),
        (Some(_), None) => format!("add `[providers.{provider}]`"),
    }
}

/// Whether a character may stand in a name that goes into headers, logs and URLs.
pub(super) fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !c.is_control()
}
