//! The lock of a run folder.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use crate::{
    error::{FileError, failed},
    files,
};

/// A run folder that no other process works in while this lives.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the folder's lock. The system gives it back when the process ends, however it ends.
    ///
    /// # Errors
    /// If another process has it, or the system refuses.
    pub fn take(folder: &Path) -> Result<Self, FileError> {
        let path = folder.join(".lock");
        let file = File::options().create(true).write(true).truncate(false).open(&path);
        let file = file.map_err(failed(&path, "write"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, file }),
            Err(TryLockError::WouldBlock) => Err(FileError::Locked { folder: folder.to_owned() }),
            Err(TryLockError::Error(e)) => Err(failed(&path, "lock")(e)),
        }
    }

    /// Checks that the lock is still the folder's: if the folder was moved, removed or replaced, another process may work at
    /// its path.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(&self) -> Result<(), FileError> {
        files::check_same(&self.file, &self.path)
    }
}
