//! What is observed: the [`metrics`] a gateway keeps of itself and the [`stopwatch`] that tells its
//! own time from its providers'.
//!
//! It does not know how a figure is shown, nor where requests come from. Live percentiles, alerts,
//! forecasts and advice have their place here and come with their issues.

pub mod metrics;
pub mod stopwatch;
