//! Silences on disk: a small file in the data folder, whole or not there, so that a restart wakes nobody.

use crate::small_file;
use measure::alerts::{Matcher, SILENCES_MAX, Silence};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Where they are, within the data folder.
pub const FILE: &str = "alerts/silences.json";
/// Largest file that is read.
const BYTES_MAX: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
struct Kept {
    silences: Vec<KeptSilence>,
}

/// Times are in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
struct KeptSilence {
    id: String,
    matchers: Vec<KeptMatcher>,
    from: u64,
    until: u64,
    author: String,
    comment: String,
}

#[derive(Serialize, Deserialize)]
struct KeptMatcher {
    name: String,
    value: String,
    equal: bool,
}

/// The silences that are on disk; none where there is no such file.
///
/// # Errors
/// Where it cannot be read, or is not ours.
pub fn load(path: &Path) -> io::Result<Vec<Silence>> {
    let Some(bytes) = small_file::read(path, BYTES_MAX)? else { return Ok(Vec::new()) };
    let kept: Kept = serde_json::from_slice(&bytes)?;
    Ok(kept.silences.into_iter().take(SILENCES_MAX).map(Into::into).collect())
}

/// Puts these in the place of those on disk: whoever reads sees the old ones or the new ones, also after a crash.
///
/// # Errors
/// Where they cannot be written; the old ones are still there then.
pub fn save(path: &Path, silences: &[Silence]) -> io::Result<()> {
    let kept = Kept { silences: silences.iter().map(Into::into).collect() };
    small_file::save(path, &serde_json::to_vec(&kept)?)
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn moment(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl From<&Silence> for KeptSilence {
    fn from(silence: &Silence) -> Self {
        let of = |matcher: &Matcher| KeptMatcher {
            name: matcher.name.clone(),
            value: matcher.value.clone(),
            equal: matcher.equal,
        };
        Self {
            id: silence.id.clone(),
            matchers: silence.matchers.iter().map(of).collect(),
            from: millis(silence.from),
            until: millis(silence.until),
            author: silence.author.clone(),
            comment: silence.comment.clone(),
        }
    }
}

impl From<KeptSilence> for Silence {
    fn from(kept: KeptSilence) -> Self {
        let of = |KeptMatcher { name, value, equal }| Matcher { name, value, equal };
        Self {
            id: kept.id,
            matchers: kept.matchers.into_iter().map(of).collect(),
            from: moment(kept.from),
            until: moment(kept.until),
            author: kept.author,
            comment: kept.comment,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use std::fs;

    fn silence(id: &str) -> Silence {
        Silence {
            id: id.to_owned(),
            matchers: vec![Matcher { name: "alertname".into(), value: "err*".into(), equal: false }],
            from: moment(1_700_000_000_123),
            until: moment(1_700_000_100_000),
            author: "me".into(),
            comment: "\"known\"".into(),
        }
    }

    #[test]
    fn what_is_saved_is_loaded_and_replaces_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(load(&path).unwrap(), []);
        for silences in [vec![silence("a"), silence("b")], vec![silence("b")], vec![]] {
            save(&path, &silences).unwrap();
            assert_eq!(load(&path).unwrap(), silences);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn a_file_that_is_not_ours_is_told_and_a_torn_one_never_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        save(&path, &[silence("a")]).unwrap();
        fs::write(path.with_extension("new"), "{\"sil").unwrap();
        assert_eq!(load(&path).unwrap(), [silence("a")]);
        fs::write(&path, "{\"sil").unwrap();
        assert!(load(&path).is_err());
    }
}
