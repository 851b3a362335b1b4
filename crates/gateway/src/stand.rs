//! A gateway without a door, for tests within the process: its workers, its desk, and a configuration.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::config::{Config, Loaded, Sources};
use crate::desk::{Commission, Principal};
use crate::durable;
use crate::gateway::{Gateway, Shared};
use crate::worker::{self, Dealer};
use bytes::Bytes;
use measure::metrics::Metrics;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wire::operation::Operation;

/// So that requests that must find one another's answers begin on different workers.
const WORKERS: usize = 2;

/// The gateway, ended when dropped.
pub(crate) struct Stand {
    pub(crate) gateway: Arc<Gateway>,
    stop: CancellationToken,
    abort: CancellationToken,
    dealer: Option<Dealer<()>>,
    threads: Vec<JoinHandle<()>>,
    lasting: Option<durable::Running>,
}

fn load(config: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    // Nothing of the machine's own is read: a folder of which there will be none.
    let data = match config.contains("data = ") {
        true => String::new(),
        false => format!("data = '{}'\n", folder.path().join("data").display()),
    };
    std::fs::write(&path, data + config).unwrap();
    let sources = Sources { path: Some(path), ..Sources::default() };
    Config::load(&sources).unwrap_or_else(|faults| panic!("{}", faults.render(false)))
}

impl Stand {
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, |_| {})
    }

    /// With what no file may say.
    pub(crate) fn start_with(config: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut loaded = load(config);
        change(&mut loaded.config);
        let gateway = Arc::new(Gateway::new(&loaded, WORKERS, Metrics::new("0", WORKERS)).unwrap());
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let run = {
            let (gateway, stop) = (Arc::clone(&gateway), stop.clone());
            move |dealt: worker::Dealt<()>| {
                let (gateway, stop) = (Arc::clone(&gateway), stop.clone());
                async move {
                    let worker = dealt.worker;
                    let chores = gateway.begin_chores(&worker);
                    let shared = Arc::new(Shared { gateway: Arc::clone(&gateway), worker, chores });
                    gateway.desk.attend(&shared, &stop).await;
                    shared.worker.tasks.close();
                    shared.worker.tasks.wait().await;
                }
            }
        };
        let (dealer, threads) = worker::start(WORKERS, &abort, run).unwrap();
        Self { gateway, stop, abort, dealer: Some(dealer), threads, lasting: None }
    }

    /// With the durable thread, and its database in `folder`.
    pub(crate) fn lasting(folder: &Path, config: &str) -> Self {
        let mut stand = Self::start(&format!("data = '{}'\n{config}", folder.display()));
        stand.lasting = Some(durable::start(&stand.gateway, &stand.abort).unwrap());
        stand
    }

    /// The store, once it is open: it is asked for until then.
    pub(crate) async fn open(&self) -> Arc<durable::Open> {
        loop {
            let _ = self.gateway.durable.ask(async |_| Ok(())).await;
            match self.gateway.durable.open() {
                Some(open) => return open,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Leaves as a process does: what is under way may finish.
    pub(crate) fn drain(mut self) {
        self.leave();
        self.end();
    }

    fn end(&mut self) {
        self.dealer = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if let Some(lasting) = self.lasting.take() {
            lasting.join();
        }
    }

    /// Puts another configuration in force.
    pub(crate) fn reload(&self, config: &str) {
        assert!(self.try_reload(config));
    }

    /// Whether that could be done.
    pub(crate) fn try_reload(&self, config: &str) -> bool {
        self.gateway.replace(&load(config)).is_ok()
    }

    /// Tells the workers to take up nothing new.
    pub(crate) fn leave(&self) {
        self.gateway.drain();
        self.stop.cancel();
    }

    /// Ends what is under way, too.
    pub(crate) fn abort(&self) {
        self.abort.cancel();
    }

    pub(crate) fn metrics(&self) -> String {
        self.gateway.metrics.encode().unwrap()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.leave();
        self.abort();
        self.end();
    }
}

/// A request of somebody who needs no key.
pub(crate) fn commission(operation: Operation, body: impl Into<Bytes>) -> Commission {
    Commission::new(operation, body.into(), Principal { key: None, tenant: "".into() })
}
