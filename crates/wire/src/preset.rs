//! One row a provider: what is to be known of it before the configuration says a word.
//!
//! A compatible provider is added here and nowhere else. Rows hold no secret and make no
//! connection; `sim` is the built-in simulated provider, which has no address.

use crate::dialect::Dialect;

/// A provider's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name in the configuration: lower case.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The protocol it speaks.
    pub dialect: Dialect,
    /// Where its paths begin, without a trailing slash. `None`: the configuration must give it.
    pub base_url: Option<&'static str>,
    /// How its key is sent.
    pub auth: Auth,
    /// The environment variable that holds its key by custom.
    pub key_env: Option<&'static str>,
    /// Whether it answers nothing without a key.
    pub key_required: bool,
    /// Where it leaves OpenAI's path.
    pub quirks: Quirks,
    /// It runs batches itself, in the shape of OpenAI's `/files` and `/batches`, and asks so many hundredths of the
    /// usual price for that. `None`: it has no such API, or one of another shape.
    pub batch_percent: Option<u8>,
}

/// How a provider's key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// The bare key in a header of this (lower-case) name.
    Header(&'static str),
    /// No key is sent.
    None,
}

/// Where a provider leaves OpenAI's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// Understands `stream_options.include_usage`. Where it does not, it is not asked.
    pub stream_options: bool,
    /// Ends its streams with `data: [DONE]`. Where it does not, a `finish_reason` is the end.
    pub done_marker: bool,
    /// Has `/embeddings`.
    pub embeddings: bool,
    /// Has `/completions`.
    pub legacy_completions: bool,
}

/// The row of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Every row, in the table's order.
#[must_use]
pub fn all() -> &'static [Preset] {
    PRESETS
}

/// Everything OpenAI's own API has.
const FULL: Quirks =
    Quirks { stream_options: true, done_marker: true, embeddings: true, legacy_completions: true };
const NO_LEGACY: Quirks = Quirks { legacy_completions: false, ..FULL };
const NO_EMBEDDINGS: Quirks = Quirks { embeddings: false, ..FULL };
const CHAT_ONLY: Quirks = Quirks { embeddings: false, ..NO_LEGACY };
/// Refuses a body with `stream_options` (422, "extra inputs are not permitted"); sends usage with its
/// last chunk unasked.
const MISTRAL: Quirks = Quirks { stream_options: false, ..NO_LEGACY };
/// Refuses `stream_options` as well, and its documentation promises no `[DONE]`.
const COHERE: Quirks = Quirks { stream_options: false, done_marker: false, ..NO_LEGACY };
/// Ends a stream without `[DONE]`; sends usage with every chunk unasked.
const PERPLEXITY: Quirks = Quirks { stream_options: false, done_marker: false, ..CHAT_ONLY };

/// A hosted provider: an address, a key as a bearer token.
const fn hosted(
    name: &'static str,
    title: &'static str,
    base_url: &'static str,
    key_env: &'static str,
    quirks: Quirks,
) -> Preset {
    Preset {
        name,
        title,
        dialect: Dialect::OpenAi,
        base_url: Some(base_url),
        auth: Auth::Bearer,
        key_env: Some(key_env),
        key_required: true,
        quirks,
        batch_percent: None,
    }
}

/// A provider that runs batches as OpenAI does, at half the price.
const fn with_batches(preset: Preset) -> Preset {
    Preset { batch_percent: Some(50), ..preset }
}

/// A server on the operator's own machine: a port by custom. A key is sent where one is configured.
const fn local(name: &'static str, title: &'static str, base_url: &'static str) -> Preset {
    Preset {
        name,
        title,
        dialect: Dialect::OpenAi,
        base_url: Some(base_url),
        auth: Auth::Bearer,
        key_env: None,
        key_required: false,
        quirks: FULL,
        batch_percent: None,
    }
}

static PRESETS: &[Preset] = &[
    with_batches(hosted("openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", FULL)),
    // Azure has OpenAI's shape as well, and runs in batches only what is deployed for nothing else.
    Preset {
        base_url: None,
        auth: Auth::Header("api-key"),
        ..hosted("azure", "Azure OpenAI", "", "AZURE_OPENAI_API_KEY", FULL)
    },
    with_batches(hosted("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", CHAT_ONLY)),
    hosted("mistral", "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", MISTRAL),
    hosted("deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", CHAT_ONLY),
    hosted("together", "Together AI", "https://api.together.xyz/v1", "TOGETHER_API_KEY", FULL),
    hosted("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", FULL),
    hosted("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", FULL),
    hosted("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", NO_EMBEDDINGS),
    hosted("perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", PERPLEXITY),
    hosted("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", NO_EMBEDDINGS),
    hosted("nvidia", "NVIDIA NIM", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", FULL),
    hosted("cohere", "Cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY", COHERE),
    hosted(
        "gemini",
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        NO_LEGACY,
    ),
    local("ollama", "Ollama", "http://127.0.0.1:11434/v1"),
    local("vllm", "vLLM", "http://127.0.0.1:8000/v1"),
    local("sglang", "SGLang", "http://127.0.0.1:30000/v1"),
    local("llamacpp", "llama.cpp", "http://127.0.0.1:8080/v1"),
    local("lmstudio", "LM Studio", "http://127.0.0.1:1234/v1"),
    Preset { base_url: None, ..local("openai-compatible", "OpenAI-compatible", "") },
    Preset { base_url: None, auth: Auth::None, ..local("sim", "Simulated provider", "") },
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_row_can_be_found_by_its_name() {
        let names = "openai azure groq mistral deepseek together fireworks openrouter xai perplexity \
                     cerebras nvidia cohere gemini ollama vllm sglang llamacpp lmstudio \
                     openai-compatible sim";
        let names: Vec<&str> = names.split_whitespace().collect();
        assert_eq!(all().iter().map(|preset| preset.name).collect::<Vec<_>>(), names);
        for name in names {
            assert_eq!(by_name(name).unwrap().name, name);
        }
        assert_eq!(by_name("OpenAI"), None);
        assert_eq!(by_name(""), None);
    }

    #[test]
    fn a_path_can_be_put_behind_every_url() {
        for Preset { name, base_url, .. } in all() {
            let Some(url) = base_url else { continue };
            let (scheme, rest) = url.split_once("://").unwrap();
            let local = rest.starts_with("127.0.0.1:");
            assert_eq!(scheme, if local { "http" } else { "https" }, "{name}");
            assert!(!url.ends_with('/'), "{name}");
            assert!(url.bytes().all(|b| b.is_ascii_graphic()), "{name}");
        }
    }

    #[test]
    fn batches_cost_less_where_they_are_run() {
        let known: Vec<_> = all().iter().filter(|preset| preset.batch_percent.is_some()).collect();
        assert_eq!(known.iter().map(|preset| preset.name).collect::<Vec<_>>(), ["openai", "groq"]);
        assert!(known.iter().all(|preset| preset.batch_percent.is_some_and(|percent| percent < 100)));
    }

    #[test]
    fn a_key_is_required_where_it_has_a_customary_variable() {
        for preset in all() {
            assert_eq!(preset.key_required, preset.key_env.is_some(), "{}", preset.name);
            if let Some(variable) = preset.key_env {
                assert!(variable.ends_with("_API_KEY"), "{variable}");
            }
            if let Auth::Header(name) = preset.auth {
                assert_eq!(name, name.to_ascii_lowercase());
            }
        }
        let mut variables: Vec<_> = all().iter().filter_map(|preset| preset.key_env).collect();
        let rows = variables.len();
        variables.sort_unstable();
        variables.dedup();
        assert_eq!(variables.len(), rows, "one variable switches one provider on");
    }
}
