//! Lines on their way from the input to the store: checked, and gathered in groups.

use super::courier::Courier;
use super::input::Cut;
use super::line::{self, Bad, Line};
use super::notes::{Notes, Problem};
use super::parcel::PARCELS;
use super::seen::Seen;
use super::{ATTEMPTS_MAX, KEPT, LINE, QUEUE, task, text};
use crate::Draft;
use std::collections::BTreeMap;
use store::Time;
use store::batches::{Batch, LineEnd, ReadTo};
use store::jobs::{Band, NewJob};

/// Lines recorded in one step.
const GROUP_MAX: usize = 500;
/// Bytes recorded in one step; one line may have more.
const GROUP_BYTES_MAX: usize = 2 << 20;
/// Models of one batch that may each be run by a provider.
const MODELS_MAX: usize = 64;
/// Bytes that the name of such a model may have.
const MODEL_BYTES_MAX: usize = 512;
/// Problems that are told of a batch which fails as a whole.
const PROBLEMS_MAX: usize = 50;

/// What has been read of a batch's input.
pub(super) struct Reading<'a> {
    pub batch: &'a Batch,
    /// Lines that can be asked.
    pub good: u64,
    /// What is wrong with the others; the first of them.
    pub problems: Vec<Problem>,
    /// Where the lines of each model go that a provider runs.
    routes: BTreeMap<String, String>,
    courier: Option<&'a dyn Courier>,
    key: Option<String>,
    seen: Seen,
    /// Requests so far.
    requests: u64,
    group: Group,
}

/// What is recorded in one step.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub from: ReadTo,
    pub to: ReadTo,
    pub jobs: Vec<NewJob>,
    pub bad: Vec<LineEnd>,
    /// Models of lines that a provider is to run, each with where that is.
    pub parcels: BTreeMap<String, String>,
    bytes: usize,
}

impl<'a> Reading<'a> {
    pub fn new(batch: &'a Batch, courier: Option<&'a dyn Courier>) -> Self {
        Self {
            batch,
            good: 0,
            problems: Vec::new(),
            routes: BTreeMap::new(),
            courier,
            key: Notes::of(batch).key,
            seen: Seen::default(),
            requests: 0,
            group: Group::after(batch.read),
        }
    }

    /// Takes a line; gives a group once there is enough for one.
    pub fn take(&mut self, cut: Cut<'_>, now: Time) -> Option<Group> {
        let (number, is_new) = (self.requests, self.requests >= self.batch.read.line);
        self.requests += 1;
        match self.check(cut.text) {
            Ok(line) => {
                self.good += 1;
                if is_new {
                    let job = self.job(number, &line, now);
                    self.group.bytes += job.payload.len();
                    self.group.jobs.push(job);
                }
            }
            Err(bad) => {
                self.note(bad.problem.clone().at_line(cut.number));
                if is_new {
                    self.group.bad.push(text::refused(&self.batch.id, number, cut.number, &bad));
                }
            }
        }
        if is_new {
            self.group.to = ReadTo { byte: cut.end, line: self.requests };
        }
        self.group.is_full().then(|| self.cut_off())
    }

    /// What is left for a last group.
    pub fn rest(&mut self) -> Option<Group> {
        (self.group.lines() > 0).then(|| self.cut_off())
    }

    /// Keeps a problem, unless there are enough.
    pub fn note(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    fn check<'t>(&mut self, text: Option<&'t [u8]>) -> Result<Line<'t>, Bad> {
        let line = line::check(text.ok_or_else(line::too_long)?, &self.batch.endpoint)?;
        match self.seen.insert(&line.custom_id) {
            true => Ok(line),
            false => Err(line::duplicate(&line.custom_id)),
        }
    }

    fn job(&mut self, number: u64, line: &Line<'_>, now: Time) -> NewJob {
        let batch = self.batch;
        let model = line.model.as_deref().filter(|model| self.is_carried(model));
        let payload = task::payload(batch, self.key.as_deref(), number, line, model);
        // What a provider runs is held until long after the batch is over, however late that is noticed: whoever
        // carries its parcel, or keeps the batch, takes it from there.
        let (queue, run_at) = match model {
            Some(_) => (PARCELS, batch.expires.after(KEPT)),
            None => (QUEUE, now),
        };
        let draft = Draft::new(LINE, batch.tenant.clone()).queue(queue).band(Band::Batch).run_at(run_at);
        let draft = draft.attempts(ATTEMPTS_MAX).unique(format!("{}/{number}", batch.id));
        draft.payload(payload).forget_when_done().into()
    }

    /// Whether a provider runs the lines that ask this model; the group is told of it then.
    fn is_carried(&mut self, model: &str) -> bool {
        let Some(courier) = self.courier.filter(|_| model.len() <= MODEL_BYTES_MAX) else { return false };
        if !self.routes.contains_key(model) && self.routes.len() < MODELS_MAX {
            // Names that lead nowhere are not kept: callers may invent as many as they want.
            let place = courier.route(&self.batch.endpoint, model);
            self.routes.extend(place.map(|place| (model.to_owned(), place)));
        }
        let Some(place) = self.routes.get(model) else { return false };
        self.group.parcels.insert(model.to_owned(), place.clone());
        true
    }

    fn cut_off(&mut self) -> Group {
        let next = Group::after(self.group.to);
        std::mem::replace(&mut self.group, next)
    }
}

impl Group {
    fn after(read: ReadTo) -> Self {
        Self { from: read, to: read, ..Self::default() }
    }

    fn lines(&self) -> usize {
        self.jobs.len() + self.bad.len()
    }

    fn is_full(&self) -> bool {
        self.lines() >= GROUP_MAX || self.bytes >= GROUP_BYTES_MAX
    }
}
