//! What is said of each step beside its symbol: its id, what it does, and where it stands.

use super::Style;
use crate::workflow::definition::{Definition, Kind, Sleep, Step};
use crate::workflow::status::{Mark, Status};
use crate::workflow::template::Template;

/// Longest text of one column; what is longer is cut.
const CHARS_MAX: usize = 40;

/// The labels of all steps, one below the other.
pub(super) struct Columns<'d> {
    definition: &'d Definition,
    status: Option<&'d Status>,
    style: Style,
    id_width: usize,
    kind_width: usize,
}

impl<'d> Columns<'d> {
    pub(super) fn new(definition: &'d Definition, status: Option<&'d Status>, style: Style) -> Self {
        let mut columns = Self { definition, status, style, id_width: 0, kind_width: 0 };
        let steps = definition.steps();
        columns.id_width = steps.iter().map(|step| columns.cut(&step.id).chars().count()).max().unwrap_or(0);
        columns.kind_width = steps.iter().map(|step| columns.kind(step).chars().count()).max().unwrap_or(0);
        columns
    }

    pub(super) fn of(&self, place: usize) -> String {
        let Some(step) = self.definition.steps().get(place) else { return String::new() };
        let (id, kind, state) = (self.cut(&step.id), self.kind(step), self.state(place));
        let (id_width, kind_width) = (self.id_width, self.kind_width);
        format!("{id:id_width$}  {kind:kind_width$}  {state}")
    }

    fn kind(&self, step: &Step) -> String {
        let what = match &step.kind {
            Kind::Work(_) => match step.kind.child() {
                Some(child) => format!("workflow {}", child.workflow),
                None => step.kind.as_str().to_owned(),
            },
            Kind::Map(map) => {
                format!("map of {}, {} at once", map.each.as_str(), map.concurrency)
            }
            Kind::Branch(branch) => format!("branch, {} cases", branch.cases.len()),
            Kind::Sleep(Sleep::For(Template::Plain(length))) => {
                format!("sleep {}", length.as_str().unwrap_or_default())
            }
            Kind::Sleep(_) => "sleep".to_owned(),
            Kind::Wait(wait) => format!("wait for {}", wait.signal),
        };
        let branch = step.chosen_by.and_then(|branch| self.definition.steps().get(branch));
        let chosen = branch.map(|branch| format!(", chosen by {}", branch.id)).unwrap_or_default();
        let when = if step.when.is_some() { ", with a condition" } else { "" };
        self.cut(&format!("{what}{chosen}{when}"))
    }

    fn state(&self, place: usize) -> String {
        let Some(status) = self.status else { return String::new() };
        let mark = status.mark(place);
        match status.spread(place) {
            Some(spread) if mark != Mark::Done => {
                let failed =
                    if spread.failed > 0 { format!(", {} failed", spread.failed) } else { String::new() };
                format!("{} {}/{}{failed}", mark.as_str(), spread.done, spread.total)
            }
            _ => mark.as_str().to_owned(),
        }
    }

    fn cut(&self, text: &str) -> String {
        if text.chars().count() <= CHARS_MAX {
            return text.to_owned();
        }
        let dots = if self.style == Style::Ascii { "..." } else { "…" };
        text.chars().take(CHARS_MAX - dots.chars().count()).chain(dots.chars()).collect()
    }
}
