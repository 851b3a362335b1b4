//! Callers allow answers that are far longer than any that is written: let them ask for less.
//!
//! What a request allows is taken from budgets of tokens when it arrives, and given back when its answer is there:
//! limits of `tokens_per_minute`, ours and the providers', refuse requests for tokens that nobody writes.
//!
//! It fires where requests of an alias allow four times the tokens that are written, on the average (kept down to three
//! times), 256 at least (kept down to 192), and the longest answer stayed below half of the average allowed (kept up to
//! two thirds): a lower bound would have cut none. There is nothing to write into the configuration: the bound is the
//! callers' own.

use super::case::{Bar, Case, Found, Look};
use super::{Alias, Bounds, Facts, Saving};

const RATIO: Bar = Bar { from: 4.0, keep: 3.0 };
const ASKED_TOKENS: Bar = Bar { from: 256.0, keep: 192.0 };
const LONGEST_SHARE: Bar = Bar { from: 0.5, keep: 0.67 };

pub(super) fn look(look: &mut Look<'_>) {
    look.aliases(judge);
}

fn judge(_: &Facts, alias: &Alias, case: &Case) -> Option<Found> {
    let Bounds { requests, asked_tokens, written_tokens, written_tokens_max } = alias.bounds;
    if !case.is_enough(requests) || written_tokens == 0 {
        return None;
    }
    let mean = |tokens: u64| tokens as f64 / requests as f64;
    let (asked, written) = (mean(asked_tokens), mean(written_tokens));
    let longest = written_tokens_max as f64 / asked;
    let is_far = case.passes(asked / written, RATIO) && case.passes(asked, ASKED_TOKENS);
    if !is_far || !case.passes(longest, LONGEST_SHARE) {
        return None;
    }
    // A quarter more than the longest there was, so that none like it is cut.
    let enough = written_tokens_max + written_tokens_max.div_ceil(4);
    Some(Found {
        title: format!("Let callers of {} ask for shorter answers", alias.name),
        words: format!(
            "Requests to `{}` allow {asked:.0} tokens and get {written:.0}; the longest answer had {written_tokens_max}. What \
             is allowed counts against limits of tokens until the answer is there. Set `max_tokens` to about {enough} \
             where they are made.",
            alias.name
        ),
        evidence: vec![
            ("requests", requests.into()),
            ("allowed_mean_tokens", asked.into()),
            ("written_mean_tokens", written.into()),
            ("written_max_tokens", written_tokens_max.into()),
        ],
        saving: Saving::default(),
        change: Vec::new(),
        safe: false,
    })
}
