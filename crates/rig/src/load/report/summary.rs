//! From what was counted to a report: percentiles, rates, ratios. Rounded to three decimals, so
//! that a report reads well and JSON gives back what was put in.

use std::time::{Duration, SystemTime};

use super::{Comparison, Delta, Load, Machine, Measured, Points, Report, Seen, Series};
use crate::load::conductor::{Side, Sides};
use crate::load::tally::Distribution;
use crate::load::{Options, Url, units};

const REDACTED: &str = "[redacted]";

impl Report {
    /// The report of what was found on both sides.
    pub(in crate::load) fn new(
        options: &Options,
        sides: &Sides,
        started: SystemTime,
        interrupted: bool,
    ) -> Self {
        let target = Measured::new(options, &sides.target, &options.url, &options.model);
        let against = sides.against.as_ref().zip(options.against.as_ref());
        let against = against.map(|(side, url)| {
            let model = options.against_model.as_ref().unwrap_or(&options.model);
            Measured::new(options, side, url, model)
        });
        Self {
            version: Self::VERSION,
            started_at: units::rfc3339(started),
            machine: Machine::this(),
            load: Load::new(options),
            interrupted,
            comparison: against.as_ref().map(|against| Comparison::new(&target, against)),
            target,
            against,
        }
    }
}

impl Machine {
    fn this() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: std::env::consts::OS.to_owned(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            arch: std::env::consts::ARCH.to_owned(),
        }
    }
}

impl Load {
    fn new(options: &Options) -> Self {
        let hide = |key: &Option<String>| key.as_ref().map(|_| REDACTED.to_owned());
        Self {
            mode: options.mode,
            stream: options.stream,
            duration_s: options.duration.map(|time| three(time.as_secs_f64())),
            requests: options.requests,
            warmup_s: three(options.warmup.as_secs_f64()),
            rounds: if options.against.is_some() { options.rounds } else { 1 },
            prompt_bytes: options.prompt.bytes(),
            unique_prompts: options.unique_prompts,
            max_tokens: options.max_tokens,
            timeout_s: three(options.timeout.as_secs_f64()),
            threads: options.threads.min(options.in_flight_max()),
            seed: options.seed,
            api_key: hide(&options.api_key),
            against_api_key: hide(&options.against_api_key),
            headers: options.headers.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

impl Measured {
    fn new(options: &Options, side: &Side, url: &Url, model: &str) -> Self {
        let tally = &side.tally;
        let failed = tally.failed();
        let requests = tally.succeeded + failed;
        let rate = |credit: f64| per_second(credit, side.lasted);
        let told = tally.with_usage > 0;
        let errors = tally.faults.iter().map(|(fault, met)| {
            let example = redact(options, &met.example);
            let count = met.count;
            (fault.to_string(), Seen { count, example })
        });
        Self {
            url: url.clone(),
            model: model.to_owned(),
            duration_s: three(side.lasted.as_secs_f64()),
            requests,
            succeeded: tally.succeeded,
            failed,
            unfinished: tally.unfinished,
            errors: errors.collect(),
            error_rate: six(quotient(failed as f64, requests as f64).unwrap_or_default()),
            requests_per_second: rate(tally.rated.requests),
            frames: tally.frames,
            frames_per_second: rate(tally.rated.frames),
            input_tokens: told.then_some(tally.usage.input),
            output_tokens: told.then_some(tally.usage.output),
            tokens_per_second: told.then(|| rate(tally.rated.output_tokens)),
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
            connections: tally.connections,
            total_us: Series::new(&tally.total),
            first_token_us: Series::new(&tally.first_token),
            between_tokens_us: Series::new(&tally.between_tokens),
            send_lag_us: Series::new(&tally.send_lag),
        }
    }
}

impl Series {
    fn new(times: &Distribution) -> Option<Self> {
        let times = times.filled()?;
        let at = |quantile: f64| times.value_at_quantile(quantile) as f64;
        Some(Self {
            count: times.len(),
            points: Points {
                p50: at(0.5),
                p90: at(0.9),
                p95: at(0.95),
                p99: at(0.99),
                p999: at(0.999),
                max: times.max() as f64,
                mean: three(times.mean()),
            },
        })
    }
}

impl Comparison {
    pub(super) fn new(target: &Measured, against: &Measured) -> Self {
        let ratio = |ours: f64, theirs: f64| quotient(ours, theirs).map(three);
        let tokens = target.tokens_per_second.zip(against.tokens_per_second);
        Self {
            requests_per_second: ratio(target.requests_per_second, against.requests_per_second),
            frames_per_second: ratio(target.frames_per_second, against.frames_per_second),
            tokens_per_second: tokens.and_then(|(ours, theirs)| ratio(ours, theirs)),
            total: Delta::new(target.total_us.as_ref(), against.total_us.as_ref()),
            first_token: Delta::new(target.first_token_us.as_ref(), against.first_token_us.as_ref()),
            between_tokens: Delta::new(target.between_tokens_us.as_ref(), against.between_tokens_us.as_ref()),
        }
    }
}

impl Delta {
    fn new(target: Option<&Series>, against: Option<&Series>) -> Option<Self> {
        let (ours, theirs) = (target?.points, against?.points);
        Some(Self {
            // Nothing recorded is below a microsecond, so nothing is divided by zero.
            ratio: ours.zip(theirs, |ours, theirs| three(ours / theirs)),
            added_us: ours.zip(theirs, |ours, theirs| three(ours - theirs)),
        })
    }
}

/// An error's example without the keys that were sent: servers like to repeat them.
fn redact(options: &Options, example: &str) -> String {
    let values = options.headers.iter().map(|(_, value)| value);
    let secrets = options.api_key.iter().chain(&options.against_api_key);
    secrets
        .chain(values)
        .filter(|secret| secret.len() >= 8)
        .fold(example.to_owned(), |text, secret| text.replace(secret.as_str(), REDACTED))
}

fn per_second(credit: f64, lasted: Duration) -> f64 {
    three(quotient(credit, lasted.as_secs_f64()).unwrap_or_default())
}

fn quotient(above: f64, below: f64) -> Option<f64> {
    (below > 0.0).then(|| above / below)
}

fn three(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn six(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn keys_are_taken_out_of_examples() {
        let mut options = Options::new("http://h/v1".parse().unwrap(), "m");
        options.api_key = Some("tg-secret-key".to_owned());
        options.headers = vec![("x-api-key".to_owned(), "another-secret".to_owned())];
        let told = redact(&options, "bad key tg-secret-key or another-secret");
        assert_eq!(told, "bad key [redacted] or [redacted]");
    }
}
