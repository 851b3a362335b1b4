//! What is observed: the [`metrics`] a gateway keeps of itself, the [`live`] figures of the last day and month, the
//! [`resources`] that it takes and whether it loses any ([`leak`]), the [`stopwatch`] that tells its own time from its
//! providers', the [`alerts`] that call for somebody, [`forecast`]s, and [`advice`] on what to change.
//!
//! It does not know how a figure is shown, nor where requests come from, nor how anybody is reached, nor how a
//! configuration is written.

pub mod advice;
pub mod alerts;
pub mod forecast;
pub mod leak;
pub mod live;
pub mod metrics;
pub mod moment;
pub mod past;
pub mod protobuf;
pub mod resources;
pub mod stopwatch;
