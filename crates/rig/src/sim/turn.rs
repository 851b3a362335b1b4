//! One request from its bytes to its answer: what is said, how long it takes
//! and what goes wrong, decided in one place and before any waiting.

use super::body::{Body, Content};
use super::directive::Directive;
use super::generate::{Generated, generate};
use super::key::Key;
use super::log::{Outcome, Ticket};
use super::pace::Pace;
use super::paced::Paced;
use super::prompt::{Prompt, last_text};
use super::refusal::Refusal;
use super::reply::Protocol;
use super::request::{Embedding, Generation};
use super::route::{Filed, Route};
use super::stream::Frames;
use super::{Reset, Shared, chance, embeddings, models};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A request whose answer is decided.
pub(super) struct Turn {
    /// Until the head.
    pub(super) wait: Duration,
    pub(super) directive: Directive,
    says: Says,
    pace: Pace,
    ticket: Ticket,
    request_id: HeaderValue,
}

/// What is said, and how it goes out.
struct Told {
    says: Says,
    pace: Pace,
    directive: Directive,
}

/// What a line of a batch comes to.
pub(super) struct Line {
    /// From the batch's beginning on.
    pub(super) wait: Duration,
    /// `None`: none ever.
    pub(super) answer: Option<(StatusCode, Bytes)>,
}

/// What goes out.
enum Says {
    Whole(Bytes),
    Stream(Frames),
    Refusal(Refusal),
}

/// What a request came to.
struct Asked {
    model: String,
    stream: bool,
    directive: Directive,
    /// `None` where the directive leaves no room for a reply.
    reply: Option<Reply>,
}

enum Reply {
    /// What is looked up: it costs no tokens, and so no time.
    Listed(Bytes),
    Embedded(Bytes),
    Generated(Box<Generated>),
}

impl Shared {
    /// Reads a request and decides its answer.
    pub(super) fn plan(&self, request: Request<Bytes>) -> Turn {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let asked = Route::of(&head.method, path).and_then(|route| match route {
            Route::Filed(filed) => self.filed(&filed, &head, &body),
            route => self.ask(route, &body, true),
        });
        let (model, stream) = asked.as_ref().map_or(("", false), |asked| (&asked.model, asked.stream));
        let ticket = self.log.open(path, model, stream, &head.headers);
        let request_id = name(&head.headers, ticket.id());
        match asked {
            Ok(asked) => self.turn(asked, ticket, request_id),
            Err(refusal) => Turn {
                wait: Duration::ZERO,
                directive: Directive::default(),
                says: Says::Refusal(refusal),
                pace: Pace::instant(),
                ticket,
                request_id,
            },
        }
    }

    /// What is asked of files and batches. It is done also where its answer is then lost to a reset connection, and
    /// not where the script says no.
    fn filed(&self, filed: &Filed, head: &Parts, body: &Bytes) -> Result<Asked, Refusal> {
        let directive = self.script.take();
        let is_refused = directive.status.is_some() || directive.hang;
        let least = directive.first_token.unwrap_or_default();
        let reply =
            if is_refused { None } else { Some(Reply::Listed(self.office(filed, head, body, least)?)) };
        Ok(Asked { model: String::new(), stream: false, directive, reply })
    }

    /// `scripted`: whether the script has a say in it.
    fn ask(&self, route: Route, body: &[u8], scripted: bool) -> Result<Asked, Refusal> {
        let listed = |model: String, reply| Asked {
            model,
            stream: false,
            directive: Directive::default(),
            reply: Some(Reply::Listed(reply)),
        };
        match route {
            Route::Filed(_) => Err(Refusal::invalid("A file or a batch is not asked for here.")),
            Route::Models => Ok(listed(String::new(), models::list())),
            Route::Model(model) => {
                let reply = models::one(&model);
                Ok(listed(model, reply))
            }
            Route::Embeddings => self.embedding(&Embedding::read(body)?, scripted),
            Route::Chat => {
                let request = Generation::chat(body)?;
                let prompt = Prompt::of_chat(&request, self.settings.seed);
                self.generation(Protocol::Chat, &request, &prompt, scripted)
            }
            Route::Completions => {
                let request = Generation::completion(body)?;
                let prompt = Prompt::of_completion(&request, self.settings.seed);
                self.generation(Protocol::Completion, &request, &prompt, scripted)
            }
        }
    }

    fn generation(
        &self,
        protocol: Protocol,
        request: &Generation<'_>,
        prompt: &Prompt<'_>,
        scripted: bool,
    ) -> Result<Asked, Refusal> {
        let model = request.model.as_deref().unwrap_or_default();
        let place = if protocol == Protocol::Chat { "messages" } else { "prompt" };
        let directive = self.directive(model, &prompt.last_user, place, scripted)?;
        let reply = if has_reply(&directive) {
            let generated = generate(protocol, request, prompt, &directive, self.settings.tokens)?;
            Some(Reply::Generated(Box::new(generated)))
        } else {
            None
        };
        Ok(Asked { model: model.to_owned(), stream: request.stream == Some(true), directive, reply })
    }

    fn embedding(&self, request: &Embedding<'_>, scripted: bool) -> Result<Asked, Refusal> {
        let model = request.model.as_deref().unwrap_or_default();
        let inputs = request.input.as_ref().map(|inputs| inputs.0.as_slice()).unwrap_or_default();
        let directive = self.directive(model, &last_text(inputs), "input", scripted)?;
        let reply = has_reply(&directive).then(|| Reply::Embedded(embeddings::reply(request, model)));
        Ok(Asked { model: model.to_owned(), stream: false, directive, reply })
    }

    /// What this request is told: by its own text, under that by the script,
    /// and where neither spoils it, by chance.
    fn directive(&self, model: &str, text: &str, place: &str, scripted: bool) -> Result<Directive, Refusal> {
        let mut own = Directive::default();
        own.read(text).map_err(|why| Refusal::wrong(place, &why))?;
        let told = if scripted { self.script.take().under(own) } else { own };
        if told.is_fault() {
            return Ok(told);
        }
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        Ok(match chance::fault(&self.settings, models::short(model), sequence) {
            Some(fault) => fault.under(told),
            None => told,
        })
    }

    fn turn(&self, asked: Asked, ticket: Ticket, request_id: HeaderValue) -> Turn {
        let (told, wait) = self.tell(asked, ticket.id());
        let Told { says, pace, directive } = told;
        Turn { wait, directive, says, pace, ticket, request_id }
    }

    /// What is said to a request of this number, and after what time.
    fn tell(&self, asked: Asked, number: u64) -> (Told, Duration) {
        let Asked { model, stream, directive, reply } = asked;
        let draws = Key::new(self.settings.seed).draws(number);
        let mut pace = Pace::new(&self.settings, models::short(&model), &directive, draws);
        let (says, wait) = match reply {
            // An error is quick, unless it is told not to be.
            None => {
                let status = directive.status.and_then(|status| StatusCode::from_u16(status).ok());
                let refusal = Refusal::played(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
                (Says::Refusal(refusal), directive.first_token.unwrap_or_default())
            }
            Some(Reply::Listed(bytes)) => (Says::Whole(bytes), Duration::ZERO),
            Some(Reply::Embedded(bytes)) => (Says::Whole(bytes), pace.first()),
            Some(Reply::Generated(generated)) => {
                let Generated { envelope, choices, include_usage, steps } = *generated;
                if stream {
                    (
                        Says::Stream(Frames::new(envelope, choices, include_usage, !directive.no_done)),
                        Duration::ZERO,
                    )
                } else {
                    (Says::Whole(envelope.whole(&choices)), pace.whole(steps))
                }
            }
        };
        (Told { says, pace, directive }, wait)
    }

    /// One line of a batch: what a request of its own would be told, but for the script and the log.
    pub(super) fn line(&self, path: &str, body: &[u8], number: u64) -> Line {
        let asked = Route::of(&Method::POST, path).and_then(|route| self.ask(route, body, false));
        let asked = match asked {
            Ok(asked) if asked.stream => Err(Refusal::wrong("stream", "a batch has no streams")),
            asked => asked,
        };
        let refused = |refusal: &Refusal| Some((refusal.status, refusal.body()));
        let (told, wait) = match asked {
            Ok(asked) => self.tell(asked, number),
            Err(refusal) => return Line { wait: Duration::ZERO, answer: refused(&refusal) },
        };
        let is_lost = told.directive.hang || told.directive.reset || told.directive.spoils_body();
        let answer = match &told.says {
            _ if is_lost => None,
            Says::Whole(body) => Some((StatusCode::OK, body.clone())),
            Says::Refusal(refusal) => refused(refusal),
            Says::Stream(_) => None,
        };
        Line { wait, answer }
    }
}

/// Whether a request gets any further than an error, silence or a reset.
fn has_reply(directive: &Directive) -> bool {
    directive.status.is_none() && !directive.hang && !directive.reset
}

impl Turn {
    /// The answer, or the broken connection.
    pub(super) fn answer(mut self) -> Result<Response<Body>, Reset> {
        if self.directive.reset {
            self.ticket.end(Outcome::Reset);
            return Err(Reset);
        }
        let mut response = Response::new(());
        let headers = response.headers_mut();
        headers.reserve(4);
        headers.insert(HeaderName::from_static("x-request-id"), self.request_id);
        let kind = match &self.says {
            Says::Stream(_) => "text/event-stream; charset=utf-8",
            Says::Whole(_) | Says::Refusal(_) => "application/json",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Says::Refusal(refusal) = &self.says {
            error_headers(headers, refusal, &self.directive);
            *response.status_mut() = refusal.status;
        }
        self.ticket.head(response.status());
        let spoilt = self.directive.spoils_body() || matches!(self.says, Says::Refusal(_));
        let outcome = if spoilt { Outcome::Failed } else { Outcome::Done };
        let content = content(self.says, self.pace, self.directive);
        Ok(response.map(|()| Body::new(content, self.ticket, outcome)))
    }
}

fn content(says: Says, pace: Pace, directive: Directive) -> Content {
    let whole = match says {
        Says::Stream(frames) => return Content::Paced(Box::new(Paced::stream(frames, pace, directive))),
        Says::Whole(bytes) => bytes,
        Says::Refusal(refusal) => refusal.body(),
    };
    if directive.spoils_body() || directive.drip.is_some() {
        return Content::Paced(Box::new(Paced::whole(&whole, pace, directive)));
    }
    Content::Whole(whole)
}

fn error_headers(headers: &mut HeaderMap, refusal: &Refusal, directive: &Directive) {
    let told = [
        (header::RETRY_AFTER, directive.retry_after.as_deref()),
        (HeaderName::from_static("retry-after-ms"), directive.retry_after_ms.as_deref()),
        (header::LOCATION, directive.location.as_deref()),
        (header::ALLOW, refusal.allow),
    ];
    for (name, value) in told {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
}

/// The request id that came, or one of our own.
fn name(headers: &HeaderMap, id: u64) -> HeaderValue {
    let came = headers.get("x-request-id").cloned();
    came.or_else(|| HeaderValue::from_str(&format!("req_{id:016x}")).ok())
        .unwrap_or(HeaderValue::from_static("req"))
}
