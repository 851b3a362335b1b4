//! The conformance suite on PostgreSQL, straight and through PgBouncer in transaction mode.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[macro_use]
mod conformance;
mod server;

use conformance::Fresh;
use server::Server;
use server::bouncer::Bouncer;
use std::sync::LazyLock;
use store::{Options, Store};

/// One for all tests, each of which has a database of its own. It ends with this process.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start("fsync = off\n"));
static BOUNCER: LazyLock<Bouncer> = LazyLock::new(|| Bouncer::start(&SERVER));

async fn straight() -> Fresh {
    open(SERVER.url(&SERVER.create_database())).await
}

async fn through_pgbouncer() -> Fresh {
    open(BOUNCER.url(&SERVER.create_database())).await
}

async fn open(url: String) -> Fresh {
    Fresh { store: Store::open(&Options::new(url)).await.unwrap(), keep: Box::new(()) }
}

mod direct {
    suite!(crate::straight);
}

mod pgbouncer {
    suite!(crate::through_pgbouncer);
}
