//! The one place that looks at a clock. What it measures goes to `timings.jsonl` and to progress, never
//! into a result.

use std::time::Instant;
#[cfg(feature = "tensorboard")]
use std::time::{SystemTime, UNIX_EPOCH};

/// A running stopwatch.
pub(crate) struct Stopwatch(Instant);

/// Starts a stopwatch.
#[expect(clippy::disallowed_methods, reason = "the one place that looks at a clock")]
pub(crate) fn start() -> Stopwatch {
    Stopwatch(Instant::now())
}

impl Stopwatch {
    /// Seconds since the start; never 0, so that rates stay finite.
    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64().max(1e-9)
    }
}

/// Seconds since 1970, for event files.
#[cfg(feature = "tensorboard")]
#[expect(clippy::disallowed_methods, reason = "the one place that looks at a clock")]
pub(crate) fn wall_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
