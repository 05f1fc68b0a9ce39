//! Where the checkpoints of a stage lie, and which weights they hold.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::{FileError, failed},
    files,
};

/// The folder of the checkpoints of a stage.
pub fn folder(stage: &Path) -> PathBuf {
    stage.join("checkpoints")
}

/// The checkpoint of a step.
pub fn of_step(stage: &Path, step: u64) -> PathBuf {
    folder(stage).join(format!("step-{step:06}"))
}

/// The checkpoints of a stage, oldest first.
///
/// # Errors
/// If the folder cannot be read.
pub fn list(stage: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let step = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok();
    let found = files::list(&folder(stage))?.into_iter();
    let mut found: Vec<(u64, PathBuf)> = found.filter_map(|path| Some((step(&path)?, path))).collect();
    found.sort();
    Ok(found)
}

/// The last checkpoint of a stage, whether the stage is finished or not.
///
/// # Errors
/// If the folder cannot be read.
pub fn last(stage: &Path) -> Result<Option<PathBuf>, FileError> {
    Ok(list(stage)?.pop().map(|(_, path)| path))
}

/// blake3 of the weights of a checkpoint, hexadecimal. Where another program wrote them in several files, it is the hash
/// of all of these in the order of their names.
///
/// # Errors
/// If the weights cannot be read.
pub fn weights_hash(path: &Path) -> Result<String, FileError> {
    let mut hasher = blake3::Hasher::new();
    for file in weights_files(path)? {
        hasher.update(&fs::read(&file).map_err(failed(&file, "read"))?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn weights_files(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let whole = path.join("model.safetensors");
    if whole.exists() {
        return Ok(vec![whole]);
    }
    let mut parts = files::list(path)?;
    parts.retain(|file| file.extension().is_some_and(|extension| extension == "safetensors"));
    // Without any, the one file is what is missing.
    Ok(if parts.is_empty() { vec![whole] } else { parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_in_several_files_is_known_by_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, weights: &str| fs::write(dir.path().join(name), weights).unwrap();
        write("model-00001-of-00002.safetensors", "1");
        write("model-00002-of-00002.safetensors", "2");
        let before = weights_hash(dir.path()).unwrap();
        assert_eq!(before, blake3::hash(b"12").to_hex().to_string());
        write("model-00002-of-00002.safetensors", "3");
        assert_ne!(weights_hash(dir.path()).unwrap(), before);
    }
}
