//! Writes what was used: every few seconds while the process lives, and once more when no request can come any more.

use super::Books;
use super::pending::{left_of_today, today};
use crate::durable::Durable;
use crate::durable::settings::FLUSH;
use std::time::Duration;
use store::Store;

/// How often. What a process that is killed has not written is no older.
const EVERY: Duration = Duration::from_secs(5);

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
