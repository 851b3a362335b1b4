//! The conformance suite on SQLite.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[macro_use]
mod conformance;

use conformance::Fresh;
use store::{Options, Store};

async fn fresh() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("data/store.db").display());
    Fresh { store: Store::open(&Options::new(url)).await.unwrap(), keep: Box::new(folder) }
}

suite!(crate::fresh);
