//! Which step comes next, in which column, and what the line beside it looks like.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Style;
use crate::workflow::definition::Definition;

/// A drawing under way. A rail is a column that leads down from a step to those that need it.
pub(super) struct Rails {
    /// What each step needs, less what other needs imply.
    needs: Vec<Vec<usize>>,
    layers: Vec<usize>,
    /// How many steps that need it are still to be drawn.
    left: Vec<usize>,
    drawn: Vec<bool>,
    /// From which step each column leads down.
    columns: Vec<Option<usize>>,
    /// A column just left by a step that nothing needs: what stood right below would look joined to it.
    closed: Option<usize>,
}

/// What stands left of a step's label.
pub(super) struct Row {
    pub(super) cells: String,
    /// The bytes of the step's symbol.
    pub(super) symbol: Range<usize>,
}

/// What a column shows in a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Empty,
    /// A rail that has nothing to do with the step.
    Passes,
    /// A rail to the step that goes on.
    Branches,
    /// A rail to the step that ends here.
    Ends,
    Step,
}

impl Rails {
    pub(super) fn new(definition: &Definition) -> Self {
        let steps = definition.steps();
        let needs: Vec<Vec<usize>> = (0..steps.len()).map(|step| essential(definition, step)).collect();
        let mut left = vec![0; steps.len()];
        for need in needs.iter().flatten() {
            if let Some(count) = left.get_mut(*need) {
                *count += 1;
            }
        }
        let layers = layers(definition);
        Self { needs, layers, left, drawn: vec![false; steps.len()], columns: Vec::new(), closed: None }
    }

    /// The next step: of the first layer that is left, the one whose needs stand furthest to the left.
    pub(super) fn next_step(&self) -> Option<usize> {
        let open = (0..self.drawn.len()).filter(|step| !self.is_drawn(*step));
        let key = |step: &usize| {
            let columns = self.needs_of(*step).iter().filter_map(|need| self.column_of(*need));
            (self.layers.get(*step).copied(), columns.min(), *step)
        };
        open.min_by_key(key)
    }

    /// Draws a step's line, and goes on to the next.
    pub(super) fn draw(&mut self, step: usize, symbol: char, style: Style) -> Row {
        let sources: BTreeSet<usize> =
            self.needs_of(step).iter().filter_map(|need| self.column_of(*need)).collect();
        let ends: BTreeSet<usize> =
            sources.iter().copied().filter(|column| self.left_of(*column) == Some(1)).collect();
        let own = ends.first().copied().unwrap_or_else(|| self.free(sources.first().copied()));
        if own >= self.columns.len() {
            self.columns.resize(own + 1, None);
        }
        let cells: Vec<Cell> = (0..self.columns.len())
            .map(|column| match self.columns.get(column).copied().flatten() {
                _ if column == own => Cell::Step,
                Some(_) if !sources.contains(&column) => Cell::Passes,
                Some(_) if ends.contains(&column) => Cell::Ends,
                Some(_) => Cell::Branches,
                None => Cell::Empty,
            })
            .collect();
        let first = sources.first().map_or(own, |column| own.min(*column));
        let last = sources.last().map_or(own, |column| own.max(*column));
        let row = written(&cells, first..last, symbol, style);
        self.step_on(step, own, &sources);
        row
    }

    /// The column is the step's from here on, and rails that nobody needs any more end.
    fn step_on(&mut self, step: usize, own: usize, sources: &BTreeSet<usize>) {
        for need in self.needs_of(step).to_vec() {
            if let Some(count) = self.left.get_mut(need) {
                *count = count.saturating_sub(1);
            }
        }
        for column in sources {
            if self.left_of(*column) == Some(0)
                && let Some(rail) = self.columns.get_mut(*column)
            {
                *rail = None;
            }
        }
        let leads_on = self.left.get(step).is_some_and(|count| *count > 0);
        if let Some(rail) = self.columns.get_mut(own) {
            *rail = leads_on.then_some(step);
        }
        if let Some(mark) = self.drawn.get_mut(step) {
            *mark = true;
        }
        self.closed = (!leads_on).then_some(own);
        while self.columns.last() == Some(&None) {
            self.columns.pop();
        }
    }

    /// A column with no rail: right of what the step needs.
    fn free(&self, after: Option<usize>) -> usize {
        let from = after.map_or(0, |column| column + 1);
        let is_free = |column: &usize| {
            self.columns.get(*column).copied().flatten().is_none() && self.closed != Some(*column)
        };
        (from..).find(is_free).unwrap_or(from)
    }

    fn needs_of(&self, step: usize) -> &[usize] {
        self.needs.get(step).map_or(&[], Vec::as_slice)
    }

    fn is_drawn(&self, step: usize) -> bool {
        self.drawn.get(step).copied().unwrap_or(true)
    }

    fn column_of(&self, step: usize) -> Option<usize> {
        self.columns.iter().position(|rail| *rail == Some(step))
    }

    /// How many are still to come that need the step from which a column leads.
    fn left_of(&self, column: usize) -> Option<usize> {
        self.left.get(self.columns.get(column).copied().flatten()?).copied()
    }
}

/// The characters of a line; the rails to its step run over `joined`.
fn written(cells: &[Cell], joined: Range<usize>, symbol: char, style: Style) -> Row {
    let mut row = Row { cells: String::new(), symbol: 0..0 };
    for (column, cell) in cells.iter().enumerate() {
        let (left, right) = (column > joined.start, column < joined.end);
        let inside = left && right || column == joined.start || column == joined.end;
        let unicode = match (cell, inside && left, inside && right) {
            (Cell::Step, ..) => symbol,
            (Cell::Passes, ..) => '│',
            (Cell::Empty, true, true) => '─',
            (Cell::Empty, ..) => ' ',
            (Cell::Branches, false, _) => '├',
            (Cell::Branches, true, false) => '┤',
            (Cell::Branches, true, true) => '┼',
            (Cell::Ends, false, _) => '╰',
            (Cell::Ends, true, false) => '╯',
            (Cell::Ends, true, true) => '┴',
        };
        if *cell == Cell::Step {
            row.symbol = row.cells.len()..row.cells.len() + symbol.len_utf8();
        }
        row.cells.push(plain(unicode, symbol, style));
        if column + 1 < cells.len() {
            let between = if column >= joined.start && column < joined.end { '─' } else { ' ' };
            row.cells.push(plain(between, symbol, style));
        }
    }
    row
}

fn plain(unicode: char, symbol: char, style: Style) -> char {
    match (style, unicode) {
        (Style::Unicode, _) => unicode,
        (Style::Ascii, _) if unicode == symbol => symbol,
        (Style::Ascii, '│') => '|',
        (Style::Ascii, '─') => '-',
        (Style::Ascii, ' ') => ' ',
        (Style::Ascii, '╰') => '`',
        (Style::Ascii, '╯') => '\'',
        (Style::Ascii, _) => '+',
    }
}

/// The needs of a step that no other of its needs implies.
fn essential(definition: &Definition, step: usize) -> Vec<usize> {
    let steps = definition.steps();
    let needs = steps.get(step).map_or(&[][..], |step| step.needs.as_slice());
    let mut implied = vec![false; steps.len()];
    let mut open: Vec<usize> = needs
        .iter()
        .filter_map(|need| steps.get(*need))
        .flat_map(|need| need.needs.iter().copied())
        .collect();
    while let Some(above) = open.pop() {
        if let Some(mark) = implied.get_mut(above)
            && !std::mem::replace(mark, true)
        {
            open.extend(steps.get(above).into_iter().flat_map(|step| step.needs.iter().copied()));
        }
    }
    needs.iter().copied().filter(|need| implied.get(*need) != Some(&true)).collect()
}

/// The length of the longest way to each step.
fn layers(definition: &Definition) -> Vec<usize> {
    let steps = definition.steps();
    let mut layers = vec![0; steps.len()];
    let mut left: Vec<usize> = steps.iter().map(|step| step.needs.len()).collect();
    let mut open: Vec<usize> = (0..steps.len()).filter(|step| left.get(*step) == Some(&0)).collect();
    while let Some(step) = open.pop() {
        let below = layers.get(step).copied().unwrap_or(0) + 1;
        for follower in definition.followers.get(step).into_iter().flatten() {
            if let Some(layer) = layers.get_mut(*follower) {
                *layer = below.max(*layer);
            }
            if let Some(count) = left.get_mut(*follower) {
                *count -= 1;
                if *count == 0 {
                    open.push(*follower);
                }
            }
        }
    }
    layers
}
