//! Providers keep the beginnings of long prompts at hand for some minutes and bill what they find there at a fraction,
//! but only where the next request of a conversation comes to the same target.
//!
//! It fires where an alias has several targets and no `affinity`, its prompts are 1,024 tokens or longer on the average
//! (kept down to 768; OpenAI and others remember none shorter than 1,024), and providers found less than 20 in 100 of
//! the tokens (kept up to 30). Tokens are those that the providers counted.
//!
//! Safe: the same targets are asked in the same shares; a conversation stays with the one that it began with while that
//! is healthy. What it saves depends on how alike the prompts are, of which nothing is known: no figure is given.

use super::case::{Bar, Case, Found, Look, change, share};
use super::{Alias, Facts, Key, Saving, Value};

const PROMPT_TOKENS: Bar = Bar { from: 1024.0, keep: 768.0 };
const CACHED_SHARE: Bar = Bar { from: 0.2, keep: 0.3 };

pub(super) fn look(look: &mut Look<'_>) {
    look.aliases(judge);
}

fn judge(_: &Facts, alias: &Alias, case: &Case) -> Option<Found> {
    let Alias { name, settings, .. } = alias;
    let sharing = alias.sharing();
    let sum = |of: fn(&super::Target) -> u64| sharing.iter().map(|target| of(target)).sum::<u64>();
    let answers = sum(|target| target.answers);
    if settings.affinity || sharing.len() < 2 || !case.is_enough(answers) {
        return None;
    }
    let tokens = sum(|target| target.tokens_in);
    let (mean, cached) = (tokens as f64 / answers as f64, share(sum(|target| target.tokens_cached), tokens));
    if !case.passes(mean, PROMPT_TOKENS) || !case.passes(cached, CACHED_SHARE) {
        return None;
    }
    Some(Found {
        title: format!("Keep the conversations of {name} with their target"),
        words: format!(
            "Prompts to `{name}` are {mean:.0} tokens long, and its {} targets find {:.0} in 100 of them remembered: each \
             request of a conversation may go to another one. With `affinity` it stays where its beginning is known, \
             which costs less and answers sooner.",
            sharing.len(),
            cached * 100.0
        ),
        evidence: vec![
            ("answers", answers.into()),
            ("targets", (sharing.len() as u64).into()),
            ("prompt_mean_tokens", mean.into()),
            ("prompt_cached_share", cached.into()),
        ],
        saving: Saving::default(),
        change: vec![change(Key::of_alias(name, &["affinity"]), Value::Bool(false), Value::Bool(true))],
        safe: true,
    })
}
