//! Stages taken from other run folders.
//!
//! A stage's key is the hash of all that determines it, so a finished stage with the same key is the stage that
//! would be trained here: recipes that share a base model, and seeds that were run side by side, need it once.

use std::{
    fs::{self, File},
    path::Path,
};

use runs::records::StageInfo;
use runs::{FileError, error::failed, files};

use crate::{
    error::RunError,
    stage::{DONE_FILE, Job},
};

/// Copies a finished stage from the first of the job's other run folders that has it; says which. A stage that is finished
/// here, or nowhere, stays as it is.
pub(crate) fn take<'a>(job: &Job<'a>) -> Result<Option<&'a Path>, RunError> {
    let folder = job.folder;
    let Some(name) = folder.file_name() else { return Ok(None) };
    if folder.join(DONE_FILE).exists() {
        return Ok(None);
    }
    for run in job.reuse {
        let there = run.join("stages").join(name);
        if !there.join(DONE_FILE).exists() {
            continue;
        }
        // The name holds only the beginning of the key.
        if files::read_json::<StageInfo>(&there.join("stage.json"))?.key != job.key {
            continue;
        }
        let partial = files::begin_folder(folder)?;
        copy(&there, &partial)?;
        leave_out_foreign_suites(&partial.join("evals"), job)?;
        files::publish(&partial, folder)?;
        return Ok(Some(run));
    }
    Ok(None)
}

/// Removes what the other recipe measured and this one does not ask for: the report shows all that it finds. (A suite of
/// the same name that asks for something else is measured again, as in any run.)
fn leave_out_foreign_suites(evals: &Path, job: &Job<'_>) -> Result<(), FileError> {
    if !evals.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(evals).map_err(failed(evals, "read"))? {
        let entry = entry.map_err(failed(evals, "read"))?;
        let (path, name) = (entry.path(), entry.file_name());
        let suite = name.to_string_lossy();
        let suite = suite.split('.').next().unwrap_or_default();
        if path.is_dir() {
            if job.stage.stage.evaluate_milestones {
                leave_out_foreign_suites(&path, job)?;
            } else {
                files::remove_folder(&path)?;
            }
        } else if !job.suites.iter().any(|known| known.config.name == suite) {
            fs::remove_file(&path).map_err(failed(&path, "remove"))?;
        }
    }
    Ok(())
}

/// Copies what is in a folder, hidden files (parts of what is being written) and links left out.
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
