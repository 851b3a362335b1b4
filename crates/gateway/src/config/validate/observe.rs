//! What is seen of requests: bounds that fit a process.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Judge;
use crate::config::Observe;
use crate::config::quantity::{Size, Span};
use crate::config::raw;
use crate::config::tree::Path;

/// What may be called slow.
const SLOW: RangeInclusive<Span> = Span(Duration::from_millis(1))..=Span::seconds(3600);
/// What the requests that are kept may take.
const BYTES: RangeInclusive<Size> = Size(64 << 10)..=Size(1 << 30);
/// What the figures may take in memory, and on disk.
const FIGURES: RangeInclusive<Size> = Size(1 << 20)..=Size(4 << 30);
const HISTORY: RangeInclusive<Size> = Size(1 << 20)..=Size(1 << 40);

impl Judge<'_> {
    pub(super) fn observe(&mut self, raw: &raw::Observe) -> Observe {
        let at = Path::of(&["observe"]);
        let bytes = self.size(&at.key("requests_bytes_max"), raw.requests_bytes_max, BYTES);
        Observe {
            enabled: raw.enabled,
            slow: self.duration(&at.key("slow"), raw.slow, SLOW),
            requests: raw.requests as usize,
            requests_slow: raw.requests_slow as usize,
            requests_failed: raw.requests_failed as usize,
            requests_bytes_max: bytes,
            figures_bytes_max: self.size(&at.key("figures_bytes_max"), raw.figures_bytes_max, FIGURES),
            history_days: raw.history_days,
            history_bytes_max: self.size(&at.key("history_bytes_max"), raw.history_bytes_max, HISTORY) as u64,
        }
    }
}
