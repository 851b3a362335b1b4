//! A run as a gateway tells of it, in the terms of the crate that knows what it means.

use std::collections::BTreeMap;

use serde_json::Value;
use work::workflow::status::{Mark, Spread};
use work::workflow::{Definition, Format, Status};

use super::remote::Remote;
use crate::commands::refusal::Refusal;

/// What a run was started with: its version of its workflow.
///
/// # Errors
/// The gateway does not have it, or not in a form that this release knows.
pub(super) fn definition(remote: &mut Remote, run: &Value) -> Result<Definition, Refusal> {
    let (name, version) = (run["workflow"].as_str().unwrap_or_default(), &run["version"]);
    let said = remote.get(&format!("/{name}?version={version}"))?;
    let source = said["source"].as_str().unwrap_or_default();
    Definition::parse(source, Format::of(source))
        .map_err(|faults| Refusal::Failed(format!("the definition is not of this release: {faults}")))
}

/// Where each step of it stands.
pub(super) fn status(run: &Value, definition: &Definition) -> Status {
    let told = |id: &str| run["steps"].as_array()?.iter().find(|step| step["id"] == id);
    let (mut marks, mut spreads) = (Vec::new(), BTreeMap::new());
    for (place, step) in definition.steps().iter().enumerate() {
        let told = told(&step.id);
        let mark = told.and_then(|told| Mark::named(told["state"].as_str()?));
        marks.push(mark.unwrap_or(Mark::Waiting));
        if let Some(items) = told.and_then(|told| told["items"].as_object()) {
            let count = |name: &str| {
                items
                    .get(name)
                    .and_then(Value::as_u64)
                    .and_then(|count| usize::try_from(count).ok())
                    .unwrap_or(0)
            };
            spreads.insert(place, Spread::seen(count("total"), count("done"), count("failed")));
        }
    }
    Status::seen(marks, spreads)
}

/// Whether nothing more happens to it by itself.
pub(super) fn is_over(run: &Value) -> bool {
    matches!(run["state"].as_str(), Some("done" | "failed" | "cancelled"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn steps_stand_as_they_are_told() {
        let text = "name = 'w'\n[[steps]]\nid = 'a'\nkind = 'sleep'\nfor = '1s'\n\
                    [[steps]]\nid = 'b'\nkind = 'wait'\nsignal = 's'\n[[steps]]\nid = 'c'\nkind = 'wait'\nsignal = 't'\n";
        let definition = Definition::parse(text, Format::Toml).unwrap();
        let run = json!({ "state": "running", "steps": [
            { "id": "b", "state": "spread", "items": { "total": 3, "done": 2, "failed": 1 } },
            { "id": "a", "state": "done" },
            { "id": "z", "state": "done" },
        ] });
        let status = status(&run, &definition);
        let marks: Vec<Mark> = (0..3).map(|place| status.mark(place)).collect();
        assert_eq!(marks, [Mark::Done, Mark::Spread, Mark::Waiting]);
        assert_eq!(status.spread(1), Some(&Spread::seen(3, 2, 1)));
        assert!(!is_over(&run) && is_over(&json!({ "state": "failed" })));
    }
}
