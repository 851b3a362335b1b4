//! How long the simulated model takes: the time to its first token, and from
//! a token to the next.

use super::Settings;
use super::directive::Directive;
use super::key::{Draws, Key};
use std::time::Duration;

/// The delays of one reply.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    first: Duration,
    between: Duration,
    jitter: f64,
    draws: Draws,
}

impl Pace {
    /// The model's own delays, and over them what the directive says.
    pub(crate) fn new(settings: &Settings, model: &str, directive: &Directive, draws: Draws) -> Self {
        let (first, between) = match model {
            "instant" => (Duration::ZERO, Duration::ZERO),
            "fast" => (Duration::from_millis(20), Duration::from_millis(2)),
            "slow" => (Duration::from_millis(800), Duration::from_millis(20)),
            _ => (settings.first_token, settings.between_tokens),
        };
        Self {
            first: directive.first_token.unwrap_or(first),
            between: directive.between_tokens.unwrap_or(between),
            jitter: settings.jitter.clamp(0.0, 1.0),
            draws,
        }
    }

    /// No delay at all.
    pub(crate) fn instant() -> Self {
        Self { first: Duration::ZERO, between: Duration::ZERO, jitter: 0.0, draws: Key::new(0).draws(0) }
    }

    /// Until the first token.
    pub(crate) fn first(&mut self) -> Duration {
        let factor = self.factor();
        stretch(self.first, factor)
    }

    /// Until the next token.
    pub(crate) fn between(&mut self) -> Duration {
        let factor = self.factor();
        stretch(self.between, factor)
    }

    /// Until a reply of so many tokens is whole.
    pub(crate) fn whole(&mut self, tokens: u32) -> Duration {
        /// Draws enough for a fair sum; the rest goes at their mean.
        const DRAWN_MAX: u32 = 256;
        if self.jitter == 0.0 || self.between.is_zero() || tokens == 0 {
            return self.first().saturating_add(self.between.saturating_mul(tokens));
        }
        let drawn = tokens.min(DRAWN_MAX);
        let sum: f64 = (0..drawn).map(|_| self.factor()).sum();
        let mean = sum / f64::from(drawn);
        self.first().saturating_add(stretch(self.between, mean * f64::from(tokens)))
    }

    /// A factor round 1: log-normal, as providers' latencies are, with a
    /// spread of about `jitter`. The normal number is a sum of four even ones,
    /// which keeps it within 3.5 spreads: no reply waits for ever.
    fn factor(&mut self) -> f64 {
        if self.jitter == 0.0 {
            return 1.0;
        }
        let bits = self.draws.next();
        let even = |at: u32| f64::from((bits >> (16 * at)) as u16) / 65536.0;
        let normal = (even(0) + even(1) + even(2) + even(3) - 2.0) * 3f64.sqrt();
        (self.jitter * normal - self.jitter * self.jitter / 2.0).exp()
    }
}

fn stretch(delay: Duration, factor: f64) -> Duration {
    if factor == 1.0 {
        return delay;
    }
    Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(model: &str, jitter: f64) -> Pace {
        let settings = Settings { jitter, ..Settings::default() };
        Pace::new(&settings, model, &Directive::default(), Key::new(1).draws(0))
    }

    #[test]
    fn each_model_has_its_own_delays() {
        for (model, first_ms, between_ms) in
            [("instant", 0, 0), ("fast", 20, 2), ("slow", 800, 20), ("other", 20, 2)]
        {
            let mut pace = pace(model, 0.0);
            assert_eq!(pace.first(), Duration::from_millis(first_ms), "{model}");
            assert_eq!(pace.between(), Duration::from_millis(between_ms), "{model}");
            assert_eq!(pace.whole(10), Duration::from_millis(first_ms + 10 * between_ms), "{model}");
        }
    }

    #[test]
    fn jitter_spreads_delays_round_their_mean_within_bounds() {
        let mut pace = pace("slow", 0.5);
        let delays: Vec<f64> = (0..4000).map(|_| pace.first().as_secs_f64() / 0.8).collect();
        let mean = delays.iter().sum::<f64>() / 4000.0;
        let variance = delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / 4000.0;
        assert!((0.95..1.05).contains(&mean), "{mean}");
        assert!((0.4..0.65).contains(&variance.sqrt()), "{}", variance.sqrt());
        assert!(delays.iter().all(|delay| (0.1..6.0).contains(delay)));
    }

    #[test]
    fn a_whole_reply_takes_as_long_as_its_tokens() {
        let whole = pace("slow", 0.3).whole(5000).as_secs_f64();
        assert!((90.0..112.0).contains(&whole), "{whole}");
    }
}
