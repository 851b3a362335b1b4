//! OpenAI's protocol: chat completions, legacy completions, embeddings, models, their streams and
//! errors; answers as a cache keeps them; and embedding requests joined and parted.
//!
//! Typed only where the gateway acts on a field. What is not here: HTTP, and what a model means.

pub mod embeddings;
mod error;
mod models;
mod named;
mod request;
pub mod stored;
mod stream;
mod summary;
mod usage;

pub use error::{error_body, error_body_with, error_event};
pub use models::{ModelEntry, model_entry, models_list};
pub use named::model_of_frame;
pub use request::{
    COMPLETION_TOKENS_DEFAULT, Determinism, LastUser, OUTPUT_TOKENS_DEFAULT, Request, TokensExpected, Traits,
};
pub use stream::{Observed, Relay, RelayOptions, UsageChunk};
pub use summary::{Summary, usage_of};
pub use usage::Usage;
