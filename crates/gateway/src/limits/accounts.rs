//! The accounts that a configuration asks for, resolved once: a request looks none up.

use super::{Account, Limits, Scope};
use crate::auth::Keyring;
use crate::config::{Config, Rates};
use foldhash::{HashMap, HashMapExt as _};
use std::sync::Arc;
use std::time::Instant;

/// Everyone's accounts under one configuration.
#[derive(Debug)]
pub struct Accounts(HashMap<(Scope, Box<str>), Arc<Account>>);

impl Accounts {
    /// Opens those that are limited at all; what they have used stays used. Those before are in force until these are
    /// ([`Limits::enforce`]).
    #[must_use]
    pub fn of(config: &Config, keyring: &Keyring, limits: &Limits, now: Instant) -> Self {
        let mut accounts = Self(HashMap::new());
        let mut open = |scope: Scope, name: &str, rates: &Rates| {
            let known = (scope, Box::from(name));
            if !accounts.0.contains_key(&known)
                && let Some(account) = limits.account(scope, name, rates, now)
            {
                accounts.0.insert(known, account);
            }
        };
        for key in &keyring.keys {
            open(Scope::Key, &key.id, &key.rates);
            open(Scope::Tenant, key.tenant_name(), config.limits.of(key.tenant.as_deref()));
        }
        if !keyring.needed {
            open(Scope::Tenant, "", config.limits.of(None));
        }
        for (name, alias) in &config.models {
            open(Scope::Alias, name, &alias.rates);
        }
        for (name, provider) in &config.providers {
            open(Scope::Provider, name, &provider.rates);
        }
        accounts
    }

    /// Whether nothing is limited at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&(Scope, Box<str>), &Arc<Account>)> {
        self.0.iter()
    }

    /// An account, where there are limits.
    #[must_use]
    pub fn get(&self, scope: Scope, name: &str) -> Option<Arc<Account>> {
        self.0.get(&(scope, Box::from(name))).cloned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::stand::Stand;

    /// Names of all who are limited, and the first one's requests a minute.
    fn limited(stand: &Stand) -> (Vec<Box<str>>, u64) {
        let rows = stand.gateway.limits.report(Instant::now());
        let requests = rows.first().and_then(|(.., report)| report.requests).map_or(0, |level| level.limit);
        (rows.into_iter().map(|(_, name, _)| name).collect(), requests)
    }

    fn alias(name: &str, requests: u64) -> String {
        format!(
            "[models.{name}]\ntargets = [{{ model = 'sim/instant' }}]\nlimits = {{ requests_per_minute = {requests} }}\n"
        )
    }

    #[test]
    fn limits_are_the_configurations_that_is_in_force() {
        let stand = Stand::start(&(alias("a", 10) + &alias("b", 20)));
        assert_eq!(limited(&stand), (vec!["a".into(), "b".into()], 10));
        // A certificate in form alone: only whoever is to trust it sees that.
        let certificate = tempfile::NamedTempFile::new().unwrap();
        let form = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(certificate.path(), form).unwrap();
        let broken = format!(
            "[providers.p]\npreset = 'openai-compatible'\napi_key = 'k'\nbase_url = 'https://localhost:1/v1'\nca_file = '{}'\n",
            certificate.path().display()
        );
        assert!(!stand.try_reload(&(alias("a", 99) + &alias("c", 5) + &broken)), "it cannot be prepared");
        assert_eq!(limited(&stand), (vec!["a".into(), "b".into()], 10), "nothing has changed then");
        let under_way = stand.gateway.snapshot(0);
        stand.reload(&alias("a", 30));
        assert_eq!(limited(&stand), (vec!["a".into(), "b".into()], 30), "a request goes by the one before");
        drop(under_way);
        assert_eq!(limited(&stand), (vec!["a".into()], 30));
    }
}
