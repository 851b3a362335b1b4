//! Stored keys as they are known here.

use crate::config::{Key, KeySettings};
use crate::keys::{KeyHash, is_id};
use std::collections::BTreeMap;
pub use store::keys::Key as Row;

/// The stored keys, as the store gave them last.
#[derive(Debug, Default)]
pub struct Known {
    /// Every row, those of revoked keys too, by id.
    rows: BTreeMap<String, Row>,
    /// The valid ones.
    keys: Vec<Key>,
    /// Whether there ever was one: from then on callers need a key.
    ever: bool,
}

impl Known {
    /// What these rows say. A row that cannot be read is no key, and is told of.
    pub fn new(rows: Vec<Row>, ever: bool) -> Self {
        let ever = ever || !rows.is_empty();
        let keys = rows.iter().filter(|row| row.revoked.is_none()).filter_map(key).collect();
        Self { rows: rows.into_iter().map(|row| (row.id.clone(), row)).collect(), keys, ever }
    }

    /// The valid keys, by id.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Every row, by id.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.values()
    }

    /// The row of this id.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// Whether there ever was one.
    pub fn ever(&self) -> bool {
        self.ever
    }

    /// Whether the store says now what it said then.
    pub(super) fn is(&self, rows: &[Row]) -> bool {
        self.rows.len() == rows.len() && rows.iter().all(|row| self.rows.get(&row.id) == Some(row))
    }
}

/// What is said of a row's key.
pub fn settings(row: &Row) -> KeySettings {
    KeySettings { tenant: row.tenant.clone(), rest: row.settings.clone() }
}

fn key(row: &Row) -> Option<Key> {
    let hash = KeyHash::of_bytes(&row.hash).filter(|hash| *hash != KeyHash::NOBODY && is_id(&row.id));
    let key = hash.and_then(|hash| settings(row).key(&row.id, hash));
    if key.is_none() {
        tracing::warn!(
            id = row.id,
            "a stored key cannot be read and is not valid here; a newer release may have made it"
        );
    }
    key
}
