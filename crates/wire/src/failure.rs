//! One failure type for everything that can go wrong between a caller and a provider.
//!
//! A [`Failure`] says who caused it, whether another try may help, what the caller reads and what
//! only the log keeps. It knows its HTTP status but builds no HTTP: a protocol's error body is made
//! in that protocol's folder (see [`crate::openai::error_body`]).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What went wrong. Each kind has exactly one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 400: the request does not say what it must, or says it wrongly.
    InvalidRequest,
    /// 401: no key, or not one of ours.
    Unauthenticated,
    /// 403: the key may not do this.
    Forbidden,
    /// 404: no such path, model or object.
    NotFound,
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 408: the caller was too slow to send its request.
    CallerTimeout,
    /// 409: at odds with what is under way just now.
    Conflict,
    /// 413: the body is over the limit.
    TooLarge,
    /// 415: the body is of a type, or in an encoding, that is not read.
    UnsupportedMediaType,
    /// 422: well formed, but at odds with what went before (an idempotency key used twice).
    Unprocessable,
    /// 429: the caller's own limit.
    RateLimited,
    /// 431: the request's head is over the limit.
    HeadersTooLarge,
    /// 499: the caller left before the answer. Recorded, never sent.
    CallerLeft,
    /// 500: a fault of the gateway itself.
    Internal,
    /// 502: the provider could not be reached, refused, or talked nonsense.
    Provider,
    /// 503: the gateway, or every target behind it, has more to do than it can.
    Overloaded,
    /// 504: the provider did not answer in time.
    ProviderTimeout,
}

impl Kind {
    /// Every kind, for tests and for metrics resolved ahead of time.
    pub const ALL: [Self; 17] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::CallerTimeout,
        Self::Conflict,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::RateLimited,
        Self::HeadersTooLarge,
        Self::CallerLeft,
        Self::Internal,
        Self::Provider,
        Self::Overloaded,
        Self::ProviderTimeout,
    ];

    /// The HTTP status the caller reads.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::CallerTimeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Unprocessable => 422,
            Self::RateLimited => 429,
            Self::HeadersTooLarge => 431,
            Self::CallerLeft => 499,
            Self::Internal => 500,
            Self::Provider => 502,
            Self::Overloaded => 503,
            Self::ProviderTimeout => 504,
        }
    }

    /// A short name in snake case, for log fields and metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::CallerTimeout => "caller_timeout",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unprocessable => "unprocessable",
            Self::RateLimited => "rate_limited",
            Self::HeadersTooLarge => "headers_too_large",
            Self::CallerLeft => "caller_left",
            Self::Internal => "internal",
            Self::Provider => "provider",
            Self::Overloaded => "overloaded",
            Self::ProviderTimeout => "provider_timeout",
        }
    }

    /// Who causes this kind, unless the failure says otherwise.
    const fn source(self) -> Source {
        match self {
            Self::Internal | Self::Overloaded => Source::Gateway,
            Self::Provider | Self::ProviderTimeout => Source::Provider,
            _ => Source::Caller,
        }
    }

    /// Whether another try may help, unless the failure says otherwise.
    ///
    /// A provider that failed or fell silent may have done the work all the same and billed for it,
    /// so its kinds are `Unknown`: only one who knows that no byte was accepted may say `Soon`.
    const fn retry(self) -> Retry {
        match self {
            Self::CallerTimeout | Self::RateLimited | Self::Overloaded => Retry::Soon,
            Self::Internal | Self::Provider | Self::ProviderTimeout => Retry::Unknown,
            _ => Retry::Never,
        }
    }
}

/// Who caused a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The application that called us.
    Caller,
    /// Tidegate itself.
    Gateway,
    /// The provider behind it.
    Provider,
}

/// Whether the same request may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail the same way.
    Never,
    /// It may help, but the work may already have been done and billed.
    Unknown,
    /// Not before this long from now.
    After(Duration),
    /// At once, or after a short pause.
    Soon,
}

/// A failure, on its way to the caller and to the log. One pointer wide, so that a `Result` of it
/// costs the good path nothing.
#[derive(Clone)]
pub struct Failure(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    source: Source,
    retry: Retry,
    public: Cow<'static, str>,
    param: Option<Cow<'static, str>>,
    code: Option<Cow<'static, str>>,
    detail: Option<String>,
}

impl Failure {
    /// A failure with the source and the retry that follow from its kind.
    ///
    /// `public` is read by the caller: a sentence that says how to mend it, and never a secret.
    #[must_use]
    pub fn new(kind: Kind, public: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            source: kind.source(),
            retry: kind.retry(),
            public: public.into(),
            param: None,
            code: None,
            detail: None,
        }))
    }

    /// Names the parameter at fault, as the caller wrote it: `messages[0]`.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Adds a word that a program can branch on: `model_not_found`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Says whether another try may help, where the kind's own answer is not the right one.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Says who caused it, where the kind's own answer is not the right one.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.0.source = source;
        self
    }

    /// Adds what only the log may keep. Callers of this type never send it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Who caused it.
    #[must_use]
    pub fn source(&self) -> Source {
        self.0.source
    }

    /// Whether another try may help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// What the caller reads.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.0.public
    }

    /// The parameter at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The word that a program can branch on.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// What only the log may keep.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.public)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("kind", &self.0.kind)
            .field("source", &self.0.source)
            .field("retry", &self.0.retry)
            .field("public", &self.0.public)
            .field("param", &self.0.param)
            .field("code", &self.0.code)
            .field("detail", &self.0.detail)
            .finish()
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_of_its_own() {
        let mut seen: Vec<u16> = Kind::ALL.iter().map(|kind| kind.status()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), Kind::ALL.len());
        assert!(seen.iter().all(|status| (400..600).contains(status)));
    }

    #[test]
    fn source_and_retry_follow_from_the_kind() {
        let cases = [
            (Kind::InvalidRequest, Source::Caller, Retry::Never),
            (Kind::Unauthenticated, Source::Caller, Retry::Never),
            (Kind::CallerTimeout, Source::Caller, Retry::Soon),
            (Kind::RateLimited, Source::Caller, Retry::Soon),
            (Kind::CallerLeft, Source::Caller, Retry::Never),
            (Kind::Internal, Source::Gateway, Retry::Unknown),
            (Kind::Overloaded, Source::Gateway, Retry::Soon),
            (Kind::Provider, Source::Provider, Retry::Unknown),
            (Kind::ProviderTimeout, Source::Provider, Retry::Unknown),
        ];
        for (kind, source, retry) in cases {
            let failure = Failure::new(kind, "x");
            assert_eq!((failure.source(), failure.retry()), (source, retry), "{kind:?}");
        }
    }

    #[test]
    fn what_is_for_the_log_is_not_displayed() {
        let failure = Failure::new(Kind::Provider, "the provider failed")
            .with_detail("connect 10.0.0.1: refused")
            .with_param("model")
            .with_code("provider_error")
            .with_source(Source::Gateway)
            .with_retry(Retry::After(Duration::from_secs(2)));
        assert_eq!(failure.to_string(), "the provider failed");
        assert_eq!(failure.detail(), Some("connect 10.0.0.1: refused"));
        assert_eq!(failure.param(), Some("model"));
        assert_eq!(failure.code(), Some("provider_error"));
        assert_eq!(failure.source(), Source::Gateway);
        assert_eq!(failure.retry(), Retry::After(Duration::from_secs(2)));
    }

    #[test]
    fn a_failure_is_one_pointer_wide() {
        assert_eq!(size_of::<Failure>(), size_of::<usize>());
    }
}
