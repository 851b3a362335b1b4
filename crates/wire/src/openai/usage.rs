//! What a reply cost, as its `usage` says.

use crate::json::Value;

/// Tokens of one reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read, cached ones among them.
    pub input: u64,
    /// Tokens written, reasoning among them.
    pub output: u64,
    /// All of them, as the provider counts; input and output where it does not say.
    pub total: u64,
    /// Those of the input that the provider took from its prompt cache.
    pub cached_input: u64,
    /// Those of the output that were reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// Reads a `usage` object. What is missing or of a strange type counts as 0.
    pub(crate) fn read(usage: Value<'_>) -> Option<Self> {
        let (mut read, mut elsewhere) = (Self::default(), Elsewhere::default());
        usage.each_member(|key, value| match key {
            "prompt_tokens" => read.input = count(value),
            "completion_tokens" => read.output = count(value),
            "total_tokens" => read.total = count(value),
            "prompt_tokens_details" => read.cached_input = detail(value, "cached_tokens"),
            "completion_tokens_details" => read.reasoning = detail(value, "reasoning_tokens"),
            "prompt_cache_hit_tokens" => elsewhere.cached_by_deepseek = Some(count(value)),
            "cached_tokens" => elsewhere.cached_by_moonshot = Some(count(value)),
            "reasoning_tokens" => elsewhere.reasoning = count(value),
            _ => {}
        })?;
        read.complete(&elsewhere);
        Some(read)
    }

    fn complete(&mut self, elsewhere: &Elsewhere) {
        if self.cached_input == 0 {
            let cached = elsewhere.cached_by_deepseek.or(elsewhere.cached_by_moonshot);
            self.cached_input = cached.unwrap_or(0);
        }
        if self.reasoning == 0 {
            self.reasoning = elsewhere.reasoning;
        }
        if self.total == 0 {
            self.total = self.input.saturating_add(self.output);
        }
    }
}

/// Details that OpenAI puts in objects of their own, where providers put them beside the counts.
#[derive(Default)]
struct Elsewhere {
    cached_by_deepseek: Option<u64>,
    cached_by_moonshot: Option<u64>,
    reasoning: u64,
}

fn detail(details: Value<'_>, key: &str) -> u64 {
    details.object().and_then(|details| details.get(key)).map_or(0, count)
}

/// A count, also where it is written `12.0`, as some servers do.
fn count(value: Value<'_>) -> u64 {
    value.as_u64().or_else(|| value.as_f64().map(|number| number as u64)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::openai::usage_of;

    #[test]
    fn usage_is_read_wherever_providers_put_it() {
        let full = Usage { input: 19, output: 10, total: 29, cached_input: 16, reasoning: 4 };
        let plain = Usage { cached_input: 0, reasoning: 0, ..full };
        let cases = [
            // OpenAI
            (
                r#"{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":16,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4}}"#,
                Some(full),
            ),
            // DeepSeek
            (
                r#"{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_cache_hit_tokens":16,"prompt_cache_miss_tokens":3,"completion_tokens_details":{"reasoning_tokens":4}}"#,
                Some(full),
            ),
            // Moonshot and Perplexity put a detail at the top
            (
                r#"{"prompt_tokens":19,"completion_tokens":10,"cached_tokens":16,"reasoning_tokens":4}"#,
                Some(full),
            ),
            // null details, as vLLM sends them; no total
            (
                r#"{"prompt_tokens":19,"completion_tokens":10,"prompt_tokens_details":null,"completion_tokens_details":null}"#,
                Some(plain),
            ),
            // floats
            (r#"{"prompt_tokens":19.0,"completion_tokens":1e1,"total_tokens":29}"#, Some(plain)),
            // embeddings
            (
                r#"{"prompt_tokens":8,"total_tokens":8}"#,
                Some(Usage { input: 8, total: 8, ..Usage::default() }),
            ),
            // nonsense counts as nothing
            (r#"{"prompt_tokens":-5,"completion_tokens":"10"}"#, Some(Usage::default())),
            ("{}", Some(Usage::default())),
            ("null", None),
            ("[]", None),
        ];
        for (usage, want) in cases {
            let body = format!(r#"{{"id":"x","choices":[],"usage":{usage}}}"#);
            assert_eq!(usage_of(body.as_bytes()).unwrap(), want, "{usage}");
        }
        assert_eq!(usage_of(br#"{"id":"x"}"#).unwrap(), None);
    }

    #[test]
    fn a_reply_that_is_not_a_json_object_is_a_fault() {
        for body in ["", "[]", "<html>", r#"{"usage":{}"#, r#"{"a":1}x"#] {
            assert!(usage_of(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn counts_beyond_all_bounds_stop_at_the_bound() {
        let body = br#"{"usage":{"prompt_tokens":1e300,"completion_tokens":18446744073709551615}}"#;
        let usage = usage_of(body).unwrap().unwrap();
        assert_eq!((usage.input, usage.output, usage.total), (u64::MAX, u64::MAX, u64::MAX));
    }
}
