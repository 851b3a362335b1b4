//! A gateway in a folder of its own, whose files are changed while it is watched. No worker runs and nothing listens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::listener::tls::Certificates;
use measure::metrics::Metrics;
use std::path::Path;
use tempfile::TempDir;

/// Files, what was loaded of them, and the gateway that began with it.
struct Stand {
    folder: TempDir,
    sources: Sources,
    loaded: Loaded,
    gateway: Gateway,
}

impl Stand {
    fn new(config: &str) -> Self {
        Self::with(config, &[])
    }

    /// With other files beside the configuration.
    fn with(config: &str, others: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("tidegate.toml", config)].iter().chain(others) {
            write(folder.path(), name, text);
        }
        let data = folder.path().join("data").display().to_string();
        let sources = Sources {
            path: Some(folder.path().join("tidegate.toml")),
            environment: [("TIDEGATE__DATA", data.as_str())].into_iter().collect(),
            ..Sources::default()
        };
        let loaded = Config::load(&sources).unwrap_or_else(|faults| panic!("{faults}"));
        let gateway = Gateway::new(&loaded, 1, Metrics::new("0", 1)).unwrap();
        Self { folder, sources, loaded, gateway }
    }

    fn write(&self, name: &str, text: &str) {
        write(self.folder.path(), name, text);
    }

    /// What `done` comes to while the files are watched.
    async fn watched<T>(&self, done: impl AsyncFnOnce() -> T) -> T {
        let (_hangup, hangups) = tokio::sync::watch::channel(());
        tokio::select! {
            never = watch(&self.gateway, &self.loaded, &self.sources, hangups) => match never {},
            done = done() => done,
        }
    }

    fn requests_min(&self) -> u64 {
        self.gateway.snapshot(0).config.advice.requests_min
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// A configuration that says this number, for tests to know it by.
fn numbered(number: u64) -> String {
    format!("[advice]\nrequests_min = {number}\n")
}

/// Long enough for the next look at the files.
async fn a_look() {
    tokio::time::sleep(LOOK * 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_the_watch_began_is_put_in_force() {
    let stand = Stand::new(&numbered(1_000));
    stand.write("tidegate.toml", &numbered(22_222));
    stand.watched(a_look).await;
    assert_eq!(stand.requests_min(), 22_222);
}

#[tokio::test(start_paused = true)]
async fn a_configuration_is_refused_once_and_read_again_once_its_files_change() {
    let key = "[providers.openai]\napi_key = '${file:key}'\n";
    let stand = Stand::new(&numbered(1_000));
    let counts = || (stand.gateway.metrics.reloads.get(), stand.gateway.metrics.reloads_refused.get());
    stand
        .watched(async || {
            for (name, text, expected) in [
                ("tidegate.toml", "[advice".to_owned(), (0, 1)),
                ("tidegate.toml", numbered(3) + key, (0, 2)),
                ("key", "sk-1".to_owned(), (1, 2)),
                ("key", "sk-22".to_owned(), (2, 2)),
            ] {
                stand.write(name, &text);
                a_look().await;
                a_look().await;
                assert_eq!(counts(), expected, "{name}: {text}");
            }
        })
        .await;
    assert_eq!(stand.requests_min(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_told_the_same_whether_or_not_it_is_applied() {
    let stand = Stand::new("[server]\nkeys = 'required'\n");
    let required = |rest: &str| format!("[server]\nkeys = 'required'\n{rest}");
    stand
        .watched(async || {
            for (text, refused, fixed) in [
                (required("workers = 7\n"), None, &["server.workers"][..]),
                ("[server]\nworkers = 7\n".to_owned(), Some("callers' keys are gone"), &["server.workers"]),
                (required("nope = 7\n"), Some("nope"), &[]),
            ] {
                stand.write("tidegate.toml", &text);
                for apply in [false, true, false] {
                    let told = stand.gateway.reloading.ask(apply).await.unwrap();
                    let why = told.verdict.err();
                    assert_eq!(why.is_some(), refused.is_some(), "{text}: {why:?}");
                    assert!(refused.is_none_or(|words| why.unwrap().contains(words)), "{text}");
                    assert_eq!((told.fixed.as_slice(), told.path), (fixed, stand.sources.path.clone()));
                }
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_told_what_is_odd_and_which_certificate_stays() {
    let pair = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let ((cert, key), (other_cert, other_key)) = (pair(), pair());
    let tls = |name: &str| format!("[server.tls]\ncert = '{name}.pem'\nkey = '{name}.key'\n");
    let files = [("a.pem", &cert), ("a.key", &key), ("b.pem", &other_cert), ("b.key", &other_key)]
        .map(|(name, text)| (name, text.as_str()));
    let mut stand = Stand::with(&tls("a"), &files);
    stand.gateway.certificates = Certificates::read(&stand.loaded.config).unwrap();
    // The key of the certificate in use is another's, and the configuration names others by now.
    stand.write("a.key", &other_key);
    stand
        .watched(async || {
            for (config, sound) in
                [(tls("b") + "[admin]\nkey = 'short'\n", true), ("nope = 1".to_owned(), false)]
            {
                stand.write("tidegate.toml", &config);
                let looked = stand.gateway.reloading.ask(false).await.unwrap();
                let applied = stand.gateway.reloading.ask(true).await.unwrap();
                assert_eq!((looked.verdict.is_ok(), applied.verdict.is_ok()), (sound, sound));
                assert_eq!(looked.warnings, applied.warnings);
                assert_eq!(applied.warnings.iter().any(|warning| warning.key == "admin.key"), sound);
                assert!(looked.certificates.is_empty());
                let [kept] = applied.certificates.as_slice() else { panic!("{:?}", applied.certificates) };
                assert!(kept.contains("`server.tls`") && kept.contains("a.key"), "{kept}");
            }
            stand.write("a.key", &key);
            assert!(stand.gateway.reloading.ask(true).await.unwrap().certificates.is_empty());
        })
        .await;
}
