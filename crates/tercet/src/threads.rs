//! The number of threads. Results never depend on it.

use clap::Args;

use crate::failure::Usage;

/// Flattened into every command that computes.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Threads {
    /// Number of threads; all cores by default. Results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Threads {
    /// Sets the thread pool of the process. Call it once, before anything computes.
    pub(crate) fn apply(self) -> anyhow::Result<Option<usize>> {
        if self.threads == Some(0) {
            return Err(Usage::error("--threads must be at least 1"));
        }
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        Ok(self.threads)
    }
}
