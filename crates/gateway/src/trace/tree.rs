//! From what is known of a request to its spans: one of the request itself, beneath it one of each step and of each
//! try. Names and attributes are OpenTelemetry's: those of HTTP (semantic conventions 1.41) and of generative AI
//! (as of the same time; still in development there). What was said is never among them.

use super::span::{Kind, Span};
use super::{Attempt, Request, Step, Trace, short};
use crate::auth::Principal;
use http::HeaderValue;
use measure::metrics::{AttemptResult, Outcome};
use wire::openai::Usage;
use wire::operation::Operation;

/// The spans of a request, its own first where it has one.
pub fn spans(trace: &Trace) -> impl Iterator<Item = Span<'_>> {
    let request = trace.request.iter().map(|request| of_request(trace, request));
    let steps = trace.steps.iter().map(|step| of_step(trace, step));
    let attempts = trace.attempts.iter().enumerate();
    request.chain(steps).chain(attempts.map(|(index, attempt)| of_attempt(trace, index, attempt)))
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

fn of_request<'a>(trace: &'a Trace, request: &'a Request) -> Span<'a> {
    let context = &trace.context;
    let name = name(trace.operation);
    let route = name.trim_start_matches("POST ");
    let mut span = Span::beneath(context, name, Kind::Server);
    span.span_id = context.span_id;
    span.parent = context.parent;
    span.parent_is_remote = context.parent != 0;
    span = span.lasting(trace.began, std::time::Duration::ZERO, request.total);
    span.failed = matches!(request.outcome, Outcome::ProviderError | Outcome::GatewayError);
    span.say("http.request.method", "POST");
    span.say("http.route", route);
    span.say("url.path", route);
    span.say("url.scheme", if request.https { "https" } else { "http" });
    span.say_if("http.response.status_code", request.status.map(u64::from));
    span.say("gen_ai.operation.name", trace.operation.name());
    span.say_if("gen_ai.request.model", request.model().map(short));
    span.say_if("gen_ai.request.stream", request.stream.then_some(true));
    usage(&mut span, request.usage.as_ref());
    if request.outcome != Outcome::Ok {
        span.say("error.type", request.error.as_deref().unwrap_or(request.outcome.name()));
    }
    span.say("tidegate.request.id", request.id.as_str());
    span.say("tidegate.outcome", request.outcome.name());
    span.say_if("tidegate.cache", request.cache.map(|status| text(&status.header())));
    span.say_if("tidegate.target", request.target.as_ref().map(text));
    span.say("tidegate.attempts", u64::from(request.attempts));
    span.say("tidegate.overhead_ms", request.overhead.as_secs_f64() * 1e3);
    span.say_if("tidegate.first_token_ms", request.first_token.map(|delay| delay.as_secs_f64() * 1e3));
    span.say_if("tidegate.cost_usd", request.cost_micro_usd.map(|cost| cost as f64 / 1e6));
    if let Some(Principal { key: Some(key), tenant }) = request.who.as_deref() {
        span.say("tidegate.key.id", &**key);
        span.say("tidegate.tenant", &**tenant);
    }
    span
}

/// As much of a header's value as is told.
fn text(value: &HeaderValue) -> String {
    short(&String::from_utf8_lossy(value.as_bytes())).to_owned()
}

fn of_step<'a>(trace: &Trace, step: &Step) -> Span<'a> {
    let mut span = Span::beneath(&trace.context, step.kind.name(), Kind::Internal);
    span.span_id = super::context::new_span_id();
    span.lasting(trace.began, step.began, step.ended)
}

fn of_attempt<'a>(trace: &Trace, index: usize, attempt: &'a Attempt) -> Span<'a> {
    let peer = &attempt.target.peer;
    let operation = trace.operation.name();
    let mut span = Span::beneath(&trace.context, format!("{operation} {}", peer.model), Kind::Client);
    span.span_id = attempt.span_id;
    span = span.lasting(trace.began, attempt.began, attempt.ended);
    span.failed = !matches!(attempt.result, AttemptResult::Ok | AttemptResult::Cancelled);
    span.say("gen_ai.operation.name", operation);
    span.say("gen_ai.provider.name", &*peer.provider);
    span.say("gen_ai.request.model", &*peer.model);
    span.say_if("gen_ai.request.stream", attempt.stream.then_some(true));
    span.say_if("gen_ai.response.model", attempt.response_model.as_deref());
    let first = attempt.first_token.map(|delay| delay.as_secs_f64());
    span.say_if("gen_ai.response.time_to_first_chunk", first);
    usage(&mut span, attempt.usage.as_ref());
    span.say("http.request.method", "POST");
    span.say_if("http.response.status_code", attempt.status.map(u64::from));
    // Not those that were begun before it and went on beside it; but whoever reads it sees those too.
    span.say_if("http.request.resend_count", (index > 0).then_some(index as u64));
    if let Some((address, port)) = &peer.server {
        span.say("server.address", &**address);
        span.say("server.port", u64::from(*port));
    }
    if attempt.result != AttemptResult::Ok {
        let status = attempt.status.filter(|status| *status >= 400);
        match status {
            Some(status) => span.say("error.type", status.to_string()),
            None => span.say("error.type", attempt.result.name()),
        }
    }
    span.say("tidegate.target", short(&attempt.target.name));
    span.say("tidegate.result", attempt.result.name());
    span
}

fn usage(span: &mut Span<'_>, usage: Option<&Usage>) {
    let Some(usage) = usage else { return };
    span.say("gen_ai.usage.input_tokens", usage.input);
    span.say("gen_ai.usage.output_tokens", usage.output);
    let some = |tokens: u64| (tokens > 0).then_some(tokens);
    span.say_if("gen_ai.usage.cache_read.input_tokens", some(usage.cached_input));
    span.say_if("gen_ai.usage.reasoning.output_tokens", some(usage.reasoning));
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
