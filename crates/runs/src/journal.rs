//! Files that only grow.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    error::{FileError, failed},
    files, lines,
};

/// A file that only grows, one JSON value per line.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Journal {
    /// Opens a journal and cuts it off at a length in bytes, or starts it.
    ///
    /// # Errors
    /// If the system refuses, or the file is shorter than that.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, FileError> {
        let open = || -> io::Result<File> {
            let file = File::options().create(true).append(true).read(true).open(path)?;
            let length = file.metadata()?.len();
            if length < bytes {
                let reason = format!("it has {length} bytes, and the checkpoint knows of {bytes}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            file.set_len(bytes)?;
            Ok(file)
        };
        Ok(Self { path: path.to_owned(), file: open().map_err(failed(path, "resume"))?, bytes })
    }

    /// Appends a value.
    ///
    /// # Errors
    /// If the system refuses, or the value has no JSON form.
    pub fn push<T: Serialize>(&mut self, value: &T) -> Result<(), FileError> {
        let line = lines::to_bytes(&self.path, std::slice::from_ref(value))?;
        self.file.write_all(&line).map_err(failed(&self.path, "write"))?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Checks that the file is still the one that was opened, and holds what was written.
    ///
    /// # Errors
    /// If it is another, is gone, or has another length.
    pub fn check(&self) -> Result<(), FileError> {
        files::check_same(&self.file, &self.path)?;
        let found = self.file.metadata().map_err(failed(&self.path, "read"))?.len();
        if found == self.bytes {
            return Ok(());
        }
        Err(FileError::Length { path: self.path.clone(), found, known: self.bytes })
    }

    /// Length so far, after everything has reached the disk.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn sync(&mut self) -> Result<u64, FileError> {
        self.file.sync_all().map_err(failed(&self.path, "write"))?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_happens_to_an_open_journal_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut journal = Journal::open(&path, 0).unwrap();
        journal.push(&1).unwrap();
        journal.check().unwrap();
        // Shortened, lengthened, removed, and another in its place.
        File::options().write(true).open(&path).unwrap().set_len(1).unwrap();
        assert!(matches!(journal.check(), Err(FileError::Length { found: 1, known: 2, .. })));
        File::options().append(true).open(&path).unwrap().write_all(b"\n2\n").unwrap();
        assert!(matches!(journal.check(), Err(FileError::Length { found: 4, .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(journal.check(), Err(FileError::Replaced { .. })));
        fs::write(&path, "1\n").unwrap();
        assert_eq!(matches!(journal.check(), Err(FileError::Replaced { .. })), cfg!(unix));
    }

    #[test]
    fn the_lock_of_a_folder_that_was_moved_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let [run, moved] = ["run", "moved"].map(|name| dir.path().join(name));
        fs::create_dir(&run).unwrap();
        let lock = crate::Lock::take(&run).unwrap();
        lock.check().unwrap();
        fs::rename(&run, &moved).unwrap();
        assert!(matches!(lock.check(), Err(FileError::Replaced { .. })));
        // Another process begins at the same path.
        fs::create_dir(&run).unwrap();
        let _other = crate::Lock::take(&run).unwrap();
        assert_eq!(matches!(lock.check(), Err(FileError::Replaced { .. })), cfg!(unix));
    }
}
