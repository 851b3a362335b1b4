//! Whether a request may be answered from memory, and under which key.

use super::Remembered;
use super::kin::Kindred;
use super::status::Bypass;
use super::tally::Tally;
use super::terms::Terms;
use crate::config::AliasCache;
use crate::plan::{Plan, Target};
use cache::clock::Millis;
use cache::epochs::Tag;
use cache::key::{self, Key, Parts, Place};
use http::HeaderMap;
use std::borrow::Cow;
use std::time::Instant;
use wire::failure::{Failure, Kind};
use wire::openai::{Determinism, Request};
use wire::operation::Operation;

/// Members of a body that do not count: the model is in the key as the provider names it, the form of the
/// answer beside it, and what the caller wants told of usage is decided when the answer is sent.
const LEFT_OUT: [&str; 3] = ["model", "stream", "stream_options"];

/// Every tenant: the place of the tenant's name in paths that invalidate over all of them.
pub const ANY_TENANT: &str = "*";

/// What a name in `x-tidegate-tags` begins with that says what the answer is made from.
const DEPENDENCY: &str = "dep:";

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object.
    Whole,
    /// Server-sent events.
    Stream,
}

/// A request that may be looked up.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The key of its answer.
    pub key: Key,
    /// The form that is wanted.
    pub form: Form,
    /// What the caller allows.
    pub terms: Terms<'a>,
    /// What the alias does.
    pub policy: AliasCache,
    tenant: &'a str,
    scope: Cow<'a, str>,
}

/// A request as the pipeline knows it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Its head.
    pub headers: &'a HeaderMap,
    /// Whose it is.
    pub tenant: &'a str,
    /// What of its body was read.
    pub request: &'a Request<'a>,
    /// What is to be done for it.
    pub plan: &'a Plan,
}

impl Remembered {
    /// Whether the request may be answered from memory: its question, or why not.
    ///
    /// # Errors
    /// 400 where a header about the cache cannot be read.
    pub fn question<'a>(
        &self,
        asked: &Asked<'a>,
        tally: &Tally<'_>,
    ) -> Result<Result<Question<'a>, Bypass>, Failure> {
        let policy = asked.plan.cache;
        if !self.enabled() || !policy.enabled {
            return Ok(Err(Bypass::Disabled));
        }
        let terms = Terms::read(asked.headers)?;
        if terms.no_store {
            return Ok(Err(Bypass::NoStore));
        }
        let traits = asked.request.traits();
        if traits.stateful {
            return Ok(Err(Bypass::Stateful));
        }
        if traits.determinism == Determinism::Sampled && !policy.any_temperature {
            return Ok(Err(Bypass::Temperature));
        }
        let mut scope = Cow::Borrowed(terms.scope);
        if policy.per_user && scope.is_empty() {
            scope = traits.user.unwrap_or_default();
            if scope.is_empty() {
                return Ok(Err(Bypass::NoScope));
            }
        }
        let form = if asked.request.stream { Form::Stream } else { Form::Whole };
        let mut question =
            Question { key: Key::from_bytes([0; 32]), form, terms, policy, tenant: asked.tenant, scope };
        let began = Instant::now();
        question.key = self.key(&question, asked, form)?;
        tally.keyed(began.elapsed(), Millis::now());
        Ok(Ok(question))
    }

    /// The key of the same question's answer in another form.
    ///
    /// # Errors
    /// Never for a body that the request was read from; 400 otherwise.
    pub fn key(&self, question: &Question<'_>, asked: &Asked<'_>, form: Form) -> Result<Key, Failure> {
        let parts = Parts {
            place: asked.plan.target.place(asked.request.operation),
            tenant: question.tenant,
            scope: &question.scope,
            form: form as u8,
            body: asked.request.text(),
            leave_out: &LEFT_OUT,
            hole: None,
        };
        Key::new(&self.secret, &parts).map_err(unfit)
    }

    /// The question to be compared with others', where the alias opts in and the request is all in one short
    /// question: one answer is wanted, and no tools are at hand.
    pub fn kindred(&self, question: &Question<'_>, asked: &Asked<'_>) -> Option<Kindred> {
        if !question.policy.semantic {
            return None;
        }
        let traits = asked.request.traits();
        if traits.tools || traits.n != 1 {
            return None;
        }
        let user = asked.request.last_user_text()?;
        let parts = Parts {
            place: asked.plan.target.place(asked.request.operation),
            tenant: question.tenant,
            scope: &question.scope,
            form: question.form as u8,
            body: asked.request.text(),
            leave_out: &LEFT_OUT,
            hole: Some(user.span),
        };
        let rest = Key::new(&self.secret, &parts).ok()?;
        self.kin.kindred(&user.text, &rest)
    }
}

/// The body has been read before, so that this says more of us than of the caller.
fn unfit(fault: key::Fault) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("We could not parse the JSON body of your request: {fault}."))
        .with_code("invalid_json")
}

impl Question<'_> {
    /// What an answer is kept under besides its target: owned, as it outlives the request.
    #[must_use]
    pub fn marks(&self) -> Marks {
        let names = self.terms.tags().map(|name| match name.strip_prefix(DEPENDENCY) {
            Some(name) => Tag::dependency(self.tenant, name),
            None => Tag::named(self.tenant, name),
        });
        Marks { tenant: self.tenant.into(), scope: self.scope.as_ref().into(), names: names.collect() }
    }
}

/// Whose an answer is, and the names by which it can be invalidated.
#[derive(Clone, Debug)]
pub struct Marks {
    tenant: Box<str>,
    scope: Box<str>,
    names: Vec<Tag>,
}

impl Marks {
    /// What the answer of `target` can be invalidated by: its key, its place in any tenant's and in its own
    /// tenant's path, and the names that the caller gave it.
    #[must_use]
    pub fn tags(&self, key: &Key, target: &Target, operation: Operation) -> Vec<Tag> {
        let (provider, model) = (target.upstream.name(), &*target.model);
        let own = [&*self.tenant, provider, model, operation.name()];
        let any = [ANY_TENANT, provider, model, operation.name()];
        let mut tags = vec![Tag::key(key)];
        tags.extend(Tag::prefixes(&own));
        tags.extend(Tag::prefixes(&any).skip(1));
        tags.extend(&self.names);
        tags
    }

    /// The key of the same question's answer at another place.
    #[must_use]
    pub fn key(&self, secret: &key::Secret, place: &Place, form: Form, body: &str) -> Option<Key> {
        let parts = Parts {
            place,
            tenant: &self.tenant,
            scope: &self.scope,
            form: form as u8,
            body,
            leave_out: &LEFT_OUT,
            hole: None,
        };
        Key::new(secret, &parts).ok()
    }
}
