//! From what is known of a request to its spans: one of the request itself, beneath it one of each step and of each
//! try. Names and attributes are OpenTelemetry's: those of HTTP (semantic conventions 1.41) and of generative AI
//! (as of the same time; still in development there). What was said is never among them.

use super::span::{Attributes, Kind, Span};
use super::{Attempt, Peer, Request, Step, StepKind, Trace, short};
use crate::auth::Principal;
use crate::observe::Id;
use crate::remember::status::Status;
use http::HeaderValue;
use measure::metrics::{AttemptResult, Outcome};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};
use wire::openai::Usage;
use wire::operation::Operation;

/// The spans of a request, its own first where it has one.
pub fn spans(trace: &Trace) -> impl Iterator<Item = Span<'_>> {
    let since = trace.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let start = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    let request = trace.request.iter().map(move |request| of_request(trace, start, request));
    let steps = trace.steps.iter().map(move |step| of_step(trace, start, step));
    let attempts = trace.attempts.iter().enumerate();
    request.chain(steps).chain(attempts.map(move |attempt| of_attempt(trace, start, attempt)))
}

/// The name of a request's own span: its method and its route.
fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions => "POST /v1/chat/completions",
        Operation::Completions => "POST /v1/completions",
        Operation::Embeddings => "POST /v1/embeddings",
        Operation::Models => "POST /v1/models",
    }
}

/// What a span says that many others say alike: most requests are of few routes, and end well. It is encoded once for
/// all spans of an export that say the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alike<'a> {
    /// Of a request.
    Request(AlikeRequest<'a>),
    /// Of a step.
    Step(StepKind),
    /// Of a try.
    Attempt(AlikeAttempt<'a>),
}

/// What requests have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlikeRequest<'a> {
    operation: Operation,
    https: bool,
    stream: bool,
    model: Option<&'a str>,
    status: Option<u16>,
    outcome: Outcome,
    error: Option<&'a str>,
    cache: Option<Status>,
    target: Option<&'a HeaderValue>,
    attempts: u32,
    who: Option<(&'a str, &'a str)>,
}

/// What tries have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlikeAttempt<'a> {
    operation: Operation,
    target: &'a str,
    peer: &'a Peer,
    stream: bool,
    response_model: Option<&'a str>,
    status: Option<u16>,
    result: AttemptResult,
    index: usize,
}

impl<'a> Alike<'a> {
    /// The span's name: one of few.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Request(request) => name(request.operation).into(),
            Self::Step(kind) => kind.name().into(),
            Self::Attempt(attempt) => [attempt.operation.name(), " ", &*attempt.peer.model].concat().into(),
        }
    }

    /// Which side of a call it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Request(_) => Kind::Server,
            Self::Step(_) => Kind::Internal,
            Self::Attempt(_) => Kind::Client,
        }
    }

    /// What it says, as attributes.
    pub fn attributes(self) -> Attributes<'a> {
        let mut said = Attributes::with_capacity(16);
        match self {
            Self::Request(request) => request.say(&mut said),
            Self::Step(_) => {}
            Self::Attempt(attempt) => attempt.say(&mut said),
        }
        said
    }
}

impl<'a> AlikeRequest<'a> {
    fn of(trace: &'a Trace, request: &'a Request) -> Self {
        let who = match request.who.as_deref() {
            Some(Principal { key: Some(key), tenant }) => Some((&**key, &**tenant)),
            _ => None,
        };
        Self {
            operation: trace.operation,
            https: request.https,
            stream: request.stream,
            model: request.model(),
            status: request.status,
            outcome: request.outcome,
            error: request.error.as_deref(),
            cache: request.cache,
            target: request.target.as_ref(),
            attempts: request.attempts,
            who,
        }
    }

    fn say(self, said: &mut Attributes<'a>) {
        let name = name(self.operation);
        let route = name.strip_prefix("POST ").unwrap_or(name);
        said.say("http.request.method", "POST");
        said.say("http.route", route);
        said.say("url.path", route);
        said.say("url.scheme", if self.https { "https" } else { "http" });
        said.say_if("http.response.status_code", self.status.map(u64::from));
        said.say("gen_ai.operation.name", self.operation.name());
        said.say_if("gen_ai.request.model", self.model.map(short));
        said.say_if("gen_ai.request.stream", self.stream.then_some(true));
        if self.outcome != Outcome::Ok {
            said.say("error.type", self.error.unwrap_or(self.outcome.name()));
        }
        said.say("tidegate.outcome", self.outcome.name());
        said.say_if("tidegate.cache", self.cache.map(|status| text(&status.header()).into_owned()));
        said.say_if("tidegate.target", self.target.map(text));
        said.say("tidegate.attempts", u64::from(self.attempts));
        if let Some((key, tenant)) = self.who {
            said.say("tidegate.key.id", key);
            said.say("tidegate.tenant", tenant);
        }
    }
}

impl<'a> AlikeAttempt<'a> {
    fn of(trace: &'a Trace, index: usize, attempt: &'a Attempt) -> Self {
        Self {
            operation: trace.operation,
            target: &attempt.target.name,
            peer: &attempt.target.peer,
            stream: attempt.stream,
            response_model: attempt.response_model.as_ref().map(Id::as_str),
            status: attempt.status,
            result: attempt.result,
            index,
        }
    }

    fn say(self, said: &mut Attributes<'a>) {
        said.say("gen_ai.operation.name", self.operation.name());
        said.say("gen_ai.provider.name", &*self.peer.provider);
        said.say("gen_ai.request.model", &*self.peer.model);
        said.say_if("gen_ai.request.stream", self.stream.then_some(true));
        said.say_if("gen_ai.response.model", self.response_model);
        said.say("http.request.method", "POST");
        said.say_if("http.response.status_code", self.status.map(u64::from));
        // Not those that were begun before it and went on beside it; but whoever reads it sees those too.
        said.say_if("http.request.resend_count", (self.index > 0).then_some(self.index as u64));
        if let Some((address, port)) = &self.peer.server {
            said.say("server.address", &**address);
            said.say("server.port", u64::from(*port));
        }
        if self.result != AttemptResult::Ok {
            match self.status.filter(|status| *status >= 400) {
                Some(status) => said.say("error.type", status.to_string()),
                None => said.say("error.type", self.result.name()),
            }
        }
        said.say("tidegate.target", short(self.target));
        said.say("tidegate.result", self.result.name());
    }
}

fn of_request<'a>(trace: &'a Trace, start: u64, request: &'a Request) -> Span<'a> {
    let context = &trace.context;
    let mut span = Span::beneath(context, Alike::Request(AlikeRequest::of(trace, request)));
    span.span_id = context.span_id;
    span.parent = context.parent;
    span.parent_is_remote = context.parent != 0;
    span = span.lasting(start, Duration::ZERO, request.total);
    span.failed = matches!(request.outcome, Outcome::ProviderError | Outcome::GatewayError);
    span.attributes = Attributes::with_capacity(8);
    let said = &mut span.attributes;
    usage(said, request.usage.as_ref());
    said.say("tidegate.request.id", request.id.as_str());
    said.say("tidegate.overhead_ms", request.overhead.as_secs_f64() * 1e3);
    said.say_if("tidegate.first_token_ms", request.first_token.map(|delay| delay.as_secs_f64() * 1e3));
    said.say_if("tidegate.cost_usd", request.cost_micro_usd.map(|cost| cost as f64 / 1e6));
    span
}

/// As much of a header's value as is told.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => short(text).into(),
        Err(_) => short(&String::from_utf8_lossy(value.as_bytes())).to_owned().into(),
    }
}

fn of_step<'a>(trace: &Trace, start: u64, step: &Step) -> Span<'a> {
    let mut span = Span::beneath(&trace.context, Alike::Step(step.kind));
    span.span_id = super::context::new_span_id();
    span.lasting(start, step.began, step.ended)
}

fn of_attempt<'a>(trace: &'a Trace, start: u64, (index, attempt): (usize, &'a Attempt)) -> Span<'a> {
    let mut span = Span::beneath(&trace.context, Alike::Attempt(AlikeAttempt::of(trace, index, attempt)));
    span.span_id = attempt.span_id;
    span = span.lasting(start, attempt.began, attempt.ended);
    span.failed = !matches!(attempt.result, AttemptResult::Ok | AttemptResult::Cancelled);
    let first = attempt.first_token.map(|delay| delay.as_secs_f64());
    span.attributes = Attributes::with_capacity(4);
    span.attributes.say_if("gen_ai.response.time_to_first_chunk", first);
    usage(&mut span.attributes, attempt.usage.as_ref());
    span
}

fn usage(said: &mut Attributes<'_>, usage: Option<&Usage>) {
    let Some(usage) = usage else { return };
    said.say("gen_ai.usage.input_tokens", usage.input);
    said.say("gen_ai.usage.output_tokens", usage.output);
    let some = |tokens: u64| (tokens > 0).then_some(tokens);
    said.say_if("gen_ai.usage.cache_read.input_tokens", some(usage.cached_input));
    said.say_if("gen_ai.usage.reasoning.output_tokens", some(usage.reasoning));
}

#[cfg(test)]
mod tests {
    use super::{Operation, name};

    #[test]
    fn a_span_is_named_by_its_route() {
        for operation in Operation::ALL {
            assert_eq!(name(operation), format!("POST /v1{}", operation.path()));
        }
    }
}
