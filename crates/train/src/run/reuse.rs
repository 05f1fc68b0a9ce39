//! Stages taken from other run folders.
//!
//! A stage's key is the hash of all that determines it, so a finished stage with the same key is the stage that would be
//! trained here. Recipes that share a base model, and seeds that were run side by side, need it once.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use runs::{FileError, error::failed, files, records::StageInfo};

use super::done::{self, is_done};
use crate::{error::RunError, eval::Suite};

/// A stage that may lie finished in another run folder.
pub(super) struct Wanted<'a> {
    /// Its folder here.
    pub(super) folder: &'a Path,
    pub(super) key: &'a str,
    /// The suites that this recipe has.
    pub(super) suites: &'a [Suite],
    /// Whether this recipe evaluates milestones, too.
    pub(super) milestones: bool,
}

impl Wanted<'_> {
    /// Copies the stage from the first of these run folders that has it, and says which. Nothing is copied if the stage
    /// is finished here or nowhere.
    pub(super) fn take<'r>(&self, runs: &'r [PathBuf]) -> Result<Option<&'r Path>, RunError> {
        let Some(name) = self.folder.file_name() else { return Ok(None) };
        if is_done(self.folder) {
            return Ok(None);
        }
        for run in runs {
            let there = run.join("stages").join(name);
            // The name holds only the beginning of the key.
            if !is_done(&there) || files::read_json::<StageInfo>(&there.join("stage.json"))?.key != self.key {
                continue;
            }
            done::checkpoint(&there)?;
            let partial = files::begin_folder(self.folder)?;
            copy(&there, &partial)?;
            self.remove_foreign_suites(&partial.join("evals"))?;
            if is_done(self.folder) {
                // Finished here in the meantime. It is the same stage.
                files::remove_folder(&partial)?;
                return Ok(None);
            }
            files::publish(&partial, self.folder)?;
            return Ok(Some(run));
        }
        Ok(None)
    }

    /// Removes evaluations that this recipe does not ask for: the report shows all that it finds. (A suite of the same
    /// name that asks for something else is measured again, as in any run.)
    fn remove_foreign_suites(&self, evals: &Path) -> Result<(), FileError> {
        for path in files::list(evals)? {
            if path.is_dir() {
                if self.milestones {
                    self.remove_foreign_suites(&path)?;
                } else {
                    files::remove_folder(&path)?;
                }
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let suite = name.split('.').next().unwrap_or_default();
            if !self.suites.iter().any(|known| known.config.name == suite) {
                files::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Copies a folder without hidden files (parts of what is being written) and links.
fn copy(from: &Path, to: &Path) -> Result<(), FileError> {
    files::make_folder(to)?;
    for entry in fs::read_dir(from).map_err(failed(from, "read"))? {
        let entry = entry.map_err(failed(from, "read"))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed(&source, "read"))?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(failed(&source, "copy"))?;
            File::open(&target).and_then(|file| file.sync_all()).map_err(failed(&target, "write"))?;
        }
    }
    Ok(())
}
