//! Workflows: many steps, each done at least once with one recorded outcome, in the order in which they need
//! one another, whatever is killed meanwhile.
//!
//! ```text
//! JSON or TOML ──► source ──► read ──► check ──► Definition          what is done
//!                                                    │
//!  job claimed ──► engine: loads, evaluates, calls outside            what does it
//!                     │ tells, under the run's lock
//!                     ▼
//!                  machine: (Definition, run, event) ──► Decision     what follows
//!                     │ one commit
//!                     ▼
//!          run's row, steps' rows, next jobs, end of the job          what lasts
//! ```
//!
//! - A [`Definition`] cannot be wrong: [`Definition::parse`] tells all that is, at once, each with its place.
//! - [`machine::decide`] is a pure function. It alone says what follows from an [`event`], and a repetition of
//!   an event changes nothing.
//! - The [`Engine`] has no state of its own that matters. What is dropped with it is done again by another.
//! - Each call outside carries a key that is the same for the same step or item, until it is retried by hand.
//! - [`code`] gives the same guarantees to a function of ours.
//!
//! # What a definition says
//!
//! `name`, `description`, `input` (a list of fields, or JSON Schema's `required` and `properties`), `steps`,
//! and `output`, which is the last steps' where it is not given. A step has an `id`, a `kind`, what it `needs`
//! and `when` it is run. Values hold [expressions](expression) over `input`, `steps.ID.output`, `.state` and
//! `.error`, `run.id` and `run.workflow`, and, where a step fans out, `item` and `index`. Text that is one
//! `{{ expression }}` and nothing else has that expression's value with its type.
//!
//! | kind | keys | output |
//! | --- | --- | --- |
//! | `model` | `model`, `request` | the answer |
//! | `http` | `url`, `method`, `headers`, `body` | as the embedder gives it |
//! | `map` | `over`, `concurrency`, `step` | the items' outputs, in their order |
//! | `branch` | `cases` of `when` and `steps`, `else` | the number of the case |
//! | `sleep` | `for` or `until` | null |
//! | `wait` | `signal`, `timeout` | what came with the signal |
//! | `workflow` | `workflow`, `version`, `input` | the child's output |
//!
//! Calls have `retry` (`attempts`, `backoff`, `backoff_max`) and a `timeout`; what has an effect can say what is
//! to `compensate` it, and `on_error = "continue"` lets the run go on with null. A step that a branch names
//! needs the branch, and is skipped where that does not choose it. A step is also skipped where all that it
//! needs was skipped; one of which some was run is run, with null for the others.

mod check;
pub mod code;
pub mod definition;
pub mod drawing;
mod duration;
pub mod effects;
pub mod engine;
pub mod event;
pub mod expression;
mod fault;
mod id;
mod input;
pub mod machine;
mod read;
mod source;
pub mod status;
pub mod task;
mod template;

pub use self::definition::Definition;
pub use self::effects::Effects;
pub use self::engine::Engine;
pub use self::fault::{Fault, Faults};
pub use self::source::Format;
pub use self::status::Status;
pub use self::template::Template;
