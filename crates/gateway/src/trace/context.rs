//! Whose trace a request belongs to: the `traceparent` header of the W3C Recommendation *Trace Context* (23
//! November 2021), read strictly and written anew. Whether anything is recorded is decided elsewhere.

use super::state;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Names the trace, and the call that a request came by.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracing systems on the way have added to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The flag by which a caller says that it records.
const SAMPLED: u8 = 1;
/// The flag by which it says that the trace's id is a random number (Trace Context, level 2).
const RANDOM: u8 = 2;
/// Characters of version 00: `00-` and 32, 16 and 2 digits with a hyphen between.
const CHARS: usize = 55;

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span of the request here; never 0.
    pub span_id: u64,
    /// The caller's span that it came by; 0 where it began here.
    pub parent: u64,
    /// The flags that go on with it.
    pub flags: u8,
}

/// What a caller's `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The caller's own span; never 0.
    pub span_id: u64,
    /// Those of its flags that have a meaning.
    pub flags: u8,
}

impl Parent {
    /// Reads a header's value. What is not well formed is no parent: a trace begins here then. Of a later version
    /// as much is read as it has in common with the first.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = state::trim(value);
        let (head, rest) = value.split_at_checked(CHARS)?;
        let version = hex(head.get(..2)?)?;
        let is_known = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        let hyphens = [2, 35, 52].iter().all(|at| head.get(*at) == Some(&b'-'));
        if !is_known || !hyphens {
            return None;
        }
        let trace_id = hex(head.get(3..35)?)?;
        let span_id = u64::try_from(hex(head.get(36..52)?)?).ok()?;
        let flags = u8::try_from(hex(head.get(53..55)?)?).ok()? & (SAMPLED | RANDOM);
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, flags })
    }

    /// What the head of a request says. Two of them are none: nobody knows which is right.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::parse(value.as_bytes())
    }
}

impl Context {
    /// The place of a request that came from `parent`, which decides whether it is recorded.
    #[must_use]
    pub fn beneath(parent: Parent) -> Self {
        let Parent { trace_id, span_id, flags } = parent;
        Self { trace_id, span_id: new_span_id(), parent: span_id, flags }
    }

    /// The place of a request that nobody traced before; `sampled` is asked of the new trace's id.
    #[must_use]
    pub fn new(sampled: impl FnOnce(u128) -> bool) -> Self {
        // It names things and guards nothing, so that a fast generator will do.
        let trace_id = fastrand::u128(1..);
        let flags = if sampled(trace_id) { SAMPLED } else { 0 };
        Self { trace_id, span_id: new_span_id(), parent: 0, flags }
    }

    /// Whether it is recorded whatever becomes of it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The header for a call that is the span `span_id` of this trace.
    #[must_use]
    pub fn traceparent(&self, span_id: u64) -> Option<HeaderValue> {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let mut write = |end: usize, digits: usize, mut number: u128| {
            for digit in text[end - digits..end].iter_mut().rev() {
                *digit = HEX[(number & 15) as usize];
                number >>= 4;
            }
        };
        write(35, 32, self.trace_id);
        write(52, 16, span_id.into());
        write(CHARS, 2, self.flags.into());
        HeaderValue::from_bytes(&text).ok()
    }
}

/// A new span's id.
#[must_use]
pub fn new_span_id() -> u64 {
    fastrand::u64(1..)
}

/// What of a caller's trace goes on to a provider. Copies share their memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The caller's own, or one that names our call.
    pub traceparent: Option<HeaderValue>,
    /// The caller's own.
    pub tracestate: Option<HeaderValue>,
}

impl Carried {
    /// What goes on of a request's head: what is not well formed does not.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        match Parent::of(headers) {
            None => Self::default(),
            Some(_) => {
                Self { traceparent: headers.get(TRACEPARENT).cloned(), tracestate: state::of(headers) }
            }
        }
    }

    /// Puts it into the head of a call.
    pub fn write(&self, headers: &mut HeaderMap) {
        if let Some(traceparent) = &self.traceparent {
            headers.insert(TRACEPARENT, traceparent.clone());
        }
        if let Some(tracestate) = &self.tracestate {
            headers.insert(TRACESTATE, tracestate.clone());
        }
    }
}

/// Digits in lower case, 32 of them at most.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    const SPAN: u64 = 0xb7ad_6b71_6920_3331;

    fn text(version: &str, flags: &str) -> String {
        format!("{version}-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331{flags}")
    }

    #[test]
    fn a_well_formed_parent_is_read() {
        for (value, flags) in [
            (text("00", "-01"), 1),
            (text("00", "-00"), 0),
            (text("00", "-03"), 3),
            (text("00", "-ff"), 3),
            (text("00", "-fc"), 0),
            (format!(" \t{} ", text("00", "-01")), 1),
            // A later version may have more behind another hyphen.
            (text("01", "-01"), 1),
            (text("cc", "-01-what-the-future-will-be-like"), 1),
            (text("cc", "-01-"), 1),
        ] {
            let expected = Parent { trace_id: TRACE, span_id: SPAN, flags };
            assert_eq!(Parent::parse(value.as_bytes()), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_no_parent() {
        for value in [
            String::new(),
            text("ff", "-01"),
            text("00", "-01-more"),
            text("00", "-01-"),
            text("cc", "-01.more"),
            text("00", "-1"),
            text("00", "-001"),
            text("00", "-0X"),
            text("0", "-01"),
            text("000", "-01"),
            text(".0", "-01"),
            text("00", "-01").to_uppercase(),
            text("00", "-01").replace('-', "_"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01".to_owned(),
            "00-.af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        ] {
            assert_eq!(Parent::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_place_is_written_as_it_is_read() {
        let parent = Parent { trace_id: TRACE, span_id: SPAN, flags: 1 };
        let context = Context::beneath(parent);
        assert_eq!((context.trace_id, context.parent, context.is_sampled()), (TRACE, SPAN, true));
        assert_eq!(context.traceparent(SPAN).unwrap(), text("00", "-01"));
        let written = context.traceparent(context.span_id).unwrap();
        let read = Parent::parse(written.as_bytes()).unwrap();
        assert_eq!(read, Parent { span_id: context.span_id, ..parent });
    }

    #[test]
    fn a_trace_that_begins_here_has_no_parent_and_asks_whether_it_is_recorded() {
        for sampled in [true, false] {
            let context = Context::new(|_| sampled);
            assert_eq!((context.parent, context.is_sampled()), (0, sampled));
            assert!(context.trace_id != 0 && context.span_id != 0);
        }
    }

    #[test]
    fn only_what_is_well_formed_goes_on() {
        let carried = |rows: &[(&HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in rows {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            let carried = Carried::of(&headers);
            let mut sent = HeaderMap::new();
            carried.write(&mut sent);
            let text = |name| sent.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
            (text(TRACEPARENT), text(TRACESTATE))
        };
        let (good, odd) = (text("00", "-00"), text("00", "-0"));
        let (parent, state) = (&TRACEPARENT, &TRACESTATE);
        assert_eq!(carried(&[(parent, &good), (state, "a=1")]), (Some(good.clone()), Some("a=1".into())));
        assert_eq!(carried(&[(parent, &good), (state, "A=1")]), (Some(good.clone()), None));
        assert_eq!(carried(&[(parent, &odd), (state, "a=1")]), (None, None));
        assert_eq!(carried(&[(parent, &good), (parent, &good), (state, "a=1")]), (None, None));
        assert_eq!(carried(&[(state, "a=1")]), (None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_place_comes_back_as_it_went(trace_id in 1_u128.., span_id in 1_u64.., flags in 0_u8..4) {
            let context = Context { trace_id, span_id: 1, parent: 0, flags };
            let written = context.traceparent(span_id).unwrap();
            prop_assert_eq!(Parent::parse(written.as_bytes()), Some(Parent { trace_id, span_id, flags }));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Parent::parse(&bytes);
        }
    }
}
