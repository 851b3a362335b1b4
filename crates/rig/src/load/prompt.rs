//! The body of a request: written once, and for unique prompts copied and marked for each request.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::Serialize;

use super::{Error, Options};

/// What the model is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// This text.
    Text(String),
    /// English words drawn from the seed, exactly this many bytes.
    Synthetic {
        /// The prompt's length.
        bytes: usize,
    },
}

impl Default for Prompt {
    fn default() -> Self {
        Self::Text("Say in one sentence what a tide gate does.".to_owned())
    }
}

impl Prompt {
    /// The prompt's length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Synthetic { bytes } => *bytes,
        }
    }

    fn text(&self, seed: u64) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Synthetic { bytes } => words(*bytes, seed),
        }
    }
}

/// The words of synthetic prompts: ASCII, nothing that JSON escapes, one token each for most
/// tokenizers.
const WORDS: [&str; 32] = [
    "the", "water", "of", "tide", "and", "gate", "in", "river", "to", "under", "bridge", "a", "stone",
    "with", "boat", "near", "harbour", "for", "morning", "light", "over", "wall", "this", "sea", "that",
    "wind", "from", "north", "as", "level", "by", "time",
];

fn words(bytes: usize, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::with_capacity(bytes + 8);
    while text.len() < bytes {
        text.push_str(random.choice(WORDS).unwrap_or("tide"));
        text.push(' ');
    }
    text.truncate(bytes);
    text
}

/// A chat request as OpenAI defines it, as far as a load needs it.
#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Where the prompt begins. A quote inside a JSON string is escaped, so this cannot be part of one.
const CONTENT: &[u8] = br#""content":""#;
const MARK_BYTES: usize = 16;

/// Makes the body of each request. Shared by all threads.
pub(super) struct Bodies {
    template: Bytes,
    mark: Option<Mark>,
}

struct Mark {
    at: usize,
    seed: u64,
    next: AtomicU64,
}

impl Bodies {
    /// Bodies that ask `model` for what `options` say.
    pub(super) fn new(options: &Options, model: &str) -> Result<Self, Error> {
        let mut text = options.prompt.text(options.seed);
        if options.unique_prompts {
            text = marked(&text, matches!(options.prompt, Prompt::Synthetic { .. }));
        }
        let template = serde_json::to_vec(&Chat {
            model,
            messages: [Message { role: "user", content: &text }],
            max_tokens: options.max_tokens,
            stream: options.stream,
            stream_options: (options.stream && options.ask_usage)
                .then_some(StreamOptions { include_usage: true }),
        })?;
        let mark = memchr::memmem::find(&template, CONTENT)
            .filter(|_| options.unique_prompts)
            .map(|found| Mark { at: found + CONTENT.len(), seed: options.seed, next: AtomicU64::new(0) });
        Ok(Self { template: template.into(), mark })
    }

    /// The body of the next request.
    pub(super) fn next(&self) -> Bytes {
        let Some(mark) = &self.mark else {
            return self.template.clone();
        };
        let number = mark.next.fetch_add(1, Ordering::Relaxed);
        let mut body = self.template.to_vec();
        let digits = format!("{:016x}", mix(mark.seed, number));
        body[mark.at..mark.at + MARK_BYTES].copy_from_slice(digits.as_bytes());
        body.into()
    }
}

/// The prompt with room for the mark at its start, where it also defeats a provider's prefix cache.
/// A synthetic prompt keeps its length where it is long enough.
fn marked(text: &str, keep_length: bool) -> String {
    let room = "0".repeat(MARK_BYTES);
    match text.get(MARK_BYTES + 1..) {
        Some(rest) if keep_length => format!("{room} {rest}"),
        _ => format!("{room} {text}"),
    }
}

/// One-to-one in `number`, so no two marks of a seed are alike (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014: the output function of SplitMix64).
pub(super) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    fn options() -> Options {
        Options::new("http://h/v1".parse().unwrap(), "m")
    }

    fn prompt_of(body: &Bytes) -> String {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_stream_asks_for_its_usage_and_a_plain_request_does_not() {
        let mut options = options();
        let plain: Value = serde_json::from_slice(&Bodies::new(&options, "m").unwrap().next()).unwrap();
        assert_eq!(plain["stream"], false);
        assert!(plain.get("stream_options").is_none() && plain.get("max_tokens").is_none());

        options.stream = true;
        options.max_tokens = Some(7);
        let stream: Value = serde_json::from_slice(&Bodies::new(&options, "m").unwrap().next()).unwrap();
        assert_eq!(stream["stream_options"]["include_usage"], true);
        assert_eq!(stream["max_tokens"], 7);

        options.ask_usage = false;
        let silent: Value = serde_json::from_slice(&Bodies::new(&options, "m").unwrap().next()).unwrap();
        assert!(silent.get("stream_options").is_none());
    }

    #[test]
    fn a_synthetic_prompt_has_the_length_asked_for_and_is_the_same_for_a_seed() {
        for unique in [false, true] {
            for bytes in [0, 1, 16, 17, 1000, 100_000] {
                let mut options = options();
                options.prompt = Prompt::Synthetic { bytes };
                options.unique_prompts = unique;
                let one = prompt_of(&Bodies::new(&options, "m").unwrap().next());
                let two = prompt_of(&Bodies::new(&options, "m").unwrap().next());
                assert_eq!(one, two);
                if !unique || bytes > MARK_BYTES {
                    assert_eq!(one.len(), bytes);
                }
            }
        }
    }

    #[test]
    fn unique_prompts_differ_in_every_request_and_keep_the_text() {
        let mut options = options();
        options.prompt = Prompt::Text("she said \"content\":\"x\" – and left".to_owned());
        options.unique_prompts = true;
        let bodies = Bodies::new(&options, "a \"content\":\" model").unwrap();
        let prompts: HashSet<String> = (0..1000).map(|_| prompt_of(&bodies.next())).collect();
        assert_eq!(prompts.len(), 1000);
        assert!(prompts.iter().all(|p| p.ends_with(" she said \"content\":\"x\" – and left")));
    }
}
