//! The input, read and made into requests ahead of its turn, on a thread of its own: a slow disk must not hold up the
//! requests under way.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::extent::Done;
use super::recipe::Recipe;
use super::row::{Fault, Ready, Row};
use super::source::Source;

/// Rows handed over at once, at most.
const ROWS: usize = 64;
/// Bytes handed over at once, or one row.
const BYTES: usize = 1 << 20;
/// Such portions on their way.
const AHEAD: usize = 2;

/// Some rows, or what keeps the rest from being read.
pub(super) type Portion = io::Result<Vec<Ready>>;

/// Reads the rows that are not done, up to the row of number `limit`.
///
/// # Errors
/// Where the system gives no thread.
pub(super) fn read(
    source: Source,
    recipe: Arc<Recipe>,
    done: Done,
    limit: Option<u64>,
) -> io::Result<Receiver<Portion>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    // Left to itself at an early end: it notices that nobody listens.
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        let portions = Portions { source, recipe, done, limit: limit.unwrap_or(u64::MAX) };
        hand_over(portions, &sender);
    })?;
    Ok(receiver)
}

fn hand_over(mut portions: Portions, receiver: &Sender<Portion>) {
    while let Some(portion) = portions.next().transpose() {
        let failed = portion.is_err();
        if receiver.blocking_send(portion).is_err() || failed {
            return;
        }
    }
}

struct Portions {
    source: Source,
    recipe: Arc<Recipe>,
    done: Done,
    limit: u64,
}

impl Portions {
    fn next(&mut self) -> io::Result<Option<Vec<Ready>>> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < ROWS && bytes < BYTES {
            let Some((row, fault)) = self.source.next()?.filter(|(row, _)| row.number < self.limit) else {
                break;
            };
            if self.done.has(row.number) {
                continue;
            }
            let ready = ready(&self.recipe, row, fault);
            bytes += ready.bytes();
            rows.push(ready);
        }
        Ok((!rows.is_empty()).then_some(rows))
    }
}

/// A row and its request.
pub(super) fn ready(recipe: &Recipe, row: Row, fault: Option<Fault>) -> Ready {
    let body = match fault {
        Some(fault) => Err(fault),
        None => recipe.body(&row.text, row.line),
    };
    Ready { row, body }
}
