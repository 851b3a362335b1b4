//! What protects: pieces that keep a service standing and know nothing of models or prompts.
//!
//! So far: choosing among [`weighted`] targets, the [`address`]es a process that dials out on a
//! stranger's behalf must not reach, and single [`flight`], by which identical computations under way
//! at once are done once. The breaker, the adaptive limiter, the fair queue and the retry budget have
//! their place here and come with their issues.

pub mod address;
pub mod flight;
pub mod weighted;
