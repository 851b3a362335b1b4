//! Answers to other questions that mean the same. No cosine is safe, so a vector only proposes.
//!
//! A library of its own: it knows texts, vectors and keys, and neither HTTP nor providers nor what an answer
//! is. What it holds are questions; the answers stay in the cache, under the [`Key`](crate::key::Key) that it
//! gives. A question is compared only within its [`Fingerprint`], and only if it is short and asked in its own
//! words ([`eligible`]). The nearest by cosine are *candidates*; each [`Veto`] sorts out those that
//! certainly differ; then one of three accepts, as [`Accept`] says:
//!
//! * **local**: [`verify`] explains every word of either question by the other, or refuses. At once, and
//!   without a model;
//! * **learned**: comparisons of answers have shown how near is near enough, question by question ([`learned`]);
//! * **judge**: a model of the caller's judges the pair in the background, and only the next such question
//!   is answered.
//!
//! What is accepted becomes an *alias*: the same text is then found at once, by its digest. A share of hits
//! is audited, and a category that errs switches itself off ([`audit`]).
//!
//! ```
//! use cache::key::Key;
//! use cache::semantic::embed::{Embedder, Lexical};
//! use cache::semantic::{Fingerprint, Options, Outcome, Question, Semantic};
//!
//! let semantic = Semantic::new(Options::default());
//! let partition = Fingerprint::from_bytes([7; 32]); // tenant, model, policy, embedder, the rest of the body
//! let answer = Key::from_bytes([1; 32]); // under which the answer to the first question is stored
//!
//! let asked = Question::read("How do I delete a file in Linux?")?;
//! let vector = Lexical.embed_blocking(asked.text())?;
//! semantic.insert(&partition, &asked, &vector, answer);
//!
//! let other = Question::read("in linux, how can I remove a file")?;
//! let vector = Lexical.embed_blocking(other.text())?;
//! let Outcome::Hit(hit) = semantic.lookup(&partition, &other, &vector) else { panic!() };
//! assert_eq!(hit.key, answer);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod audit;
pub mod eligible;
pub mod embed;
pub mod learned;
mod lexicon;
mod lookup;
mod partition;
mod question;
mod reading;
mod report;
mod sketch;
mod stem;
mod store;
mod vector;
pub mod verify;
pub mod veto;
mod words;

pub use audit::{Interval, Tally, wilson};
pub use lookup::{Accept, By, COSINE_MIN, Candidate, Hit, Miss, Options, Outcome, Semantic, Verdict};
pub use partition::EXACT_MAX;
pub use question::{Difference, Question, compare};
pub use reading::{Form, Measure};
pub use report::Report;
pub use store::{Bounds, Fingerprint};
pub use vector::Vector;
pub use verify::Refusal;
pub use veto::Veto;
