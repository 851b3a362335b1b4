//! Who is calling: a caller's key to the caller it belongs to.
//!
//! All keys, the file's and the store's, are held in memory, so that no store that is down can turn a valid key into
//! a 401. A data-plane key says nothing to the admin plane, which has a key of its own.

use crate::config::{Config, Key, Priority};
use crate::durable::fault;
use crate::durable::keys::Known;
use crate::keys::{CallerKey, KeyHash};
use crate::limits::{Account, Accounts, Scope, Subject};
use foldhash::HashMapExt as _;
use foldhash::{HashMap, HashSet};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use subtle::ConstantTimeEq;
use wire::failure::{Failure, Kind};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Every key there is, wherever it is kept, and whether one is needed.
#[derive(Debug)]
pub struct Keyring {
    /// The file's, then the store's; ids unique.
    pub keys: Vec<Key>,
    /// Whether callers need a key.
    pub needed: bool,
    /// The store may hold keys that are not among these.
    unread: Arc<AtomicBool>,
}

impl Keyring {
    /// The keys of the file and those of the store. Where both have one of the same id the file's is meant.
    pub fn new(config: &Config, stored: &Known, unread: &Arc<AtomicBool>) -> Self {
        let of_file: HashSet<&str> = config.keys.iter().map(|key| key.id.as_str()).collect();
        let is_shadowed = |key: &&Key| of_file.contains(key.id.as_str());
        for key in stored.keys().iter().filter(is_shadowed) {
            tracing::warn!(
                id = key.id,
                "a stored key has the id of one in the file, and only that one is valid"
            );
        }
        let of_store = stored.keys().iter().filter(|key| !is_shadowed(key));
        let keys = config.keys.iter().chain(of_store).cloned().collect();
        let needed = config.server.keys_required || !config.keys.is_empty() || stored.ever();
        Self { keys, needed, unread: Arc::clone(unread) }
    }
}

/// Everyone who may call.
#[derive(Debug)]
pub struct Callers {
    by_id: HashMap<Box<str>, Arc<Holder>>,
    /// Whether a key is needed, also where there is none.
    needed: bool,
    /// There may be keys that are not known here.
    unread: Arc<AtomicBool>,
    /// What all may use together where nobody has a key.
    anyone: Option<Arc<Account>>,
}

/// Who holds a key.
#[derive(Debug)]
pub struct Holder {
    key: Key,
    /// What the key may use.
    own: Option<Arc<Account>>,
    /// What its tenant may use.
    tenant: Option<Arc<Account>>,
    /// Who that is, by name.
    principal: Arc<Principal>,
}

/// Whoever calls: one of the configured, or anyone where no key is configured.
#[derive(Clone, Debug)]
pub enum Caller {
    /// No keys are configured, which the configuration allows on loopback only.
    Anyone(Option<Arc<Account>>),
    /// The holder of a key.
    Holder(Arc<Holder>),
    /// Whoever had a key that is no more, or was somebody else's then: for what was done on its behalf and is to be
    /// counted.
    Gone(Arc<Principal>),
}

/// A caller by name, for what is done on its behalf when its request is long over. It is looked up anew each time,
/// so that a key that is revoked, or whose models or limits change, takes effect on what it left behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The public part of its key; `None`: it had none, and needed none.
    pub key: Option<Box<str>>,
    /// Whose its requests are.
    pub tenant: Box<str>,
}

impl Callers {
    /// Whoever has one of these keys, and their accounts.
    pub fn new(keyring: &Keyring, accounts: &Accounts) -> Self {
        let mut by_id = HashMap::with_capacity(keyring.keys.len());
        for key in &keyring.keys {
            let holder = Holder {
                key: key.clone(),
                own: accounts.get(Scope::Key, &key.id),
                tenant: accounts.get(Scope::Tenant, key.tenant_name()),
                principal: Arc::new(Principal {
                    key: Some(key.id.as_str().into()),
                    tenant: key.tenant_name().into(),
                }),
            };
            by_id.insert(key.id.as_str().into(), Arc::new(holder));
        }
        let (needed, unread) = (keyring.needed, Arc::clone(&keyring.unread));
        Self { by_id, needed, unread, anyone: accounts.get(Scope::Tenant, "") }
    }

    /// Whether anyone may call without a key.
    pub fn open(&self) -> bool {
        !self.needed
    }

    /// Finds the caller by `Authorization: Bearer` or `x-api-key`.
    ///
    /// # Errors
    /// 401, with the same words whether the key is unknown, wrong or malformed; 503 where it has a key's form and may
    /// be one that the store knows, which is away.
    pub fn identify(&self, headers: &HeaderMap) -> Result<Caller, Failure> {
        let presented = presented(headers);
        if self.open() {
            // A key that may be somebody's is not passed over: its holder has limits and a tenant.
            return match presented.and_then(CallerKey::parse) {
                Some(_) if self.unread() => Err(fault::key_unknown()),
                _ => Ok(Caller::Anyone(self.anyone.clone())),
            };
        }
        let Some(presented) = presented else {
            return Err(unauthenticated(
                "No API key was provided: send it as 'Authorization: Bearer tg-…' or as 'x-api-key'.",
            ));
        };
        let known = CallerKey::parse(presented).map(|presented| self.check(&presented));
        match known {
            Some(Some(holder)) => Ok(Caller::Holder(holder)),
            // Whatever is wrong with it, so that nobody learns which ids there are.
            Some(None) if self.unread() => Err(fault::key_unknown()),
            _ => Err(unauthenticated("Incorrect API key provided.")),
        }
    }

    fn unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// Finds the caller on whose behalf something is to be done.
    ///
    /// # Errors
    /// 401 where its key is no more, or keys are asked for by now and it has none; 403 where its key belongs to
    /// another tenant by now: what was begun for one must not end up with the other; 503 where it may be one that the
    /// store knows, which is away.
    pub fn on_behalf_of(&self, principal: &Principal) -> Result<Caller, Failure> {
        let holder = match &principal.key {
            None if self.open() => return Ok(Caller::Anyone(self.anyone.clone())),
            None => None,
            Some(id) => self.by_id.get(id),
        };
        let holder = holder.ok_or_else(|| match principal.key.is_some() && self.unread() {
            true => fault::key_unknown(),
            false => {
                unauthenticated("The API key on whose behalf this was to be done is not valid any more.")
            }
        })?;
        if holder.key.tenant_name() != &*principal.tenant {
            let public = "The API key on whose behalf this was to be done belongs to another tenant now.";
            return Err(Failure::new(Kind::Forbidden, public).with_code("tenant_changed"));
        }
        Ok(Caller::Holder(Arc::clone(holder)))
    }

    /// Whose something is that was done on a caller's behalf, whatever that caller may do by now.
    pub fn owner(&self, principal: &Principal) -> Caller {
        self.on_behalf_of(principal).unwrap_or_else(|_| match principal.key {
            Some(_) => Caller::Gone(Arc::new(principal.clone())),
            None => Caller::Anyone(None),
        })
    }

    fn check(&self, presented: &CallerKey<'_>) -> Option<Arc<Holder>> {
        let known = self.by_id.get(presented.id);
        // An unknown id takes the same path as a known one, so that time does not tell them apart.
        let hash = known.map_or(KeyHash::NOBODY, |holder| holder.key.hash);
        (hash.verify(presented) && known.is_some()).then(|| known.map(Arc::clone)).flatten()
    }
}

impl Caller {
    /// Whose requests these are: the tenant of the key, a key without one being a tenant of its own, and
    /// nobody's where no keys are configured.
    pub fn tenant(&self) -> &str {
        match self {
            Self::Anyone(_) => "",
            Self::Holder(holder) => holder.key.tenant_name(),
            Self::Gone(principal) => &principal.tenant,
        }
    }

    /// Its name, for what is done on its behalf later.
    pub fn principal(&self) -> Principal {
        match self {
            Self::Anyone(_) => Principal { key: None, tenant: "".into() },
            Self::Holder(holder) => Principal::clone(&holder.principal),
            Self::Gone(principal) => Principal::clone(principal),
        }
    }

    /// The same, shared, of one who has a key or had one.
    pub fn holder(&self) -> Option<&Arc<Principal>> {
        match self {
            Self::Anyone(_) => None,
            Self::Holder(holder) => Some(&holder.principal),
            Self::Gone(principal) => Some(principal),
        }
    }

    /// What this caller's requests count against.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::Anyone(tenant) => Subject { tenant: tenant.as_ref(), ..Subject::default() },
            Self::Holder(holder) => {
                Subject { key: holder.own.as_ref(), tenant: holder.tenant.as_ref(), ..Subject::default() }
            }
            Self::Gone(_) => Subject::default(),
        }
    }

    /// How its requests stand among others that wait; `None`: as they say.
    pub fn priority(&self) -> Option<Priority> {
        match self {
            Self::Anyone(_) | Self::Gone(_) => None,
            Self::Holder(holder) => Some(holder.key.priority),
        }
    }

    /// Whether this caller may ask for `model`, by the name the request used.
    ///
    /// # Errors
    /// 403 where it may not.
    pub fn may_use(&self, model: &str) -> Result<(), Failure> {
        match self {
            Self::Holder(holder) if !holder.key.allows(model) => Err(Failure::new(
                Kind::Forbidden,
                format!("This API key may not use the model '{model}'. Its allowed models are set by the gateway's operator."),
            )
            .with_param("model")
            .with_code("model_not_allowed")),
            _ => Ok(()),
        }
    }
}

/// Whether the request carries `key`, by either header, compared in constant time.
pub fn carries(headers: &HeaderMap, key: &str) -> bool {
    presented(headers).is_some_and(|presented| presented.ct_eq(key.as_bytes()).into())
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    match headers.get(AUTHORIZATION) {
        Some(value) => {
            let (scheme, key) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
        }
        None => headers.get(X_API_KEY).map(|value| value.as_bytes().trim_ascii()),
    }
}

fn unauthenticated(public: &'static str) -> Failure {
    Failure::new(Kind::Unauthenticated, public).with_code("invalid_api_key")
}
