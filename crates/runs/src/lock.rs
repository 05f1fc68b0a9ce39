//! The lock of a run folder.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use crate::error::{FileError, failed};

/// A run folder that no other process works in while this lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file holds the lock")] File);

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
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(FileError::Locked { folder: folder.to_owned() }),
            Err(TryLockError::Error(e)) => Err(failed(&path, "lock")(e)),
        }
    }
}
