//! Which requests are recorded: what their callers have decided; of the others a share, by the trace's id; and,
//! decided at their end, whatever failed or was slow.

use super::context::{Context, Parent};
use measure::metrics::Outcome;
use std::time::Duration;

/// Bits of a trace's id that are random wherever it was made (Trace Context, level 2): the lower ones.
const RANDOM_BITS: u32 = 56;

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Ids whose random part is below this are not recorded.
    threshold: u64,
    /// What takes as long is recorded.
    slow: Duration,
}

impl Sampler {
    /// Records a share of `ratio` (0 to 1), and whatever takes as long as `slow`.
    ///
    /// The share is taken as OpenTelemetry's consistent probability sampling has it (OTEP 235): every gateway of
    /// the same ratio, and every other sampler of that kind, chooses the same traces.
    #[must_use]
    pub fn new(ratio: f64, slow: Duration) -> Self {
        let all = (1_u64 << RANDOM_BITS) as f64;
        Self { threshold: ((1.0 - ratio.clamp(0.0, 1.0)) * all) as u64, slow }
    }

    /// A request's place in its trace: beneath `parent`, whose decision holds, or in a new one.
    #[must_use]
    pub fn begin(&self, parent: Option<Parent>) -> Context {
        match parent {
            Some(parent) => Context::beneath(parent),
            None => Context::new(|trace_id| self.takes(trace_id)),
        }
    }

    fn takes(&self, trace_id: u128) -> bool {
        (trace_id as u64) & ((1 << RANDOM_BITS) - 1) >= self.threshold
    }

    /// Whether what has come to its end is recorded. What only its caller did wrong is not, as anybody could have
    /// all of it recorded then.
    #[must_use]
    pub fn keeps(&self, context: &Context, outcome: Outcome, total: Duration) -> bool {
        let failed = matches!(outcome, Outcome::ProviderError | Outcome::GatewayError);
        context.is_sampled() || failed || total >= self.slow
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const SLOW: Duration = Duration::from_secs(5);

    #[test]
    fn about_the_share_that_is_asked_for_is_taken() {
        for (ratio, from, to) in [(0.0, 0, 0), (0.1, 800, 1_200), (0.5, 4_700, 5_300), (1.0, 10_000, 10_000)]
        {
            let sampler = Sampler::new(ratio, SLOW);
            let taken = (0..10_000).filter(|_| sampler.begin(None).is_sampled()).count();
            assert!((from..=to).contains(&taken), "{ratio}: {taken}");
        }
    }

    #[test]
    fn a_trace_that_a_small_share_has_a_larger_has_too() {
        let (few, many) = (Sampler::new(0.1, SLOW), Sampler::new(0.4, SLOW));
        let mut random = fastrand::Rng::with_seed(7);
        for id in std::iter::repeat_with(|| random.u128(..)).take(10_000) {
            assert!(!few.takes(id) || many.takes(id), "{id:x}");
        }
    }

    #[test]
    fn the_callers_decision_holds() {
        for (ratio, flags) in [(0.0, 1), (1.0, 0)] {
            let parent = Parent { trace_id: 1, span_id: 2, flags };
            assert_eq!(Sampler::new(ratio, SLOW).begin(Some(parent)).is_sampled(), flags == 1);
        }
    }

    #[test]
    fn what_failed_or_was_slow_is_recorded_in_any_case() {
        let sampler = Sampler::new(0.0, SLOW);
        let (quick, unsampled) = (Duration::from_millis(1), Context::new(|_| false));
        for (outcome, total, expected) in [
            (Outcome::Ok, quick, false),
            (Outcome::Ok, SLOW, true),
            (Outcome::CallerError, quick, false),
            (Outcome::CallerLeft, quick, false),
            (Outcome::CallerLeft, SLOW, true),
            (Outcome::ProviderError, quick, true),
            (Outcome::GatewayError, quick, true),
        ] {
            assert_eq!(sampler.keeps(&unsampled, outcome, total), expected, "{outcome:?} {total:?}");
            assert!(sampler.keeps(&Context::new(|_| true), outcome, total));
        }
    }
}
