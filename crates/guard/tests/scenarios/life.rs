//! The life of a request, as the gateway leads it: a target whose breaker is closed, a place at its gate,
//! a call, perhaps a second one beside it or after it, and an end.

use super::figures::{CallLook, End, Record};
use super::file::seconds;
use super::upstream::{Answer, Error};
use super::world::{Event, World};
use guard::breaker::{Pass, Verdict};
use guard::gate::{Entered, Permit, Refusal, Ticket, Waiting};
use guard::limiter::Outcome;
use guard::retry::Backoff;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The pause before another try, as the gateway makes it.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(5) };

/// The longest `Retry-After` that is waited for.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub struct Request {
    caller: usize,
    expires: Option<Duration>,
    /// Where it waits, and since when.
    waiting: Option<(usize, Waiting, Duration)>,
    /// Its calls under way: one, or two with a hedge.
    calls: Vec<usize>,
    /// Tries so far, hedges not counted.
    tries: u32,
    /// The target to be asked first at the next try.
    next: usize,
    pub record: Record,
}

/// A call to a target.
pub struct Call {
    request: usize,
    target: usize,
    permit: Permit,
    pass: Option<Pass>,
    began: Duration,
    /// Time to the first token, once there was one.
    spoke: Option<Duration>,
    is_hedge: bool,
}

impl World {
    /// A request comes in.
    pub fn come(&mut self, caller: usize, tenant: u64) {
        let kind = &self.callers[caller];
        let request = self.requests.len();
        let leaves = self.random.f64() < kind.leave_share;
        let record = Record::new(self.now, tenant, kind.band, kind.tokens);
        let expires = kind.deadline.map(seconds);
        let leave_after = seconds(kind.leave_after);
        self.requests.push(Request {
            caller,
            expires: expires.map(|after| self.now + after),
            waiting: None,
            calls: Vec::new(),
            tries: 0,
            next: 0,
            record,
        });
        let now = self.instant();
        self.retries.iter().chain(&self.hedges).for_each(|budget| budget.deposit(now));
        if let Some(after) = expires {
            self.plan(after, Event::Expires { request });
        }
        if leaves {
            self.plan(leave_after, Event::Leaves { request });
        }
        self.seek(request);
    }

    /// Looks for a target that takes the request: each is asked once, from the one whose turn it is.
    pub fn seek(&mut self, request: usize) {
        let mut end = None;
        for _ in 0..self.targets.len() {
            if self.requests[request].record.end.is_some() {
                return;
            }
            let index = self.requests[request].next % self.targets.len();
            let target = &self.targets[index];
            if target.is_open(self.instant()) {
                end = end.or(Some(End::BreakerOpen));
                self.requests[request].next += 1;
                continue;
            }
            match target.gate.enter(self.ticket(request), self.instant()) {
                Entered::Now(permit) => return self.call(request, index, permit, false),
                Entered::Wait(waiting) => {
                    self.requests[request].waiting = Some((index, waiting, self.now));
                    return self.look_up(request);
                }
                Entered::Refused(refusal) => {
                    end = Some(End::Refused(refusal.reason));
                    self.requests[request].next += 1;
                }
            }
        }
        let was_tried = self.requests[request].tries > 0;
        self.end(request, if was_tried { End::Failed } else { end.unwrap_or(End::BreakerOpen) });
    }

    fn ticket(&self, request: usize) -> Ticket {
        let Request { caller, expires, record, .. } = &self.requests[request];
        let kind = &self.callers[*caller];
        Ticket {
            band: kind.band.into(),
            tenant: record.tenant,
            cost: kind.expected.unwrap_or(kind.tokens),
            deadline: expires.map(|expires| self.instant() - self.now + expires),
        }
    }

    /// One that waits looks whether it is served.
    pub fn look_up(&mut self, request: usize) {
        let waker = self.waker(request);
        let Some((target, waiting, since)) = &mut self.requests[request].waiting else { return };
        let (target, since) = (*target, *since);
        let Poll::Ready(result) = Pin::new(waiting).poll(&mut Context::from_waker(&waker)) else { return };
        self.requests[request].waiting = None;
        self.requests[request].record.waited += self.now - since;
        match result {
            Ok(permit) => self.call(request, target, permit, false),
            Err(Refusal { reason, .. }) => self.end(request, End::Refused(reason)),
        }
    }

    /// Calls the target. Its breaker may have opened since it was looked at.
    fn call(&mut self, request: usize, target: usize, permit: Permit, is_hedge: bool) {
        let Ok(pass) = self.targets[target].admit(self.instant()) else {
            permit.unused(self.instant());
            if !is_hedge {
                self.requests[request].next += 1;
                self.seek(request);
            }
            return;
        };
        let call = self.calls.len();
        let began = self.now;
        self.calls.push(Some(Call { request, target, permit, pass, began, spoke: None, is_hedge }));
        self.figures.calls.push(CallLook { at: self.now, target, is_hedge });
        let asked = &mut self.requests[request];
        asked.calls.push(call);
        asked.tries += u32::from(!is_hedge);
        asked.record.calls += 1;
        let slow = self.callers[asked.caller].slow;
        let answer = self.targets[target].upstream.begin(call, slow, self.now, &mut self.random);
        self.await_answer(call, answer);
        self.plan(self.guard.first_token(), Event::Fails { call, error: Error::TimedOut });
        if let Some(hedge) = &self.guard.hedge
            && !is_hedge
            && let Some(late) = self.targets[target].delays.at(hedge.quantile, self.instant())
        {
            self.plan(late, Event::IsLate { call });
        }
    }

    fn await_answer(&mut self, call: usize, answer: Answer) {
        match answer {
            Answer::Waits | Answer::Nothing => {}
            Answer::Fails { after, error } => self.plan(after, Event::Fails { call, error }),
            Answer::Speaks { first, rest } => self.plan(first, Event::Speaks { call, rest }),
        }
    }

    /// A target that has room serves those who wait at it.
    pub fn turn(&mut self, target: usize) {
        while let Some(next) = self.targets[target].upstream.next(self.now) {
            let Some(call) = &self.calls[next] else { continue };
            let slow = self.callers[self.requests[call.request].caller].slow;
            let answer = self.targets[target].upstream.serve(slow, self.now, &mut self.random);
            self.await_answer(next, answer);
        }
    }

    /// The first token: of two calls the other is given up.
    pub fn speaks(&mut self, id: usize, rest: Duration) {
        let now = self.instant();
        let Some(call) = &mut self.calls[id] else { return };
        let delay = self.now - call.began;
        call.spoke = Some(delay);
        call.permit.began(delay, now);
        let (request, target, is_hedge) = (call.request, call.target, call.is_hedge);
        self.targets[target].delays.record(delay, now);
        let others: Vec<usize> =
            self.requests[request].calls.iter().copied().filter(|other| *other != id).collect();
        others.into_iter().for_each(|other| self.close(other, Verdict::Ignored, Outcome::Cancelled));
        let record = &mut self.requests[request].record;
        record.first = Some(self.now - record.arrived);
        record.hedge_won = is_hedge;
        self.plan(rest, Event::Ends { call: id });
    }

    /// The last token.
    pub fn ends(&mut self, id: usize) {
        let Some(call) = &self.calls[id] else { return };
        let request = call.request;
        self.close(id, Verdict::Good, Outcome::Good);
        self.end(request, End::Served);
    }

    /// No answer: where another call is under way it decides, else there may be another try.
    pub fn fails(&mut self, id: usize, error: Error) {
        let Some(call) = &self.calls[id] else { return };
        if call.spoke.is_some() {
            return;
        }
        let request = call.request;
        let (verdict, outcome, wait) = match error {
            Error::Hard => (Verdict::Hard, Outcome::Failed, None),
            Error::TimedOut => (Verdict::Hard, Outcome::Overload, None),
            Error::Overload { retry_after: after } => (Verdict::Soft { after }, Outcome::Overload, after),
        };
        self.close(id, verdict, outcome);
        if self.requests[request].calls.is_empty() {
            self.try_again(request, wait);
        }
    }

    /// Another try, at the next target if there is one, else at the same after a pause.
    fn try_again(&mut self, request: usize, asked: Option<Duration>) {
        let tries = self.requests[request].tries;
        let may = self.guard.retry.as_ref().is_some_and(|retry| tries < retry.tries);
        let pause = match self.targets.len() {
            1 => BACKOFF.delay(tries - 1, self.random.u64(..)).max(asked.unwrap_or_default()),
            _ => Duration::ZERO,
        };
        let in_time = self.requests[request].expires.is_none_or(|expires| self.now + pause < expires);
        let now = self.instant();
        let budget = self.retries.as_ref();
        if !may || !in_time || pause > WAIT_MAX || !budget.is_some_and(|budget| budget.withdraw(now)) {
            return self.end(request, End::Failed);
        }
        self.requests[request].next += 1;
        self.plan(pause, Event::TriesAgain { request });
    }

    /// Asks a second time, if there is a place at once and the budget bears it.
    pub fn is_late(&mut self, id: usize) {
        let Some(call) = &self.calls[id] else { return };
        let (request, target) = (call.request, call.target);
        let now = self.instant();
        let is_alone = call.spoke.is_none() && self.requests[request].calls.len() == 1;
        if !is_alone || !self.hedges.as_ref().is_some_and(|budget| budget.withdraw(now)) {
            return;
        }
        if let Entered::Now(permit) = self.targets[target].gate.enter(self.ticket(request), now) {
            self.call(request, target, permit, true);
        }
    }

    /// The deadline has passed.
    pub fn expires(&mut self, request: usize) {
        self.give_up(request, End::Expired);
    }

    /// The caller hangs up. Permits and passes are dropped where they are, as a body's drop does.
    pub fn leaves(&mut self, request: usize) {
        self.give_up(request, End::Left);
    }

    fn give_up(&mut self, request: usize, end: End) {
        if self.requests[request].record.end.is_some() {
            return;
        }
        drop(self.requests[request].waiting.take());
        for id in std::mem::take(&mut self.requests[request].calls) {
            if let Some(call) = self.calls[id].take() {
                self.targets[call.target].upstream.leave(id);
                self.turn(call.target);
            }
        }
        self.end(request, end);
    }

    /// A call is over: its permit and its pass go back with what they have seen.
    fn close(&mut self, id: usize, verdict: Verdict, outcome: Outcome) {
        let Some(call) = self.calls[id].take() else { return };
        self.requests[call.request].calls.retain(|other| *other != id);
        let now = self.instant();
        let tokens = if outcome == Outcome::Good { self.requests[call.request].record.tokens } else { 0 };
        call.permit.finish(outcome, tokens, now);
        if let Some(pass) = call.pass {
            pass.settle(verdict, now);
        }
        self.targets[call.target].upstream.leave(id);
        self.turn(call.target);
    }

    fn end(&mut self, request: usize, end: End) {
        let record = &mut self.requests[request].record;
        record.end = Some(end);
        record.ended = self.now;
    }
}
