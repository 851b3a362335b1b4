//! The course of a run: a row waits for its turn, is asked, perhaps again, and is handed to the disk. Whatever is decided
//! or counted is in one place and needs no lock; only the requests themselves are tasks of their own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::super::client::{Answer, Error, Line as Connection};
use super::super::progress::Progress;
use super::super::signals::Signals;
use super::ahead::Portion;
use super::ask::{Asker, Flight, Verdict};
use super::pace::Pace;
use super::row::{Fault, Ready};
use super::sequence::{Sequence, Ticket, Written};
use super::shape::{Content, Shape};
use super::sink::Message;
use super::tally::{Standing, Tally, Used};
use super::terms::{ErrorsMax, Terms};
use super::tries::Tries;

/// Between two commits: so much work is done twice after a kill.
const COMMIT_EVERY: Duration = Duration::from_millis(250);
/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With the input, or at its limit.
    Done,
    /// By a signal.
    Interrupted,
    /// For a reason that would have failed every further row.
    Refused(String),
    /// As too many rows failed.
    TooManyErrors,
    /// As nothing could be written any more; the sink knows why.
    Unwritten,
}

impl Ended {
    /// In one word, for machines.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Interrupted => "interrupted",
            Self::Refused(_) => "refused",
            Self::TooManyErrors => "too_many_errors",
            Self::Unwritten => "unwritten",
        }
    }
}

/// A run under way.
pub(super) struct Course {
    asker: Arc<Asker>,
    shape: Shape,
    retries: u32,
    errors_max: Option<ErrorsMax>,
    limited: bool,
    pace: Pace,
    sequence: Sequence,
    /// Rows whose turn is next.
    rows: VecDeque<Ready>,
    /// Whether there are more to come.
    reading: bool,
    under_way: JoinSet<(Flight, Result<Answer, Error>)>,
    /// Rows that are tried again, by when; each still takes one of the places there are.
    waiting: BTreeMap<(Instant, u64), Flight>,
    idle: Vec<Connection>,
    /// Whether anybody has answered anything.
    answered: bool,
    before: Tally,
    tally: Tally,
    first_error: Option<(u64, String)>,
    began: Instant,
    ended: Option<Ended>,
}

/// What a run came to.
pub(super) struct Outcome {
    /// How it ended.
    pub(super) ended: Ended,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// The first line whose row failed, and why.
    pub(super) first_error: Option<(u64, String)>,
}

impl Course {
    /// A run that goes on with these sums.
    pub(super) fn new(terms: Terms, before: Tally) -> Self {
        Self {
            asker: Arc::new(terms.asker),
            shape: terms.shape,
            retries: terms.retries,
            errors_max: terms.errors_max,
            limited: terms.limited,
            pace: terms.pace,
            sequence: Sequence::new(terms.order),
            rows: VecDeque::new(),
            reading: true,
            under_way: JoinSet::new(),
            waiting: BTreeMap::new(),
            idle: Vec::new(),
            answered: false,
            before,
            tally: before,
            first_error: None,
            began: Instant::now(),
            ended: None,
        }
    }

    /// Asks every row that comes, and hands on what comes of it. A signal ends it: what is under way is waited for, a
    /// second signal gives that up.
    pub(super) async fn run(
        mut self,
        mut ahead: Receiver<Portion>,
        sink: &Sender<Message>,
        progress: &mut Progress,
        signals: &mut Signals,
    ) -> Outcome {
        let mut look = interval(COMMIT_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin();
            if self.is_over() {
                break;
            }
            let wake = self.wake(Instant::now());
            tokio::select! {
                biased;
                () = signals.any() => self.interrupt(progress).await,
                Some(asked) = self.under_way.join_next() => match asked {
                    Ok((flight, answer)) => self.judge(flight, &answer),
                    Err(_) => self.end(Ended::Refused("a request died".to_owned())),
                },
                room = sink.reserve(), if self.sequence.is_ready() => match room {
                    Ok(room) => room.send(Message::Rows(self.sequence.take())),
                    Err(_) => self.end(Ended::Unwritten),
                },
                portion = ahead.recv(), if self.is_hungry() => self.feed(portion),
                () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
                _ = look.tick() => {
                    // A sink that is busy commits as soon as it can.
                    let _ = sink.try_send(Message::Commit);
                }
            }
            progress.at(self.tally.so_far(self.limited), |_| self.standing().line());
        }
        // Where nobody takes it, the sink says why.
        let _ = sink.send(Message::Rows(self.sequence.take())).await;
        let ended = self.ended.unwrap_or(Ended::Done);
        Outcome { ended, elapsed: self.began.elapsed(), first_error: self.first_error }
    }

    fn is_over(&self) -> bool {
        if self.ended == Some(Ended::Unwritten) {
            return true;
        }
        let idle = self.under_way.is_empty() && self.waiting.is_empty();
        let done = !self.reading && self.rows.is_empty() && !self.sequence.is_ready();
        idle && (done || self.ended.is_some())
    }

    fn is_hungry(&self) -> bool {
        self.rows.is_empty() && self.reading && self.ended.is_none()
    }

    fn feed(&mut self, portion: Option<Portion>) {
        match portion {
            None => self.reading = false,
            Some(Ok(rows)) => self.rows.extend(rows),
            Some(Err(error)) => self.end(Ended::Refused(format!("the input cannot be read: {error}"))),
        }
    }

    /// Begins whatever may be begun: first what is tried again, then what is new.
    fn begin(&mut self) {
        loop {
            let now = Instant::now();
            if self.pace.wait(now).is_some() || self.under_way.len() >= self.pace.limit() {
                return;
            }
            if let Some(due) = self.waiting.first_entry().filter(|due| due.key().0 <= now) {
                let flight = due.remove();
                self.send(flight, now);
            } else if self.may_take() {
                self.take(now);
            } else {
                return;
            }
        }
    }

    fn may_take(&self) -> bool {
        let busy = self.under_way.len() + self.waiting.len();
        let free = busy < self.pace.limit() && self.sequence.has_room();
        free && !self.rows.is_empty() && self.ended.is_none()
    }

    fn take(&mut self, now: Instant) {
        let Some(mut ready) = self.rows.pop_front() else { return };
        let ticket = self.sequence.begin(ready.bytes());
        if let Err(fault) = &mut ready.body {
            let fault = std::mem::replace(fault, Fault::new("", ""));
            return self.fail(&ready, &ticket, &fault, Used::default());
        }
        let connection = self.idle.pop().unwrap_or_default();
        self.send(Flight { ready, ticket, tries: Tries::default(), began: now, connection }, now);
    }

    fn send(&mut self, mut flight: Flight, now: Instant) {
        flight.began = now;
        self.pace.begin(now);
        self.under_way.spawn(Arc::clone(&self.asker).ask(flight));
    }

    /// When something may begin that may not now.
    fn wake(&self, now: Instant) -> Option<Instant> {
        if self.under_way.len() >= self.pace.limit() {
            return None;
        }
        let open = self.pace.wait(now);
        let due = self.waiting.first_key_value().map(|((due, _), _)| (*due).max(open.unwrap_or(now)));
        let next = open.filter(|_| self.may_take());
        due.into_iter().chain(next).min()
    }

    fn judge(&mut self, mut flight: Flight, answer: &Result<Answer, Error>) {
        self.answered |= answer.is_ok();
        let at_once = self.under_way.len() + 1;
        match self.asker.judge(answer) {
            Verdict::Good(content, used) => {
                self.pace.well(at_once);
                self.idle.push(flight.connection);
                self.keep(&flight.ready, &flight.ticket, &content, used);
            }
            Verdict::Bad(fault, used) => {
                self.pace.well(at_once);
                self.idle.push(flight.connection);
                self.fail(&flight.ready, &flight.ticket, &fault, used);
            }
            Verdict::Again { after, overload, fault } => self.again(flight, after, overload, &fault),
            Verdict::Hopeless { why, may_pass } => match flight.tries.next(None, self.retries) {
                Some(wait) if may_pass && self.answered => self.wait(flight, Instant::now() + wait),
                _ => self.end(Ended::Refused(why)),
            },
        }
    }

    /// A row was not answered, and may be.
    fn again(&mut self, mut flight: Flight, after: Option<Duration>, overload: bool, fault: &Fault) {
        let now = Instant::now();
        if overload {
            self.pace.too_much(flight.began, now);
        }
        if let Some(after) = after.filter(|_| fault.status == Some(429)) {
            // What one is told of its rate holds for all.
            self.pace.hold(after, now);
        }
        match flight.tries.next(after, self.retries) {
            Some(wait) => self.wait(flight, now + wait),
            None => {
                self.idle.push(flight.connection);
                self.fail(&flight.ready, &flight.ticket, fault, Used::default());
            }
        }
    }

    /// A row is tried again, unless the run is at its end: then the next run does.
    fn wait(&mut self, flight: Flight, due: Instant) {
        if self.ended.is_none() {
            self.waiting.insert((due, flight.ready.row.number), flight);
        }
    }

    fn keep(&mut self, ready: &Ready, ticket: &Ticket, content: &Content, used: Used) {
        match self.shape.line(&ready.row.text, content) {
            Ok(line) => self.put(ready, ticket, line, false, used),
            Err(fault) => self.fail(ready, ticket, &fault, used),
        }
    }

    fn fail(&mut self, ready: &Ready, ticket: &Ticket, fault: &Fault, used: Used) {
        self.put(ready, ticket, fault.line(&ready.row), true, used);
        let line = ready.row.line;
        if self.first_error.as_ref().is_none_or(|(first, _)| line < *first) {
            self.first_error = Some((line, fault.message.clone()));
        }
        let (failed, rows) = (self.tally.failed - self.before.failed, self.tally.rows - self.before.rows);
        if self.errors_max.is_some_and(|most| most.is_exceeded(failed, rows)) {
            self.end(Ended::TooManyErrors);
        }
    }

    fn put(&mut self, ready: &Ready, ticket: &Ticket, line: Vec<u8>, failed: bool, used: Used) {
        let (after, bytes) = (ready.row.after, ready.row.bytes);
        self.tally.count(failed, bytes, used);
        self.sequence.put(ticket, Written { after, bytes, line, failed, used });
    }

    async fn interrupt(&mut self, progress: &Progress) {
        if self.ended.is_some() {
            self.under_way.shutdown().await;
        } else {
            progress.tell("interrupted: what is under way is waited for; once more gives it up");
            self.end(Ended::Interrupted);
        }
    }

    /// Nothing more is begun. The first reason counts.
    fn end(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
        self.waiting.clear();
        self.rows.clear();
    }

    fn standing(&self) -> Standing {
        Standing { all: self.tally, before: self.before, elapsed: self.began.elapsed() }
    }
}
