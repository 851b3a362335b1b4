//! What is observed: the [`metrics`] a gateway keeps of itself, the [`live`] figures of the last day and month, the
//! [`resources`] that it takes and whether it loses any ([`leak`]), the [`stopwatch`] that tells its own time from its
//! providers', the [`alerts`] that call for somebody, and [`forecast`]s.
//!
//! It does not know how a figure is shown, nor where requests come from, nor how anybody is reached. Advice has its
//! place here and comes with its issue.

pub mod alerts;
pub mod forecast;
pub mod leak;
pub mod live;
pub mod metrics;
pub mod moment;
pub mod past;
pub mod resources;
pub mod stopwatch;
