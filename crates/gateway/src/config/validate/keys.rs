//! Callers' keys: ids, hashes, tenants, and what each may ask for.

use std::collections::BTreeMap;

use super::Judge;
use super::limits::{key_rates, priority};
use super::models::Names;
use crate::config::raw;
use crate::config::tree::Path;
use crate::config::{Key, ModelPattern};
use crate::keys::{KeyHash, is_id};

/// Longest tenant name, in bytes.
const TENANT_BYTES_MAX: usize = 64;
/// How to name a tenant.
pub(super) const TENANT_MEND: &str = "use 1 to 64 letters, digits, `.`, `_` and `-`";

/// Whether a tenant may be called this.
pub(super) fn is_tenant(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name.len() <= TENANT_BYTES_MAX && name.bytes().all(plain)
}

impl Judge<'_> {
    pub(super) fn keys(&mut self, raw: &[raw::Key], names: &Names) -> Vec<Key> {
        let all = Path::of(&["keys"]);
        let mut first_use: BTreeMap<&str, usize> = BTreeMap::new();
        let mut keys = Vec::with_capacity(raw.len());
        for (index, raw) in raw.iter().enumerate() {
            let at = all.index(index);
            // What is missing has been told by the shape check.
            let (Some(id), Some(hash)) = (raw.id.as_deref(), &raw.hash) else { continue };
            self.key_id(&at.key("id"), id);
            if let Some(first) = first_use.insert(id, index) {
                let what = format!("the same id as keys[{first}]");
                self.fault(&at.key("id"), what, "keep one of them, or make a key of its own");
            }
            let hash = hash.0.parse().unwrap_or_else(|_| {
                let mend = "copy it whole, as `tidegate keys create` printed it: b3: and 64 digits";
                self.fault(&at.key("hash"), "not a key's hash", mend);
                KeyHash::NOBODY
            });
            keys.push(Key {
                id: id.to_owned(),
                hash,
                tenant: self.tenant(&at.key("tenant"), raw.tenant.as_deref()),
                models: self.patterns(&at.key("models"), &raw.models, names),
                priority: priority(raw.priority),
                rates: key_rates(raw),
            });
        }
        keys
    }

    fn key_id(&mut self, at: &Path, id: &str) {
        if !is_id(id) {
            // Not quoted: a whole key pasted by mistake would be.
            let mend = "write the public part alone, `tg-` and 12 letters or digits, as `tidegate keys create` prints it";
            self.fault(at, "not a key's id", mend);
        }
    }

    fn tenant(&mut self, at: &Path, raw: Option<&str>) -> Option<String> {
        let tenant = raw?;
        if !is_tenant(tenant) {
            let what = format!("{} is not a tenant's name", self.quoted(at, tenant));
            self.fault(at, what, TENANT_MEND);
        }
        Some(tenant.to_owned())
    }

    fn patterns(&mut self, at: &Path, raw: &[String], names: &Names) -> Vec<ModelPattern> {
        raw.iter().enumerate().map(|(index, text)| self.pattern(&at.index(index), text, names)).collect()
    }

    fn pattern(&mut self, at: &Path, text: &str, names: &Names) -> ModelPattern {
        let prefix = text.strip_suffix('*');
        if text.is_empty() || prefix.unwrap_or(text).contains('*') {
            let what = format!("{} is no model's name or pattern", self.quoted(at, text));
            self.fault(at, what, "write an alias, provider/model, or provider/* with the `*` at the end");
        } else if !names.may_mean(text) {
            let what = format!("{} allows nothing: no alias or provider is named so", self.quoted(at, text));
            self.warn(at, what, "check the name");
        }
        model_pattern(text)
    }
}

/// What a text means that is a model's name or a pattern of them.
pub(super) fn model_pattern(text: &str) -> ModelPattern {
    match text.strip_suffix('*') {
        Some(prefix) => ModelPattern::Prefix(prefix.to_owned()),
        None => ModelPattern::Exactly(text.to_owned()),
    }
}
