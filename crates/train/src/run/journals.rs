//! The two files of a stage that grow with every step.

use std::{fs, path::Path};

use runs::{FileError, error::failed, files, journal::Journal, records::MetricsRow};

/// `metrics.jsonl` and `timings.jsonl`.
pub(super) struct Journals {
    pub(super) metrics: Journal,
    pub(super) timings: Journal,
}

impl Journals {
    /// Opens both files and cuts them off after `step`. The metrics then have `metrics_bytes` bytes.
    pub(super) fn open(folder: &Path, step: u64, metrics_bytes: u64) -> Result<Self, FileError> {
        let metrics = Journal::open(&folder.join("metrics.jsonl"), metrics_bytes)?;
        let path = folder.join("timings.jsonl");
        let mut kept = String::new();
        if path.exists() {
            let text = fs::read(&path).map_err(failed(&path, "read"))?;
            for line in String::from_utf8_lossy(&text).lines() {
                // A line that is not whole is left out: timings are worth no more.
                if serde_json::from_str::<MetricsRow>(line).is_ok_and(|row| row.step <= step) {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
            files::write(&path, kept.as_bytes())?;
        }
        Ok(Self { metrics, timings: Journal::open(&path, kept.len() as u64)? })
    }
}
