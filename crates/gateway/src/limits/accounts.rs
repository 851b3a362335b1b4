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
    /// Opens those that are limited at all; what they have used stays used.
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
        limits.sweep();
        accounts
    }

    /// Whether nothing is limited at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An account, where there are limits.
    #[must_use]
    pub fn get(&self, scope: Scope, name: &str) -> Option<Arc<Account>> {
        self.0.get(&(scope, Box::from(name))).cloned()
    }
}
