//! What each kind of step does.

use std::time::Duration;

use serde_json::Value;
use store::Time;

use super::Engine;
use super::inputs::{Unloaded, View, parsed};
use super::perform::Performed;
use crate::workflow::definition::{
    Branch, Call, Child, Effect, ITEMS_MAX, Kind, Map, Sleep, Step, Wait, Work,
};
use crate::workflow::duration;
use crate::workflow::effects::{Calling, HttpCall, ModelCall, Origin};
use crate::workflow::event::{Failure, Outcome};
use crate::workflow::expression::{EvaluationError, Scope};
use crate::workflow::machine::{Beginning, begin, child_id};
use crate::workflow::task::Task;
use crate::workflow::template::Template;

/// Most bytes of a step's output, of an item, and of a run's input and output.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Most bytes of an input that is kept for people to see.
const SHOWN_BYTES_MAX: usize = 64 << 10;
/// Runs above a run.
const DEPTH_MAX: u8 = 8;

impl From<EvaluationError> for Unloaded {
    fn from(error: EvaluationError) -> Self {
        Self::Failure(Failure::lasting("expression", error.to_string()))
    }
}

impl Engine {
    pub(super) async fn step(&self, view: &View<'_>, task: &Task, id: &str) -> Result<Performed, Unloaded> {
        let step = found(view, id)?;
        let scope = self.scope(view, &step.reads, None).await?;
        if let Some(when) = &step.when
            && !when.holds(&scope)?
        {
            return Ok(Outcome::Skipped.into());
        }
        match &step.kind {
            Kind::Work(work) => self.work(view, task, step, work, &scope).await,
            Kind::Map(map) => Ok(Outcome::Spread(items(map, &scope)?).into()),
            Kind::Branch(branch) => Ok(Outcome::Chose(choice(branch, &scope)?).into()),
            Kind::Sleep(sleep) => Ok(Outcome::Sleeps(self.until(sleep, &scope)?).into()),
            Kind::Wait(wait) => self.listen(view, step, wait).await,
        }
    }

    pub(super) async fn item(
        &self,
        view: &View<'_>,
        task: &Task,
        id: &str,
        item: usize,
    ) -> Result<Performed, Unloaded> {
        let step = found(view, id)?;
        let Kind::Map(map) = &step.kind else { return Err(gone(id).into()) };
        let key = task.part.to_string();
        let rows = self.rows(&view.run.id, std::slice::from_ref(&key)).await?;
        let value = parsed(rows.get(&key).and_then(|row| row.input.as_ref()))?;
        let scope = self.scope(view, &step.reads, Some((&value, item))).await?;
        let performed = self.work(view, task, step, &map.each, &scope).await?;
        // The row keeps the item itself: it is needed where the item is tried again.
        Ok(Performed { input: rows.get(&key).and_then(|row| row.input.clone()), ..performed })
    }

    pub(super) async fn undo(&self, view: &View<'_>, task: &Task, id: &str) -> Result<Performed, Unloaded> {
        let step = found(view, id)?;
        let Some(effect) = &step.compensate else { return Err(gone(id).into()) };
        let scope = self.scope(view, &step.undo_reads, None).await?;
        self.effect(view, task, step, effect, &scope).await
    }

    /// What the definition says; or the output of the steps that none waits for, by id if there are several.
    pub(super) async fn output(&self, view: &View<'_>) -> Result<Performed, Unloaded> {
        let output = match &view.definition.output {
            Some(template) => {
                let scope = self.scope(view, &view.definition.output_reads, None).await?;
                template.value(&scope)?
            }
            None => {
                let followers = view.definition.followers.iter().enumerate();
                let last: Vec<usize> =
                    followers.filter(|(_, followers)| followers.is_empty()).map(|(place, _)| place).collect();
                let mut seen = self.seen(view, &last).await?;
                match (last.len(), seen.pop_first()) {
                    (1, Some((_, only))) => only.output,
                    (_, first) => first.into_iter().chain(seen).map(|(id, seen)| (id, seen.output)).collect(),
                }
            }
        };
        Ok(Outcome::Done(bounded(&output)?).into())
    }

    async fn work(
        &self,
        view: &View<'_>,
        task: &Task,
        step: &Step,
        work: &Work,
        scope: &Scope,
    ) -> Result<Performed, Unloaded> {
        match work {
            Work::Effect(effect) => self.effect(view, task, step, effect, scope).await,
            Work::Child(child) => self.child(view, task, child, scope).await,
        }
    }

    async fn effect(
        &self,
        view: &View<'_>,
        task: &Task,
        step: &Step,
        effect: &Effect,
        scope: &Scope,
    ) -> Result<Performed, Unloaded> {
        let origin = Origin {
            key: task.word(),
            tenant: view.run.tenant.clone(),
            caller: view.status.caller.clone(),
            run: view.run.id.clone(),
            workflow: view.run.workflow.clone(),
            step: step.id.clone(),
            timeout: effect.timeout,
        };
        let (input, calling) = self.call(origin, &effect.call, scope)?;
        let answered = tokio::time::timeout(effect.timeout, calling).await;
        let outcome = match answered {
            Ok(Ok(output)) => bounded(&output).map_or_else(Outcome::Failed, Outcome::Done),
            Ok(Err(failure)) if !failure.begun => return Err(Unloaded::PutOff(failure)),
            Ok(Err(failure)) => Outcome::Failed(failure),
            Err(_) => {
                let why = format!("no answer within {:?}", effect.timeout);
                Outcome::Failed(Failure::passing("timeout", why))
            }
        };
        let input = Some(input.to_string().into_bytes()).filter(|input| input.len() <= SHOWN_BYTES_MAX);
        Ok(Performed { outcome, input })
    }

    /// What is kept for people to see, and the call. Headers may hold secrets and are not kept.
    fn call(&self, origin: Origin, call: &Call, scope: &Scope) -> Result<(Value, Calling), Unloaded> {
        match call {
            Call::Model { model, request } => {
                let model = text(model, scope, "the model's name")?;
                let Value::Object(request) = request.value(scope)? else {
                    return Err(Failure::lasting("expression", "the request is no object").into());
                };
                let shown = serde_json::json!({ "model": model, "request": request });
                Ok((shown, (self.inner.effects.model)(ModelCall { origin, model, request })))
            }
            Call::Http { method, url, headers, body } => {
                let url = text(url, scope, "the address")?;
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    let why = "the address does not begin with `https://` or `http://`";
                    return Err(Failure::lasting("expression", why).into());
                }
                let mut filled = std::collections::BTreeMap::new();
                for (name, value) in headers {
                    filled.insert(name.clone(), text(value, scope, "a header")?);
                }
                let body = body.as_ref().map(|body| body.value(scope)).transpose()?;
                let shown = serde_json::json!({ "method": method.as_str(), "url": url, "body": body });
                let call = HttpCall { origin, method: *method, url, headers: filled, body };
                Ok((shown, (self.inner.effects.http)(call)))
            }
        }
    }

    /// The run of another workflow, with its first jobs: started in one commit with this step's word of it.
    async fn child(
        &self,
        view: &View<'_>,
        task: &Task,
        child: &Child,
        scope: &Scope,
    ) -> Result<Performed, Unloaded> {
        let depth = view.status.depth + 1;
        if depth > DEPTH_MAX {
            let why = format!("more than {DEPTH_MAX} workflows within one another");
            return Err(Failure::lasting("child", why).into());
        }
        let input = child.input.value(scope)?;
        let row = self.inner.runs.definition(&view.run.tenant, &child.workflow, child.version).await?;
        let Some(row) = row else {
            let why = format!("there is no workflow `{}` in that version", child.workflow);
            return Err(Failure::lasting("child", why).into());
        };
        let faulty = |faults| Failure::lasting("child", format!("`{}`: {faults}", child.workflow));
        let definition = self.definition(&row.source).map_err(faulty)?;
        let input = bounded(&definition.accept(input).map_err(faulty)?)?;
        let beginning = Beginning {
            id: child_id(task),
            tenant: view.run.tenant.clone(),
            version: row.version,
            source: row.source,
            input: input.clone(),
            parent: Some((view.run.id.clone(), task.key())),
            depth,
            caller: view.status.caller.clone(),
            now: self.inner.clock.now(),
        };
        let (run, jobs) = begin(&definition, beginning);
        let input = Some(input).filter(|input| input.len() <= SHOWN_BYTES_MAX);
        Ok(Performed { outcome: Outcome::Began(Box::new(run), jobs), input })
    }

    /// A signal that came early is there already.
    async fn listen(&self, view: &View<'_>, step: &Step, _: &Wait) -> Result<Performed, Unloaded> {
        if !view.status.is_signalled(view.definition, &step.id) {
            return Ok(Outcome::Listens.into());
        }
        let rows = self.rows(&view.run.id, std::slice::from_ref(&step.id)).await?;
        let payload = rows.get(&step.id).and_then(|row| row.output.clone());
        Ok(Outcome::Done(payload.unwrap_or_else(|| b"null".to_vec())).into())
    }

    fn until(&self, sleep: &Sleep, scope: &Scope) -> Result<Time, Unloaded> {
        let wrong = |value: &Value, mend: &str| {
            Unloaded::Failure(Failure::lasting(
                "expression",
                format!("{value} is not when to wake up: {mend}"),
            ))
        };
        match sleep {
            Sleep::For(length) => {
                let value = length.value(scope)?;
                let length = match &value {
                    Value::String(text) => duration::parse(text),
                    Value::Number(seconds) => {
                        seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                    }
                    _ => None,
                };
                let length = length.filter(|length| *length <= duration::LONGEST);
                Ok(self.inner.clock.now().after(length.ok_or_else(|| wrong(&value, duration::MEND))?))
            }
            Sleep::Until(moment) => {
                let value = moment.value(scope)?;
                let moment = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
                let moment = moment.ok_or_else(|| wrong(&value, "write it as `2030-01-31T08:00:00Z`"))?;
                let latest = self.inner.clock.now().after(duration::LONGEST);
                Ok(Time(moment.as_millisecond()).min(latest))
            }
        }
    }
}

fn found<'v>(view: &View<'v>, id: &str) -> Result<&'v Step, Failure> {
    view.definition.place(id).and_then(|place| view.definition.steps().get(place)).ok_or_else(|| gone(id))
}

/// The run would not have wanted it: said for completeness.
fn gone(id: &str) -> Failure {
    Failure::lasting("corrupt", format!("there is no such part of `{id}`"))
}

fn text(template: &Template, scope: &Scope, what: &str) -> Result<String, Unloaded> {
    match template.value(scope)? {
        Value::String(text) => Ok(text),
        other => Err(Failure::lasting("expression", format!("{what} is no text but {other}")).into()),
    }
}

/// The list over which a step fans out, each item as JSON.
fn items(map: &Map, scope: &Scope) -> Result<Vec<Vec<u8>>, Unloaded> {
    let Value::Array(list) = map.over.value(scope)? else {
        return Err(Failure::lasting("expression", "`over` gives no list").into());
    };
    if list.len() > ITEMS_MAX {
        let why = format!("{} items, and no more than {ITEMS_MAX} are allowed", list.len());
        return Err(Failure::lasting("too_large", why).into());
    }
    list.iter().map(|item| Ok(bounded(item)?)).collect()
}

/// The first case that holds.
fn choice(branch: &Branch, scope: &Scope) -> Result<Option<usize>, EvaluationError> {
    for (index, case) in branch.cases.iter().enumerate() {
        if case.when.holds(scope)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn bounded(value: &Value) -> Result<Vec<u8>, Failure> {
    let bytes = value.to_string().into_bytes();
    if bytes.len() <= OUTPUT_BYTES_MAX {
        return Ok(bytes);
    }
    let why = format!("{} bytes of output, and no more than {OUTPUT_BYTES_MAX} are kept", bytes.len());
    Err(Failure::lasting("too_large", why))
}
