//! Writes what was used: every few seconds while the process lives, and once more when no request can come any more;
//! and forgets what was used long ago.

use super::Books;
use super::pending::{left_of_today, today};
use crate::durable::Durable;
use crate::durable::settings::FLUSH;
use crate::durable::sweep;
use std::sync::Arc;
use std::time::Duration;
use store::usage::Ledger;
use store::{Store, Time};

/// How often. What a process that is killed has not written is no older.
const EVERY: Duration = Duration::from_secs(5);
/// Rows that are forgotten in one step.
const SWEEP_MAX: u32 = 500;

/// Keeps the store informed; runs until dropped. Where there is no store yet it is asked for as soon as somebody with
/// a key was served: what callers without one use is no reason to make a database.
pub(in crate::durable) async fn keep(durable: &Durable) {
    let books = &durable.books;
    let mut told = false;
    loop {
        // A day's sums are taken when it ends, so that no request need look at the calendar.
        let day = today();
        tokio::time::sleep(EVERY.min(left_of_today())).await;
        if books.collect(day) {
            durable.want();
        }
        let Some(open) = durable.open() else { continue };
        match books.flush(&*open.store.ledger).await {
            Ok(()) if told => {
                tracing::info!("what was used is written again");
                told = false;
            }
            Err(error) if !told => {
                tracing::warn!(%error, "what was used cannot be written now; it is kept and written later");
                told = true;
            }
            _ => {}
        }
    }
}

/// Forgets the days that ended so long ago; never ends.
pub(in crate::durable) async fn sweep(ledger: Arc<dyn Ledger>, keep: Duration) {
    let old = |most| ledger.purge(Time::now().before(keep).day(), most);
    sweep::sweep("what was used long ago", SWEEP_MAX, old).await;
}

/// Writes the rest, where `open` gives a store within reason.
pub(in crate::durable) async fn finish(books: &Books, open: impl Future<Output = store::Result<Store>>) {
    if !books.collect(today()) {
        return;
    }
    let written = tokio::time::timeout(FLUSH, async {
        let store = open.await?;
        books.flush(&*store.ledger).await
    });
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "what was used in the last seconds is lost"),
        Err(_) => tracing::error!("what was used in the last seconds is lost: the store does not take it"),
    }
}
