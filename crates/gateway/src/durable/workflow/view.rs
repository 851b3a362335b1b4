//! Workflows and their runs as they are shown, to callers and to operators.
//!
//! A run of a thousand steps with outputs of a mebibyte each would be a gibibyte: of a whole run, outputs are shown up
//! to a bound, and each step can be looked at by itself.

use crate::durable::api::seconds;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use store::runs::{Definition as Version, Run, RunState, Runs, Step as Row};
use work::workflow::definition::Step;
use work::workflow::status::{Mark, Status};
use work::workflow::{Definition, Engine};

/// Steps read at once: with the longest outputs, so many mebibytes.
const STEPS_AT_ONCE: usize = 8;
/// Bytes of outputs that are shown with a whole run.
const OUTPUTS_BYTES_MAX: usize = 4 << 20;

/// A state's name, in the API, in metrics and in commands.
#[must_use]
pub fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Compensating => "compensating",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Cancelled => "cancelled",
    }
}

/// The state of this name.
#[must_use]
pub fn state_named(name: &str) -> Option<RunState> {
    RunState::ALL.into_iter().find(|state| state_name(*state) == name)
}

/// A version of a workflow. Moments are seconds since 1970.
#[derive(Serialize)]
pub struct WorkflowView<'a> {
    object: &'static str,
    name: &'a str,
    version: i64,
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

impl<'a> WorkflowView<'a> {
    /// Without its source: as one of many.
    #[must_use]
    pub fn brief(version: &'a Version) -> Self {
        Self {
            object: "workflow",
            name: &version.name,
            version: version.version,
            created_at: seconds(version.created),
            tenant: None,
            source: None,
        }
    }

    /// As it was written.
    #[must_use]
    pub fn whole(version: &'a Version) -> Self {
        Self { source: std::str::from_utf8(&version.source).ok(), ..Self::brief(version) }
    }

    /// With whose it is, for operators.
    #[must_use]
    pub fn for_operators(self, version: &'a Version) -> Self {
        Self { tenant: Some(&version.tenant), ..self }
    }
}

/// A run. Moments are seconds since 1970.
#[derive(Serialize)]
pub struct RunView<'a> {
    id: &'a str,
    object: &'static str,
    workflow: &'a str,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    state: &'static str,
    created_at: i64,
    changed_at: i64,
    ended_at: Option<i64>,
    parent: Option<Parent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Option<&'a RawValue>>,
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepView<'a>>>,
}

/// The run and the step that wait for it.
#[derive(Serialize)]
struct Parent<'a> {
    run: &'a str,
    step: &'a str,
}

/// A step of a run.
#[derive(Serialize)]
pub struct StepView<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<Vec<&'a str>>,
    attempts: u32,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Items>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Box<RawValue>>,
    /// It has one, which is too long to be shown here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    output_omitted: bool,
    error: Option<String>,
}

/// How far a step is that fans out.
#[derive(Serialize)]
struct Items {
    total: usize,
    done: usize,
    failed: usize,
}

impl<'a> RunView<'a> {
    /// Without what it was given and what came of it: as one of many.
    #[must_use]
    pub fn brief(run: &'a Run) -> Self {
        Self {
            id: &run.id,
            object: "workflow.run",
            workflow: &run.workflow,
            version: run.version,
            tenant: None,
            state: state_name(run.state),
            created_at: seconds(run.created),
            changed_at: seconds(run.changed),
            ended_at: run.ended.map(seconds),
            parent: run.parent.as_ref().map(|(run, step)| Parent { run, step }),
            input: None,
            output: None,
            error: run.error.as_deref(),
            steps: None,
        }
    }

    /// With what it was given and what came of it.
    #[must_use]
    pub fn with_outcome(self, run: &'a Run) -> Self {
        Self { input: json(Some(&run.input)), output: Some(json(run.output.as_ref())), ..self }
    }

    /// With its steps.
    #[must_use]
    pub fn with_steps(self, steps: Vec<StepView<'a>>) -> Self {
        Self { steps: Some(steps), ..self }
    }

    /// With whose it is, for operators.
    #[must_use]
    pub fn for_operators(self, run: &'a Run) -> Self {
        Self { tenant: Some(&run.tenant), ..self }
    }
}

impl<'a> StepView<'a> {
    /// By the run's status, and by the step's row where it has begun.
    fn new(
        definition: &'a Definition,
        status: &Status,
        place: usize,
        step: &'a Step,
        row: Option<Row>,
    ) -> Self {
        let mark = status.mark(place);
        // What it came to before it was retried by hand does not count.
        let row = row.filter(|_| mark != Mark::Waiting);
        let needs = step.needs.iter().filter_map(|need| Some(definition.steps().get(*need)?.id.as_str()));
        let items = status.spread(place);
        Self {
            id: &step.id,
            kind: Some(step.kind.as_str()),
            state: mark.as_str(),
            needs: Some(needs.collect()),
            items: items.map(|spread| Items {
                total: spread.total,
                done: spread.done,
                failed: spread.failed,
            }),
            ..Self::of_row("", "", row.as_ref())
        }
    }

    /// By its row alone.
    #[must_use]
    pub fn of_row(id: &'a str, state: &'a str, row: Option<&Row>) -> Self {
        let times = row.and_then(|row| Some((row.started?, row.ended?)));
        Self {
            id,
            kind: None,
            state,
            needs: None,
            attempts: row.map_or(0, |row| row.attempts),
            started_at: row.and_then(|row| row.started).map(seconds),
            ended_at: row.and_then(|row| row.ended).map(seconds),
            duration_ms: times
                .map(|(began, ended)| u64::try_from(ended.since(began).as_millis()).unwrap_or(u64::MAX)),
            items: None,
            input: None,
            output: None,
            output_omitted: false,
            error: row.and_then(|row| row.error.clone()),
        }
    }

    /// With what it was given and what came of it.
    #[must_use]
    pub fn with_outcome(self, row: Option<&Row>) -> Self {
        let raw = |bytes: Option<&Vec<u8>>| json(bytes).map(ToOwned::to_owned);
        Self {
            input: raw(row.and_then(|row| row.input.as_ref())),
            output: raw(row.and_then(|row| row.output.as_ref())),
            ..self
        }
    }
}

/// The run with its steps, those of `places` or all, in the definition's order; with their outputs, up to a bound on
/// all of them, where `outputs` says so.
///
/// # Errors
/// Where the store does not answer.
pub async fn steps<'a>(
    runs: &dyn Runs,
    run: &Run,
    definition: &'a Definition,
    places: Option<&[usize]>,
    outputs: bool,
) -> store::Result<Vec<StepView<'a>>> {
    let Some(status) = Status::parse(&run.status, definition) else { return Ok(Vec::new()) };
    let all: Vec<usize> = (0..definition.steps().len()).collect();
    let mut views = Vec::new();
    let mut room = if outputs { OUTPUTS_BYTES_MAX } else { 0 };
    for some in places.unwrap_or(&all).chunks(STEPS_AT_ONCE) {
        let named = some.iter().filter_map(|place| Some((*place, definition.steps().get(*place)?)));
        let named: Vec<_> = named.collect();
        let keys = named.iter().map(|(_, step)| step.id.clone()).collect();
        let mut rows = runs.steps(&run.id, Some(keys), u32::MAX).await?;
        for (place, step) in named {
            let at = rows.iter().position(|row| row.key == step.id);
            let row = at.map(|at| rows.swap_remove(at)).filter(|_| status.mark(place) != Mark::Waiting);
            let bytes = row.as_ref().and_then(|row| row.output.as_ref()).map_or(0, Vec::len);
            let fits = bytes <= room;
            room -= if fits { bytes } else { 0 };
            let output = row.as_ref().filter(|_| fits && outputs).and_then(|row| json(row.output.as_ref()));
            let output = output.map(ToOwned::to_owned);
            let view = StepView::new(definition, &status, place, step, row);
            views.push(StepView { output, output_omitted: outputs && !fits, ..view });
        }
    }
    Ok(views)
}

/// What of a whole run is shown.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    /// What its steps have come to.
    pub outputs: bool,
    /// Whose it is: for operators.
    pub tenant: bool,
}

/// A run: what it was given, what came of it, and its steps.
///
/// # Errors
/// Where the store does not answer.
pub async fn whole(engine: &Engine, runs: &dyn Runs, run: &Run, show: Show) -> store::Result<Box<RawValue>> {
    let definition = engine.definition(&run.definition).ok();
    let steps = match &definition {
        Some(definition) => steps(runs, run, definition, None, show.outputs).await?,
        // Of an earlier release, or of ours in code.
        None => Vec::new(),
    };
    let view = RunView::brief(run).with_outcome(run).with_steps(steps);
    Ok(to_raw_value(&if show.tenant { view.for_operators(run) } else { view }).unwrap_or_default())
}

/// What was written, where that is JSON.
fn json(bytes: Option<&Vec<u8>>) -> Option<&RawValue> {
    serde_json::from_slice(bytes?).ok()
}
