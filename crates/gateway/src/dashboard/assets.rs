//! The dashboard's files, as they are built into the program.
//!
//! All of them stand under one name that is made of their contents, `/assets/{version}/`: whatever a file imports, it
//! finds beside it, of the same version, and nothing need be rewritten. A development build reads them from the source
//! tree, so that a change is seen when the page is loaded anew.

use std::borrow::Cow;
use std::sync::LazyLock;

/// Stands in the shell where the version goes.
const VERSION: &str = "{version}";
/// Digits of a digest that tell one version from another.
const DIGITS: usize = 16;

/// A file as it is built in.
struct Asset {
    path: &'static str,
    bytes: &'static [u8],
}

/// A file to be sent.
pub(super) struct Found {
    /// Its media type.
    pub(super) media: &'static str,
    /// A digest of what it holds, in hexadecimal digits.
    pub(super) hash: String,
    /// What it holds.
    pub(super) bytes: Vec<u8>,
}

/// The files of a list, each built in.
macro_rules! assets {
    ($($path:literal),* $(,)?) => {
        &[$(Asset { path: $path, bytes: include_bytes!(concat!("../../assets/dashboard/", $path)) }),*]
    };
}

/// The shell, which names all else.
const SHELL: Asset = Asset { path: "index.html", bytes: include_bytes!("../../assets/dashboard/index.html") };

/// Every other file. A test holds the list to the folder.
const FILES: &[Asset] = assets![
    "app.css",
    "app.js",
    "icon.svg",
    "theme.js",
    "lib/api.js",
    "lib/diff.js",
    "lib/format.js",
    "lib/live.js",
    "lib/metrics.js",
    "lib/pages.js",
    "lib/router.js",
    "lib/ui.js",
    "parts/chart.js",
    "parts/confirm.js",
    "parts/empty.js",
    "parts/field.js",
    "parts/login.js",
    "parts/requests.js",
    "parts/shell.js",
    "parts/table.js",
    "parts/tile.js",
    "parts/toast.js",
    "pages/advice.js",
    "pages/alerts.js",
    "pages/api.js",
    "pages/benchmarks.js",
    "pages/cache.js",
    "pages/configuration.js",
    "pages/cost.js",
    "pages/experiments.js",
    "pages/jobs.js",
    "pages/limits.js",
    "pages/overview.js",
    "pages/performance.js",
    "pages/playground.js",
    "pages/requests.js",
    "pages/routing.js",
    "pages/system.js",
    "pages/targets.js",
    "vendor/LICENSES.txt",
    "vendor/hooks.js",
    "vendor/htm.js",
    "vendor/preact.js",
    "vendor/uplot.css",
    "vendor/uplot.js",
];

/// The version of what is built in.
static BUILT: LazyLock<String> = LazyLock::new(|| version_of(|asset| Cow::Borrowed(asset.bytes)));

/// The shell, with the version of the files that it names.
pub(super) fn shell() -> Found {
    let text = String::from_utf8_lossy(&content(&SHELL)).replace(VERSION, &version());
    found(SHELL.path, text.into_bytes())
}

/// A file of this version.
pub(super) fn find(of: &str, path: &str) -> Option<Found> {
    let asset = FILES.iter().find(|asset| asset.path == path).filter(|_| of == version())?;
    Some(found(asset.path, content(asset).into_owned()))
}

fn found(path: &str, bytes: Vec<u8>) -> Found {
    Found { media: media(path), hash: digest(&blake3::hash(&bytes)), bytes }
}

fn version() -> Cow<'static, str> {
    if cfg!(debug_assertions) { Cow::Owned(version_of(content)) } else { Cow::Borrowed(&BUILT) }
}

/// What is built in or, of a development build, what the source tree holds by now.
fn content(asset: &Asset) -> Cow<'static, [u8]> {
    let tree = || {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/dashboard/").to_owned() + asset.path;
        std::fs::read(path).ok()
    };
    let newer = if cfg!(debug_assertions) { tree() } else { None };
    newer.map_or(Cow::Borrowed(asset.bytes), Cow::Owned)
}

fn version_of(content: impl Fn(&Asset) -> Cow<'static, [u8]>) -> String {
    let mut hasher = blake3::Hasher::new();
    for asset in [&SHELL].into_iter().chain(FILES) {
        let bytes = content(asset);
        hasher.update(asset.path.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    }
    digest(&hasher.finalize())
}

fn digest(hash: &blake3::Hash) -> String {
    hash.to_hex().chars().take(DIGITS).collect()
}

/// By the end of a file's name; there are no others.
fn media(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{FILES, SHELL, find, media, shell, version};
    use sha2::{Digest, Sha256};
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    /// All files together, before compression.
    const BYTES_MAX: usize = 300_000;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/dashboard")
    }

    fn walk(folder: &Path, found: &mut BTreeSet<String>, root: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found, root);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn the_list_is_what_the_folder_holds() {
        let mut there = BTreeSet::new();
        walk(&folder(), &mut there, &folder());
        there.retain(|path| !path.ends_with("README.md"));
        let listed: BTreeSet<String> =
            [&SHELL].into_iter().chain(FILES).map(|asset| asset.path.to_owned()).collect();
        assert_eq!(listed, there);
    }

    #[test]
    fn all_files_together_are_small() {
        let bytes: usize = FILES.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes + SHELL.bytes.len() < BYTES_MAX, "{bytes}");
    }

    #[test]
    fn the_shell_names_files_that_are_there_and_no_other_origin() {
        let text = String::from_utf8(shell().bytes).unwrap();
        let named: Vec<&str> = text
            .split(['"', '\''])
            .filter_map(|part| part.strip_prefix("/assets/"))
            .map(|part| part.split_once('/').unwrap())
            .map(|(of, path)| {
                assert_eq!(of, version());
                path
            })
            .collect();
        assert!(named.len() > 3, "{text}");
        assert!(named.iter().all(|path| find(&version(), path).is_some()), "{named:?}");
        assert!(!text.contains("//") && !text.contains("<script>") && !text.contains("style="), "{text}");
        assert!(find("another", "app.js").is_none());
        assert!(find(&version(), "../../Cargo.toml").is_none());
    }

    #[test]
    fn others_code_is_what_its_readme_says() {
        let readme = std::fs::read_to_string(folder().join("vendor/README.md")).unwrap();
        for asset in
            FILES.iter().filter(|asset| asset.path.starts_with("vendor/") && !asset.path.ends_with(".txt"))
        {
            let digest: String =
                Sha256::digest(asset.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let row = readme.lines().find(|line| line.contains(&format!("`{}`", &asset.path[7..]))).unwrap();
            assert!(row.contains(&digest), "{}: {digest}", asset.path);
        }
    }

    #[test]
    fn every_file_has_a_type_that_browsers_take_it_by() {
        for asset in FILES {
            let expected = if asset.path.ends_with(".js") { "text/javascript" } else { "" };
            assert!(media(asset.path).starts_with(expected), "{}", asset.path);
        }
        assert_eq!(media("index.html"), "text/html; charset=utf-8");
    }
}
