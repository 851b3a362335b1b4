//! Errors by rate: how a provider on a bad day fails.

use super::Settings;
use super::directive::Directive;
use super::key::Key;

/// The share of failures of `flaky`, where the settings give none.
const FLAKY: f64 = 0.3;

/// What goes wrong with the request that is the `sequence`th, if anything.
/// Drawn from the sequence and not from the prompt: a retry may succeed, and
/// a run of requests fails in the same places each time.
pub(crate) fn fault(settings: &Settings, model: &str, sequence: u64) -> Option<Directive> {
    let rate = match model {
        "flaky" if settings.errors <= 0.0 => FLAKY,
        _ => settings.errors,
    };
    if rate <= 0.0 {
        return None;
    }
    let mut draws = Key::new(settings.seed).with_number(sequence).draws(6);
    if draws.unit() >= rate {
        return None;
    }
    let status = |status, retry_after: Option<&str>| Directive {
        status: Some(status),
        retry_after: retry_after.map(Into::into),
        ..Directive::default()
    };
    Some(match draws.below(100) {
        0..30 => status(500, None),
        30..55 => status(503, Some("1")),
        55..85 => status(429, Some("1")),
        _ => Directive { reset: true, ..Directive::default() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(errors: f64, model: &str) -> Vec<Directive> {
        let settings = Settings { errors, ..Settings::default() };
        (0..10_000).filter_map(|sequence| fault(&settings, model, sequence)).collect()
    }

    #[test]
    fn requests_fail_at_their_rate() {
        assert_eq!(faults(0.0, "fast").len(), 0);
        assert_eq!(faults(1.0, "fast").len(), 10_000);
        assert!((2_800..3_200).contains(&faults(0.0, "flaky").len()));
        assert!((900..1_100).contains(&faults(0.1, "flaky").len()));
    }

    #[test]
    fn failures_are_of_every_kind_and_the_same_each_time() {
        let faults = faults(0.3, "flaky");
        for status in [500, 503, 429] {
            assert!(faults.iter().filter(|fault| fault.status == Some(status)).count() > 500);
        }
        assert!(faults.iter().filter(|fault| fault.reset).count() > 300);
        assert_eq!(faults, self::faults(0.3, "flaky"));
    }
}
