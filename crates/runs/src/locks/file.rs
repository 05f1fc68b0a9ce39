//! Locks of the file system: the system gives them back when the process ends.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{Process, read_process};
use crate::{
    error::{FileError, failed},
    files,
};

/// A locked file that says who holds it. It is removed when it is given back.
#[derive(Debug)]
pub(super) struct FileLock {
    path: PathBuf,
    file: File,
}

impl FileLock {
    /// Locks the file, or says who holds it.
    pub(super) fn take(path: &Path) -> Result<Result<Self, Option<Process>>, FileError> {
        loop {
            let file = File::options().create(true).read(true).write(true).truncate(false).open(path);
            let file = file.map_err(failed(path, "write"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Err(read_process(path))),
                Err(TryLockError::Error(e)) => return Err(failed(path, "lock")(e)),
            }
            // The one who held it may have removed it in between.
            if files::check_same(&file, path).is_ok() {
                let mut lock = Self { path: path.to_owned(), file };
                lock.sign().map_err(failed(path, "write"))?;
                return Ok(Ok(lock));
            }
        }
    }

    /// Writes down who holds it.
    fn sign(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(&serde_json::to_vec(&Process::this())?)
    }

    pub(super) fn check(&self) -> Result<(), FileError> {
        files::check_same(&self.file, &self.path)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if self.check().is_ok() {
            // Still locked: nobody else takes it for theirs. A file that stays is only clutter.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a process works in a run folder by locks of the file system.
pub(super) fn is_worked_in(run: &Path) -> bool {
    let file = File::options().write(true).open(run.join(".lock"));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Whether the file system has locks at all.
pub(super) fn works(folder: &Path) -> Result<bool, FileError> {
    let path = folder.join("probe");
    let file = File::options().create(true).write(true).truncate(false).open(&path);
    let file = file.map_err(failed(&path, "write"))?;
    let works = !matches!(file.try_lock_shared(), Err(TryLockError::Error(_)));
    files::remove_file(&path)?;
    Ok(works)
}

/// A run folder that this process works in, beside others of its kind. A program that wants a folder for itself finds it
/// locked.
#[derive(Debug)]
pub(super) struct Shared {
    _file: File,
}

impl Shared {
    /// Joins those who work in a run folder, and says whether it is the only one. Only for the holder of the lock of
    /// [`super::OPENING`].
    pub(super) fn join(run: &Path) -> Result<(Self, bool), FileError> {
        let path = run.join(".lock");
        let file = File::options().create(true).write(true).truncate(false).open(&path);
        let file = file.map_err(failed(&path, "write"))?;
        let is_alone = match file.try_lock() {
            Ok(()) => {
                file.unlock().map_err(failed(&path, "lock"))?;
                true
            }
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(e)) => return Err(failed(&path, "lock")(e)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok((Self { _file: file }, is_alone)),
            Err(TryLockError::WouldBlock) => Err(FileError::Locked { folder: run.to_owned() }),
            Err(TryLockError::Error(e)) => Err(failed(&path, "lock")(e)),
        }
    }
}

/// Who holds the lock: nobody, or somebody who says who they are or does not.
#[expect(clippy::option_option, reason = "held or not, and by whom if that is known")]
pub(super) fn holder(path: &Path) -> Option<Option<Process>> {
    let file = File::open(path).ok()?;
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| read_process(path))
}
