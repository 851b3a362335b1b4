//! How lines of a parcel end: as was said of them, here or by the provider.

use super::super::task::Task;
use super::super::{Answer, text};
use super::{Carried, Carries, Halt, lost};
use std::collections::HashMap;
use std::sync::Arc;
use store::parcels::{Ending, Settled, Told};

/// What was said of a line.
pub(super) enum Said {
    /// It was answered.
    Answered(Answer),
    /// It has no answer: a code, and a message.
    Failed(String, String),
}

impl Said {
    fn is_good(&self) -> bool {
        matches!(self, Self::Answered(answer) if answer.is_good())
    }

    fn text(&self, task: &Task<'_>) -> Vec<u8> {
        let end = match self {
            Self::Answered(answer) => text::answered(task, answer),
            Self::Failed(code, message) => text::failed(task, text::Why { code, message }),
        };
        end.text
    }
}

impl Carries {
    /// Ends lines of which this was said, by their numbers, if they are this parcel's and still held; those that were.
    pub(super) async fn settle(
        &self,
        carried: &Carried<'_>,
        said: &Arc<HashMap<u64, Said>>,
    ) -> Result<Vec<Told>, Halt> {
        let lines = said.iter().map(|(line, said)| Settled { line: *line, good: said.is_good() }).collect();
        let (spoken, model) = (Arc::clone(said), carried.model.clone());
        // A provider may name what it was never sent: lines of another parcel are on the same shelf.
        let ending: Ending = Arc::new(move |line, payload| {
            let task = Task::read(payload).filter(|task| task.is_part_of(&model))?;
            Some(spoken.get(&line)?.text(&task))
        });
        let (lease, shelf) = (carried.context.lease(), carried.shelf());
        let told = self.rows.parcels.settle(lease, shelf, lines, ending).await?.ok_or_else(lost)?;
        for (line, _) in &told {
            self.rows.stats.ended(said.get(line).is_some_and(Said::is_good), 1);
        }
        Ok(told)
    }
}
