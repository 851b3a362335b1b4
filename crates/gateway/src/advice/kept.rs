//! What was applied, on disk: a small file in the data folder, whole or not there, so that it can be taken back after
//! a restart, too. Of the configuration it holds the values of the keys that were written and nothing else.

use super::edit::Written;
use crate::small_file;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Where it is, within the data folder.
pub const FILE: &str = "advice.json";
/// Advice that may be in force at once.
pub const APPLIED_MAX: usize = 100;
/// Largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// Advice that was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Its id.
    pub id: String,
    /// The rule that gave it.
    pub rule: String,
    /// What it was about.
    pub subject: String,
    /// In a few words.
    pub title: String,
    /// When it was applied, as RFC 3339 writes it.
    pub at: String,
    /// The configuration file.
    pub file: PathBuf,
    /// What was written there.
    pub written: Vec<Written>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    applied: Vec<Applied>,
}

/// What is on disk; nothing where there is no such file.
///
/// # Errors
/// Where it cannot be read, or is not ours.
pub fn load(path: &Path) -> io::Result<Vec<Applied>> {
    let Some(bytes) = small_file::read(path, BYTES_MAX)? else { return Ok(Vec::new()) };
    let kept: Kept = serde_json::from_slice(&bytes)?;
    Ok(kept.applied.into_iter().take(APPLIED_MAX).collect())
}

/// Puts this in the place of what is on disk.
///
/// # Errors
/// Where it cannot be written; what was there is still there then.
pub fn save(path: &Path, applied: &[Applied]) -> io::Result<()> {
    small_file::save(path, &serde_json::to_vec_pretty(&Kept { applied: applied.to_vec() })?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::edit;
    use super::*;
    use measure::advice::{Key, Step, Value};

    #[test]
    fn what_was_applied_outlasts_the_process_and_a_foreign_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data").join(FILE);
        assert_eq!(load(&path).unwrap(), []);
        let key = Key(vec![Step::Member("a".into()), Step::Member("b".into())]);
        let (_, written) = edit::write("a.b = 1\n", [(&key, &Value::Number(2))]).unwrap();
        let applied = Applied {
            id: "skew-0".to_owned(),
            rule: "skew".to_owned(),
            subject: "smart".to_owned(),
            title: "t".to_owned(),
            at: "2030-01-31T12:00:00Z".to_owned(),
            file: "tidegate.toml".into(),
            written,
        };
        save(&path, std::slice::from_ref(&applied)).unwrap();
        assert_eq!(load(&path).unwrap(), [applied]);
        std::fs::write(&path, "{}").unwrap();
        assert!(load(&path).is_err());
    }
}
