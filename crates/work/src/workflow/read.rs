//! Tree → drafts of steps: which keys there are, what each may hold, and what is wrong with it. What steps
//! mean to one another is judged in [`check`](super::check).

mod fields;
mod step;
mod work;

use std::ops::Range;

use serde_json::Value;

use super::definition::{Definition, Effect, Kind, OnError, SOURCE_BYTES_MAX, STEPS_MAX};
use super::expression::{Expression, Reads, Wrong};
use super::fault::{Faults, Findings, Spot, suggest};
use super::input::{Field, FieldKind, Input};
use super::source::{self, Format, Node};
use super::template::Template;

use self::fields::Fields;

/// Longest name of a workflow, a signal or a step.
pub(super) const NAME_BYTES_MAX: usize = 64;

const KEYS: [&str; 5] = ["name", "description", "input", "steps", "output"];

/// A definition whose names are not resolved yet.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) input: Input,
    pub(super) steps: Vec<StepDraft>,
    pub(super) output: Option<Template>,
    /// What the output's expressions read.
    pub(super) output_uses: Vec<Use>,
}

/// A step whose names are not resolved yet.
#[derive(Debug, Default)]
pub(super) struct StepDraft {
    pub(super) id: Named,
    pub(super) description: Option<String>,
    /// `None` where something is wrong with it.
    pub(super) kind: Option<Kind>,
    pub(super) needs: Vec<Named>,
    /// Of a branch: the steps of each case, and last those where none holds.
    pub(super) cases: Vec<Vec<Named>>,
    pub(super) when: Option<Expression>,
    pub(super) on_error: OnError,
    pub(super) compensate: Option<Effect>,
    pub(super) uses: Vec<Use>,
}

/// A name, and where it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) spot: Spot,
}

/// What an expression reads, and where it stands.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) spot: Spot,
    pub(super) reads: Reads,
    pub(super) place: Place,
}

/// What an expression is for, which decides what it may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The step itself: what is upstream.
    Step,
    /// Each item of a step that fans out: the item too.
    Item,
    /// What undoes a step: its own output too.
    Undo,
    /// The run's output: everything.
    Output,
}

impl Definition {
    /// Reads and checks a definition.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place and its mend.
    pub fn parse(text: &str, format: Format) -> Result<Self, Faults> {
        let mut reader = Reader::default();
        let draft = reader.definition(text, format);
        match draft.and_then(|draft| super::check::resolve(draft, &mut reader.faults)) {
            Some(definition) if reader.faults.is_empty() => Ok(definition),
            _ => Err(reader.faults.told(Some(text))),
        }
    }
}

/// Reads, and gathers what is wrong.
#[derive(Debug, Default)]
pub(super) struct Reader {
    faults: Findings,
    /// What expressions read, since this was last taken.
    uses: Vec<Use>,
}

impl Reader {
    fn definition(&mut self, text: &str, format: Format) -> Option<Draft> {
        let root = Spot::default();
        if text.len() > SOURCE_BYTES_MAX {
            self.faults.add(
                &root,
                "longer than 1 MiB",
                "pass long text in the input, or split it into children",
            );
            return None;
        }
        let node = source::parse(text, format, &mut self.faults)?;
        let fields = self.fields(&node, &root, "a workflow", &[&KEYS])?;
        let name = self.required(&fields, "name").and_then(|(node, spot)| self.name(node, &spot));
        let description = self.description(&fields);
        let input = fields.get("input").map(|(node, spot)| self.input(node, &spot)).unwrap_or_default();
        let steps = self.required(&fields, "steps").map(|(node, spot)| self.steps(node, &spot));
        let output = fields.get("output").map(|(node, spot)| self.template(node, &spot, Place::Output));
        Some(Draft {
            name: name.unwrap_or_default(),
            description,
            input,
            steps: steps.unwrap_or_default(),
            output,
            output_uses: std::mem::take(&mut self.uses),
        })
    }

    fn steps(&mut self, node: &Node, spot: &Spot) -> Vec<StepDraft> {
        let Some(items) = self.list(node, spot) else { return Vec::new() };
        if items.is_empty() || items.len() > STEPS_MAX {
            let what = format!("{} steps", items.len());
            self.faults.add(spot, what, format!("write from 1 to {STEPS_MAX}, or split it into children"));
            return Vec::new();
        }
        let items = items.iter().enumerate();
        items.filter_map(|(index, item)| self.step(item, &spot.below(index, item.span.clone()))).collect()
    }

    /// Either a list of the fields that must be given, or JSON Schema's `required` and `properties`.
    fn input(&mut self, node: &Node, spot: &Spot) -> Input {
        let names = |names: Vec<Named>, required| {
            names.into_iter().map(move |named| Field {
                name: named.name,
                kind: FieldKind::Any,
                required,
                default: None,
            })
        };
        if let source::Kind::List(_) = &node.kind {
            let listed = self.names(node, spot);
            return Input { fields: Some(names(listed, true).collect()) };
        }
        let keys = ["type", "description", "required", "properties"];
        let Some(fields) = self.fields(node, spot, "an input", &[&keys]) else { return Input::default() };
        let required = fields.get("required").map(|(node, spot)| self.names(node, &spot)).unwrap_or_default();
        let mut known: Vec<Field> = Vec::new();
        if let Some((node, spot)) = fields.get("properties")
            && let Some(entries) = self.table(node, &spot)
        {
            for entry in entries {
                let below = spot.below(&entry.key, entry.node.span.clone());
                known.extend(self.property(&entry.key, &entry.node, &below));
            }
        }
        for named in required {
            match known.iter_mut().find(|field| field.name == named.name) {
                Some(field) => field.required = true,
                None => known.extend(names(vec![named], true)),
            }
        }
        Input { fields: Some(known) }
    }

    fn property(&mut self, name: &str, node: &Node, spot: &Spot) -> Option<Field> {
        let fields = self.fields(node, spot, "a property", &[&["type", "description", "default"]])?;
        let kind = match fields.get("type") {
            Some((node, spot)) => {
                let choices = FieldKind::NAMED.map(|(name, _)| name);
                let index = self.choice(node, &spot, "type", &choices)?;
                FieldKind::NAMED.get(index).map_or(FieldKind::Any, |(_, kind)| *kind)
            }
            None => FieldKind::Any,
        };
        let default = fields.get("default").map(|(node, spot)| (node.to_value(), spot));
        if let Some((value, spot)) = &default
            && !kind.admits(value)
        {
            self.faults.add(spot, "the default is not of the type", "change one of them");
        }
        let default = default.map(|(value, _)| value);
        Some(Field { name: name.to_owned(), kind, required: false, default })
    }

    fn description(&mut self, fields: &Fields<'_>) -> Option<String> {
        let (node, spot) = fields.get("description")?;
        self.text(node, &spot).map(ToOwned::to_owned)
    }

    /// A value with expressions in it.
    fn template(&mut self, node: &Node, spot: &Spot, place: Place) -> Template {
        let Self { faults, uses } = self;
        Template::read(node, spot, &mut |spot, found| match found {
            Ok(reads) => uses.push(Use { spot: spot.clone(), reads, place }),
            Err(wrong) => faults.add(spot, wrong.what, wrong.mend),
        })
    }

    /// An expression, with or without its braces.
    fn expression(&mut self, node: &Node, spot: &Spot, place: Place) -> Option<Expression> {
        let parsed = match &node.kind {
            source::Kind::Text(text) => Expression::parse(text),
            source::Kind::Plain(Value::Bool(flag)) => Expression::parse(if *flag { "true" } else { "false" }),
            _ => Err(Wrong::new(
                format!("{} where an expression is to be", node.what()),
                "write it as text: `\"input.n > 3\"`",
            )),
        };
        match parsed {
            Ok((expression, reads)) => {
                self.uses.push(Use { spot: spot.clone(), reads, place });
                Some(expression)
            }
            Err(wrong) => {
                self.faults.add(spot, wrong.what, wrong.mend);
                None
            }
        }
    }

    /// One of a few words; its place among them.
    fn choice(&mut self, node: &Node, spot: &Spot, what: &str, choices: &[&str]) -> Option<usize> {
        let word = self.text(node, spot)?;
        let found = choices.iter().position(|choice| *choice == word);
        if found.is_none() {
            let mend = suggest(word, choices.iter().copied(), "");
            self.faults.add(spot, format!("unknown {what} `{word}`"), mend);
        }
        found
    }

    /// A whole number within a range.
    fn whole(&mut self, node: &Node, spot: &Spot, range: Range<u64>) -> Option<u64> {
        let number = node.to_value().as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            let what = format!("{} where a whole number is to be", node.what());
            self.faults.add(spot, what, format!("write one from {} to {}", range.start, range.end - 1));
        }
        number
    }
}
