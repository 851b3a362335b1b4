//! `keys.cache` in the data folder: the stored keys as they were read last, for a start while the store is away.
//!
//! It holds hashes, never a secret; what is in it cannot be presented. It is replaced whole or not at all, readable by
//! its owner alone, and believed only where it is whole and was read from the same database.

use super::known::{Known, Row};
use crate::config::Config;
use crate::small_file;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use store::Time;

const NAME: &str = "keys.cache";
/// The first word of the file: what it is, and its form.
const FORM: &str = "tidegate-keys-1";
/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// Whether a stored key was ever known here.
    pub(super) ever: bool,
    /// What the store held, revoked keys too.
    pub(super) rows: Vec<Row>,
}

/// What was found in the data folder.
pub(super) enum Found {
    /// No file.
    Nothing,
    /// A whole one, of the database that the configuration names.
    Saved(Saved),
    /// One of another database, or one that cannot be believed.
    Foreign { ever: bool },
}

/// The file's content, behind its checksum.
#[derive(Deserialize, Serialize)]
struct Content {
    ever: bool,
    /// Which database it was read from.
    store: String,
    keys: Vec<Line>,
}

#[derive(Deserialize, Serialize)]
struct Line {
    id: String,
    hash: Vec<u8>,
    tenant: String,
    settings: String,
    created: i64,
    revoked: Option<i64>,
}

fn path(config: &Config) -> PathBuf {
    config.data.join(NAME)
}

/// Reads the file; what cannot be believed is told of.
pub(super) fn read(config: &Config) -> Found {
    let path = path(config);
    let bytes = match small_file::read(&path, BYTES_MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Found::Nothing,
        Err(error) => return unreadable(config, &path, &error),
    };
    let Some(content) = parse(&bytes) else { return unbelievable(&path, "it is torn, or none of ours") };
    if !is_of(&content.store, config) {
        let path = path.display();
        tracing::warn!("{path} is of another database: its keys are not valid here");
        return Found::Foreign { ever: content.ever };
    }
    Found::Saved(Saved { ever: content.ever, rows: content.keys.into_iter().map(row).collect() })
}

/// The system does not let it be read: what is to be mended is no content of it.
fn unreadable(config: &Config, path: &Path, error: &io::Error) -> Found {
    let (shown, folder) = (path.display(), config.data.display());
    match error.kind() {
        ErrorKind::NotADirectory => tracing::warn!(
            "{shown} cannot be read, as {folder} is no folder; callers need a key from now on. Name a folder as `data` \
             and start again"
        ),
        ErrorKind::PermissionDenied => tracing::warn!(
            "{shown} cannot be read: {error}; callers need a key from now on. Let this process' user read {folder} \
             (the key `data`) and what is in it, and start again"
        ),
        _ => return unbelievable(path, &error.to_string()),
    }
    Found::Foreign { ever: true }
}

/// Nobody knows what it said: it may have said that callers need a key.
fn unbelievable(path: &Path, why: &str) -> Found {
    let path = path.display();
    tracing::warn!(
        "{path} is ignored: {why}; callers need a key from now on. Where there never was a stored key, remove it and \
         start again"
    );
    Found::Foreign { ever: true }
}

fn parse(bytes: &[u8]) -> Option<Content> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once('\n')?;
    let sum = head.strip_prefix(FORM)?.strip_prefix(' ')?;
    (blake3::hash(body.as_bytes()).to_hex().as_str() == sum).then_some(())?;
    serde_json::from_str(body).ok()
}

fn row(line: Line) -> Row {
    Row {
        id: line.id,
        hash: line.hash,
        tenant: line.tenant,
        settings: line.settings.into_bytes(),
        created: Time(line.created),
        revoked: line.revoked.map(Time),
    }
}

/// The text of the file for what is known.
pub(super) fn text(config: &Config, known: &Known) -> String {
    let line = |row: &Row| Line {
        id: row.id.clone(),
        hash: row.hash.clone(),
        tenant: row.tenant.clone(),
        settings: String::from_utf8_lossy(&row.settings).into_owned(),
        created: row.created.0,
        revoked: row.revoked.map(|at| at.0),
    };
    let content =
        Content { ever: known.ever(), store: place(config), keys: known.rows().map(line).collect() };
    let body = serde_json::to_string(&content).unwrap_or_default();
    format!("{FORM} {}\n{body}", blake3::hash(body.as_bytes()).to_hex())
}

/// Puts the text in the file's place: whole, or not at all, whenever the machine stops.
///
/// # Errors
/// Where the folder does not take it; the file before stays.
pub(super) fn write(folder: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let (path, fresh) = (folder.join(NAME), folder.join(format!("{NAME}.{}", std::process::id())));
    let written = small_file::write(&fresh, text.as_bytes(), small_file::OWNERS);
    let put = written.and_then(|()| small_file::put(&fresh, &path));
    if put.is_err() {
        // Gone already where it has taken the file's place.
        let _ = fs::remove_file(&fresh);
    }
    put
}

/// Whether a copy that names its database so is of the one that the configuration names. Earlier releases named a file
/// as its path is written.
fn is_of(named: &str, config: &Config) -> bool {
    named == place(config) || named == hashed(config.store.url.expose())
}

/// Which database, without who asks it: a password may change.
fn place(config: &Config) -> String {
    let url = config.store.url.expose();
    if let Some(file) = url.strip_prefix("sqlite:") {
        return hashed(&format!("sqlite:{}", file_place(&config.data, Path::new(file)).display()));
    }
    let Some((scheme, rest)) = url.split_once("://") else { return hashed(url) };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    hashed(&format!("{scheme}://{host}/{name}"))
}

/// Where a database's file is, however that is written: in the data folder, where this copy is too, by its name there,
/// so that both may be moved together; elsewhere by its whole path.
fn file_place(data: &Path, file: &Path) -> PathBuf {
    let file = whole(file);
    file.strip_prefix(whole(data)).map(Path::to_owned).unwrap_or(file)
}

/// The path from the root, its symbolic links followed as far as it is there: neither need be there yet.
fn whole(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, found)) = there else { return path };
    match path.strip_prefix(above) {
        // To join nothing would end the path with a slash.
        Ok(below) if !below.as_os_str().is_empty() => found.join(below),
        _ => found,
    }
}

/// A digest: the file is not to tell where the database is.
fn hashed(place: &str) -> String {
    blake3::hash(place.as_bytes()).to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::config::Sources;
    use std::os::unix::fs::PermissionsExt as _;

    fn config(data: &Path, url: &str) -> Config {
        let variables = [("TIDEGATE__DATA", data.to_str().unwrap()), ("DATABASE_URL", url)];
        let file = data.join("tidegate.toml");
        std::fs::write(&file, "").unwrap();
        let sources =
            Sources { path: Some(file), environment: variables.into_iter().collect(), ..Sources::default() };
        Config::load(&sources).ok().unwrap().config
    }

    fn known() -> Known {
        let row = |id: &str, revoked| Row {
            id: id.to_owned(),
            hash: vec![7; 32],
            tenant: "search".to_owned(),
            settings: b"{}".to_vec(),
            created: Time(1),
            revoked,
        };
        Known::new(vec![row("tg-AAAAAAAAAAAA", None), row("tg-BBBBBBBBBBBB", Some(Time(2)))], true)
    }

    const URL: &str = "postgres://me:one@db/tidegate";

    #[test]
    fn what_was_written_is_found_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), URL);
        assert!(matches!(read(&config), Found::Nothing));
        for known in [known(), Known::default()] {
            write(folder.path(), &text(&config, &known)).unwrap();
            let Found::Saved(saved) = read(&config) else { panic!("believed") };
            assert!(known.is(&saved.rows) && saved.ever == known.ever());
        }
        let mode = folder.path().join(NAME).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn of_another_database_only_that_there_were_keys_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &text(&config(folder.path(), URL), &known())).unwrap();
        let found = |url| read(&config(folder.path(), url));
        assert!(matches!(found("postgres://me:another@db/tidegate?sslmode=require"), Found::Saved(_)));
        for url in
            ["postgres://me:one@db/other", "postgres://me:one@elsewhere/tidegate", "sqlite:/x/tidegate.db"]
        {
            assert!(matches!(found(url), Found::Foreign { ever: true }), "{url}");
        }
    }

    #[test]
    fn the_same_database_is_known_however_its_folder_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (data, link) = (folder.path().join("data"), folder.path().join("link"));
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, &link).unwrap();
        let own = |written: &Path| config(written, "");
        write(&data, &text(&own(&data), &known())).unwrap();
        let steps = std::env::current_dir().unwrap().components().count() - 1;
        let relative = Path::new(&"../".repeat(steps)).join(data.strip_prefix("/").unwrap());
        for written in [&data, &link, &data.join("../data/"), &relative] {
            assert!(matches!(read(&own(written)), Found::Saved(_)), "{}", written.display());
        }
        let other = format!("sqlite:{}", folder.path().join("tidegate.db").display());
        assert!(
            matches!(read(&config(&data, &other)), Found::Foreign { ever: true }),
            "one of another folder"
        );
        let moved = folder.path().join("moved");
        std::fs::rename(&data, &moved).unwrap();
        assert!(matches!(read(&own(&moved)), Found::Saved(_)), "moved with the database in it");
    }

    #[test]
    fn a_copy_of_an_earlier_release_is_believed_where_the_path_is_written_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        let (now, then) = (place(&config), hashed(config.store.url.expose()));
        let text = text(&config, &known());
        let body = text.split_once('\n').unwrap().1.replace(&now, &then);
        assert!(body.contains(&then), "{body}");
        let head = format!("{FORM} {}", blake3::hash(body.as_bytes()).to_hex());
        std::fs::write(folder.path().join(NAME), format!("{head}\n{body}")).unwrap();
        assert!(matches!(read(&config), Found::Saved(_)));
    }

    #[test]
    fn a_file_that_is_torn_at_any_byte_closes_the_door() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), URL);
        let text = text(&config, &Known::default());
        for length in 0..text.len() {
            std::fs::write(folder.path().join(NAME), &text[..length]).unwrap();
            assert!(matches!(read(&config), Found::Foreign { ever: true }), "{length}");
        }
        std::fs::write(folder.path().join(NAME), text.replace("false", "true ")).unwrap();
        assert!(matches!(read(&config), Found::Foreign { ever: true }));
    }
}
