//! What is observed: the [`metrics`] a gateway keeps of itself, the [`live`] figures of the last day and month, and
//! the [`stopwatch`] that tells its own time from its providers'.
//!
//! It does not know how a figure is shown, nor where requests come from. Alerts, forecasts and advice have their
//! place here and come with their issues.

pub mod live;
pub mod metrics;
pub mod moment;
pub mod stopwatch;
