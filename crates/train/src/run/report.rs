//! The report of a run that several processes work in: the last one makes it.

use std::path::Path;

use runs::{FileError, Process, files, records::FORMAT};
use serde::{Deserialize, Serialize};

use super::{Run, wait};
use crate::error::RunError;

/// `.locks/report.json`: what the last report of the folder was made of, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reported {
    format: u32,
    process: Process,
    /// Hash of what it was made of.
    of: String,
}

const FILE: &str = ".locks/report.json";

/// What is known of the last report.
pub(super) fn last(run: &Path) -> Result<Option<Reported>, FileError> {
    files::read_optional(&run.join(FILE))
}

impl Run<'_> {
    /// Makes the report by `make`, unless another process has made the same one since this run was opened. Says whether it
    /// was made.
    ///
    /// # Errors
    /// If a file cannot be read or written, or what `make` says.
    pub fn report<E: From<RunError>>(&self, make: impl FnOnce(&Path) -> Result<(), E>) -> Result<bool, E> {
        let lock = wait(&self.locks, "report")?;
        let known = last(&self.folder).map_err(RunError::from)?;
        let of = self.reported_of()?;
        let is_new = known != self.reported && known.is_some_and(|known| known.of == of);
        if is_new && self.folder.join("report.html").is_file() {
            return Ok(false);
        }
        make(&self.folder)?;
        let reported = Reported { format: FORMAT, process: Process::this(), of };
        files::write_json(&self.folder.join(FILE), &reported).map_err(RunError::from)?;
        drop(lock);
        Ok(true)
    }

    /// Hash of what a report is made of now: the program, the recipe, and every stage's end and evaluations.
    fn reported_of(&self) -> Result<String, RunError> {
        let mut hasher = blake3::Hasher::new();
        let mut add = |path: &Path| -> Result<(), RunError> {
            if path.is_file() {
                hasher.update(path.to_string_lossy().as_bytes());
                hasher.update(&std::fs::read(path).map_err(runs::error::failed(path, "read"))?);
            }
            Ok(())
        };
        add(&self.folder.join("recipe.toml"))?;
        for stage in files::list(&self.folder.join("stages"))? {
            add(&stage.join("done.json"))?;
            for file in files::list(&stage.join("evals"))? {
                if file.extension().is_some_and(|end| end == "json") {
                    add(&file)?;
                }
            }
        }
        hasher.update(self.options.revision.as_bytes());
        Ok(hasher.finalize().to_hex().to_string())
    }
}
