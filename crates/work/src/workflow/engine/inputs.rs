//! What a step's expressions read, loaded.

use std::collections::BTreeMap;

use serde_json::Value;
use store::runs::{Run, Step as Row};

use super::Engine;
use crate::workflow::Definition;
use crate::workflow::event::Failure;
use crate::workflow::expression::{About, Scope, Seen};
use crate::workflow::status::{Mark, Status};
use crate::workflow::task::Part;

/// Most bytes of outputs that one step reads.
pub const READ_BYTES_MAX: usize = 16 << 20;

/// Rows that are read at once: with the longest outputs about what may be read at all.
const ROWS_AT_ONCE: usize = 32;

/// Why nothing was done: the store's fault, the step's, or nobody's.
pub(super) enum Unloaded {
    Store(store::Error),
    Failure(Failure),
    /// Nothing was begun.
    PutOff(Failure),
}

impl From<store::Error> for Unloaded {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Unloaded {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// A run, as its jobs see it.
pub(super) struct View<'a> {
    pub(super) run: &'a Run,
    pub(super) definition: &'a Definition,
    pub(super) status: &'a Status,
}

impl Engine {
    /// What expressions can read that read these steps.
    pub(super) async fn scope(
        &self,
        view: &View<'_>,
        reads: &[usize],
        item: Option<(&Value, usize)>,
    ) -> Result<Scope, Unloaded> {
        let input = parsed(Some(&view.run.input))?;
        let seen = self.seen(view, reads).await?;
        let about = About { id: view.run.id.clone(), workflow: view.run.workflow.clone() };
        Ok(Scope::new(&input, &seen, &about, item))
    }

    /// What these steps have come to.
    pub(super) async fn seen(
        &self,
        view: &View<'_>,
        places: &[usize],
    ) -> Result<BTreeMap<String, Seen>, Unloaded> {
        let mut keys = Vec::new();
        for place in places {
            keys.extend(keys_of(view, *place));
        }
        let rows = self.rows(&view.run.id, &keys).await?;
        let mut seen = BTreeMap::new();
        for place in places {
            let Some(step) = view.definition.steps().get(*place) else { continue };
            let mark = view.status.mark(*place);
            let state = match mark {
                Mark::Skipped => "skipped",
                Mark::Failed | Mark::Cancelled => "failed",
                _ => "done",
            };
            let output = match view.status.spread(*place) {
                Some(spread) => (0..spread.total)
                    .map(|item| parsed(output_of(&rows, &Part::Item(step.id.clone(), item).to_string())))
                    .collect::<Result<Value, _>>()?,
                None if state == "done" => parsed(output_of(&rows, &step.id))?,
                None => Value::Null,
            };
            let error = rows.get(&step.id).and_then(|row| row.error.clone());
            seen.insert(step.id.clone(), Seen { output, state, error });
        }
        Ok(seen)
    }

    /// Rows by key, a few at a time, up to a bound on all their bytes.
    pub(super) async fn rows(&self, run: &str, keys: &[String]) -> Result<BTreeMap<String, Row>, Unloaded> {
        let mut rows = BTreeMap::new();
        let mut bytes = 0;
        for some in keys.chunks(ROWS_AT_ONCE) {
            for row in self.inner.runs.steps(run, Some(some.to_vec()), u32::MAX).await? {
                bytes += row.output.as_ref().map_or(0, Vec::len) + row.input.as_ref().map_or(0, Vec::len);
                rows.insert(row.key.clone(), row);
            }
            if bytes > READ_BYTES_MAX {
                let why = "the outputs that it reads are longer than 16 MiB together";
                return Err(Failure::lasting("too_large", why).into());
            }
        }
        Ok(rows)
    }
}

/// The rows that hold what a step has come to.
fn keys_of(view: &View<'_>, place: usize) -> Vec<String> {
    let Some(step) = view.definition.steps().get(place) else { return Vec::new() };
    let items = view.status.spread(place).map_or(0, |spread| spread.total);
    let items = (0..items).map(|item| Part::Item(step.id.clone(), item).to_string());
    std::iter::once(step.id.clone()).chain(items).collect()
}

fn output_of<'r>(rows: &'r BTreeMap<String, Row>, key: &str) -> Option<&'r Vec<u8>> {
    rows.get(key).and_then(|row| row.output.as_ref())
}

/// JSON that we wrote; null where there is none.
pub(super) fn parsed(bytes: Option<&Vec<u8>>) -> Result<Value, Failure> {
    bytes.map_or(Ok(Value::Null), |bytes| {
        serde_json::from_slice(bytes).map_err(|error| Failure::lasting("corrupt", error.to_string()))
    })
}
