//! The queue of directives for the requests to come, first in, first out.
//! It knows nothing of what a directive does.

use super::directive::Directive;
use super::lock;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Entries that may wait at once.
const ENTRIES_MAX: usize = 100_000;

#[derive(Default)]
pub(crate) struct Script {
    queue: Mutex<VecDeque<Directive>>,
    /// Spares the usual request, which has no script, the lock.
    waiting: AtomicBool,
}

impl Script {
    /// Appends a JSON list. Nothing is taken where any entry is wrong.
    pub(crate) fn load(&self, json: &str) -> Result<usize, ScriptError> {
        let entries: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(json)
            .map_err(|error| ScriptError(format!("a script is a JSON list of objects: {error}")))?;
        let entries = entries
            .iter()
            .enumerate()
            .map(|(at, entry)| {
                Directive::of_json(entry)
                    .map_err(|error| ScriptError(format!("entry {at} of the script: {error}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut queue = lock(&self.queue);
        if queue.len() + entries.len() > ENTRIES_MAX {
            return Err(ScriptError(format!("a script has {ENTRIES_MAX} entries at the most")));
        }
        let count = entries.len();
        queue.extend(entries);
        self.waiting.store(!queue.is_empty(), Ordering::Release);
        Ok(count)
    }

    pub(crate) fn clear(&self) -> usize {
        let mut queue = lock(&self.queue);
        self.waiting.store(false, Ordering::Release);
        let count = queue.len();
        queue.clear();
        count
    }

    /// What the next request is told; nothing where the queue is empty.
    pub(crate) fn take(&self) -> Directive {
        if !self.waiting.load(Ordering::Acquire) {
            return Directive::default();
        }
        let mut queue = lock(&self.queue);
        let directive = queue.pop_front().unwrap_or_default();
        self.waiting.store(!queue.is_empty(), Ordering::Release);
        directive
    }
}

/// Why a script was refused; the text names the entry and the mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError(String);

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScriptError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn entries_are_taken_in_their_order_and_then_none() {
        let script = Script::default();
        assert_eq!(script.load(r#"[{"status": 503}, {}]"#), Ok(2));
        assert_eq!(script.load(r#"[{"hang": true}]"#), Ok(1));
        assert_eq!(script.take().status, Some(503));
        assert_eq!(script.take(), Directive::default());
        assert!(script.take().hang);
        assert_eq!(script.take(), Directive::default());
    }

    #[test]
    fn a_wrong_entry_leaves_the_queue_as_it_was() {
        let script = Script::default();
        let error = script.load(r#"[{"status": 503}, {"explode": 1}]"#).unwrap_err();
        assert!(error.to_string().contains("entry 1"), "{error}");
        assert!(script.load("{}").is_err());
        assert_eq!(script.clear(), 0);
    }
}
