//! Providers: a preset's row, and what the configuration changes of it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use wire::preset::{Auth, Preset};

use super::Judge;
use super::limits::rates;
use super::models::is_visible;
use crate::config::base_url::BaseUrl;
use crate::config::quantity::Span;
use crate::config::tree::Path;
use crate::config::{Connections, Guard, Price, Provider, ProviderTimeouts, Secret};
use crate::config::{files, raw};

/// Longest name of a provider, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest key or header value, in bytes.
const VALUE_BYTES_MAX: usize = 8 * 1024;
/// What a deadline may be.
pub(super) const DEADLINE: RangeInclusive<Span> = Span(Duration::from_millis(1))..=Span::seconds(86_400);
/// Most headers of a provider.
const HEADERS_MAX: usize = 32;
/// What the HTTP connection itself decides, never the operator.
const RESERVED_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a provider may be called this: names go into headers, variables and labels.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain)
}

/// A price as it was written; its range is the schema's.
fn price_of(raw: &raw::Price) -> Price {
    let cached_input = raw.cached_input.unwrap_or(raw.input);
    Price { input: raw.input, cached_input, output: raw.output, batch: raw.batch }
}

impl Judge<'_> {
    pub(super) fn providers(
        &mut self,
        raw: &BTreeMap<String, raw::Provider>,
        guard: &Guard,
    ) -> BTreeMap<String, Provider> {
        let all = Path::of(&["providers"]);
        raw.iter()
            .filter_map(|(name, raw)| Some((name.clone(), self.provider(&all.key(name), name, raw, guard)?)))
            .collect()
    }

    /// `None` if it has no preset; the fault has been told.
    fn provider(&mut self, at: &Path, name: &str, raw: &raw::Provider, guard: &Guard) -> Option<Provider> {
        self.provider_name(at, name);
        let preset = self.preset(at, name, raw)?;
        let base_url = self.base_url(at, preset, raw);
        let api_key = self.api_key(at, preset, raw);
        let ca_file = raw.ca_file.as_deref().map(|file| self.path(&at.key("ca_file"), file));
        if let Some(file) = &ca_file {
            self.certificates(&at.key("ca_file"), file);
        }
        if let Some(url) = &base_url {
            self.clear_text(at, url, api_key.is_some(), ca_file.is_some());
        }
        for (index, model) in raw.models.iter().enumerate() {
            if model.is_empty() || model.len() > 256 || !model.chars().all(is_visible) {
                let what = "not a model's name";
                self.fault(&at.key("models").index(index), what, "use 1 to 256 bytes without spaces");
            }
        }
        Some(Provider {
            name: name.to_owned(),
            preset,
            base_url,
            coalesce: self.coalesce(&at.key("coalesce"), raw.coalesce.as_ref()),
            batches: self.batches(&at.key("batches"), preset, raw.batches),
            headers: self.headers(&at.key("headers"), preset, raw),
            prices: raw.prices.iter().map(|(model, price)| (model.clone(), price_of(price))).collect(),
            api_key,
            timeouts: self.provider_timeouts(&at.key("timeouts"), &raw.timeouts),
            connections: self.connections(&at.key("connections"), &raw.connections),
            strategy: self.strategy(&at.key("strategy"), &raw.strategy, guard),
            rates: rates(&raw.limits),
            concurrency: self.provider_concurrency(
                &at.key("concurrency"),
                &raw.concurrency,
                &guard.concurrency,
            ),
            ca_file,
            http2: raw.http2,
            models: raw.models.clone(),
            sim: self.sim(&at.key("sim"), preset, raw.sim.as_ref()),
        })
    }

    fn provider_name(&mut self, at: &Path, name: &str) {
        if !is_name(name) {
            let mend = format!("use 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_` and `-`");
            self.fault_of_key(at, "this is no provider's name", mend);
        }
    }

    fn preset(&mut self, at: &Path, name: &str, raw: &raw::Provider) -> Option<&'static Preset> {
        let named = raw.preset.as_deref().unwrap_or(name);
        let preset = wire::preset::by_name(named);
        if preset.is_none() {
            let mend = "add `preset = \"openai-compatible\"` and a `base_url`, or another preset";
            self.fault(
                &at.key("preset"),
                format!("`{name}` is no preset's name, so it needs a preset"),
                mend,
            );
        }
        preset
    }

    fn base_url(&mut self, at: &Path, preset: &'static Preset, raw: &raw::Provider) -> Option<BaseUrl> {
        let url_at = at.key("base_url");
        let Some(given) = raw.base_url.as_deref() else {
            let Some(own) = preset.base_url else {
                if preset.name != "sim" {
                    let what = format!("{} has no address of its own", preset.title);
                    self.fault(&url_at, what, "add `base_url = \"https://host/v1\"`");
                }
                return None;
            };
            // The table of presets is tested to parse.
            let url = BaseUrl::parse(own).ok()?;
            return Some(BaseUrl { named_by_operator: url.is_loopback(), ..url });
        };
        if preset.name == "sim" {
            let mend = "leave it out; for a `tidegate mock` of its own use the preset openai-compatible";
            self.fault(&url_at, "the simulated provider runs in process and has no address", mend);
            return None;
        }
        match BaseUrl::parse(given) {
            Ok(url) => Some(BaseUrl { named_by_operator: true, ..url }),
            Err(why) => {
                // Never quoted: a URL that is refused may hold a key.
                self.fault(&url_at, why.to_string(), why.mend());
                None
            }
        }
    }

    fn api_key(&mut self, at: &Path, preset: &Preset, raw: &raw::Provider) -> Option<Secret> {
        let key_at = at.key("api_key");
        let Some(key) = raw.api_key.as_ref().map(|key| key.0.as_str()).filter(|key| !key.is_empty()) else {
            if preset.key_required {
                let mend = match preset.key_env {
                    Some(variable) => format!("write `api_key = \"${{{variable}}}\"` and set {variable}"),
                    None => "add `api_key`".to_owned(),
                };
                self.fault(&key_at, format!("{} asks for a key, and none is given", preset.title), mend);
            }
            return None;
        };
        if matches!(preset.auth, Auth::None) {
            let what = format!("{} takes no key", preset.title);
            self.fault(&key_at, what, "leave it out, or choose another preset");
        }
        if key.len() > VALUE_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = "the key holds a space, a line break or another sign that no header can carry";
            self.fault(&key_at, what, "copy the key alone, without quotes or line breaks");
        }
        Some(Secret::new(key))
    }

    /// Whether the provider runs batches itself. Of whom we know that it does not, nobody may say otherwise.
    fn batches(&mut self, at: &Path, preset: &Preset, raw: Option<bool>) -> bool {
        let is_known = preset.batch_percent.is_some();
        if raw == Some(true) && !is_known && preset.name != "openai-compatible" {
            let what = format!("{} runs no batches in the shape of OpenAI's API", preset.title);
            self.fault(at, what, "leave it out, or use the preset openai-compatible where it does");
        }
        raw.unwrap_or(is_known)
    }

    /// What is odd about an address without TLS.
    fn clear_text(&mut self, at: &Path, url: &BaseUrl, has_key: bool, has_ca: bool) {
        if url.https {
            return;
        }
        if has_key && !url.is_loopback() {
            let mend = "use https:// unless the network between is yours alone";
            self.warn(&at.key("base_url"), "the key is sent in clear text", mend);
        }
        if has_ca {
            self.warn(&at.key("ca_file"), "no certificate is checked over http://", "use https://");
        }
    }

    fn headers(&mut self, at: &Path, preset: &Preset, raw: &raw::Provider) -> BTreeMap<String, String> {
        for name in raw.headers.keys() {
            let is_key = HeaderName::try_from(name.as_str()).is_ok_and(|name| carries_key(&name, preset));
            if raw.api_key.is_some() && is_key {
                self.fault_of_key(
                    &at.key(name),
                    "`api_key` is sent in this header already",
                    "keep one of the two",
                );
            }
        }
        self.header_map(at, &raw.headers)
    }

    /// Headers of the operator's own, names in lower case.
    pub(super) fn header_map(
        &mut self,
        at: &Path,
        raw: &BTreeMap<String, raw::SecretText>,
    ) -> BTreeMap<String, String> {
        if raw.len() > HEADERS_MAX {
            self.fault(at, format!("more than {HEADERS_MAX} headers"), "send fewer");
        }
        let mut headers = BTreeMap::new();
        for (name, value) in raw {
            let at = at.key(name);
            let Ok(name) = HeaderName::try_from(name.as_str()) else {
                self.fault_of_key(&at, "not a header's name", "use letters, digits and `-`");
                continue;
            };
            if RESERVED_HEADERS.contains(&name) {
                self.fault_of_key(&at, "this header belongs to the connection", "leave it out");
            }
            let fits = value.0.len() <= VALUE_BYTES_MAX && HeaderValue::from_str(&value.0).is_ok();
            if !fits || !value.0.is_ascii() {
                self.fault(&at, "not a header's value", "use visible ASCII characters and spaces");
            }
            if headers.insert(name.as_str().to_owned(), value.0.clone()).is_some() {
                self.fault_of_key(&at, "this header stands here a second time", "keep one of them");
            }
        }
        headers
    }

    fn provider_timeouts(&mut self, at: &Path, raw: &raw::ProviderTimeouts) -> ProviderTimeouts {
        let mut within = |key: &str, span: Span| self.duration(&at.key(key), span, DEADLINE);
        let timeouts = ProviderTimeouts {
            connect: within("connect", raw.connect),
            first_token: within("first_token", raw.first_token),
            between_tokens: within("between_tokens", raw.between_tokens),
            total: within("total", raw.total),
        };
        for (key, part) in [("connect", timeouts.connect), ("first_token", timeouts.first_token)] {
            if part > timeouts.total {
                let what = format!("never reached: `total` is shorter ({})", raw.total);
                self.warn(&at.key(key), what, "shorten it, or lengthen `total`");
            }
        }
        timeouts
    }

    fn connections(&mut self, at: &Path, raw: &raw::Connections) -> Connections {
        let max = files::given(raw.max);
        if raw.warm > raw.per_host {
            let what = format!("more warm connections than are kept ({})", raw.per_host);
            self.fault(&at.key("warm"), what, "at most `per_host`");
        } else if raw.warm as usize > max && self.tree.at(&at.key("max")).is_some() {
            let what = format!("more warm connections than may be open ({max})");
            self.fault(&at.key("warm"), what, "at most `max`");
        }
        Connections {
            max,
            per_host: raw.per_host as usize,
            idle: self.duration(&at.key("idle"), raw.idle, Span::seconds(1)..=Span::seconds(86_400)),
            // Where the bound comes from elsewhere, there is nothing to mend here.
            warm: (raw.warm as usize).min(max),
        }
    }

    fn sim(&mut self, at: &Path, preset: &Preset, raw: Option<&raw::Sim>) -> rig::sim::Settings {
        let Some(raw) = raw else { return rig::sim::Settings::default() };
        if preset.name != "sim" {
            let what = format!("{} is not simulated", preset.title);
            self.fault(at, what, "leave it out, or choose the preset sim");
        }
        let mut within =
            |key: &str, span| self.duration(&at.key(key), span, Span::seconds(0)..=Span::seconds(3_600));
        rig::sim::Settings {
            first_token: within("first_token", raw.first_token),
            between_tokens: within("between_tokens", raw.between_tokens),
            tokens: raw.tokens,
            errors: raw.errors,
            jitter: raw.jitter,
            seed: raw.seed,
        }
    }
}

/// Whether a preset sends the provider's key in this header.
fn carries_key(name: &HeaderName, preset: &Preset) -> bool {
    match preset.auth {
        Auth::Bearer => *name == header::AUTHORIZATION,
        Auth::Header(own) => name.as_str().eq_ignore_ascii_case(own),
        Auth::None => false,
    }
}
