//! Files that only grow.

use std::{
    fs::{self, File},
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
    /// Opens a journal and cuts it off at a length in bytes, or starts it. What is kept is copied into a new file: a process
    /// that still has the old one open, because it was stopped and not killed, writes nothing into this one.
    ///
    /// # Errors
    /// If the system refuses, or the file is shorter than that.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, FileError> {
        let kept = || -> io::Result<Vec<u8>> {
            let mut content = match fs::read(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
                read => read?,
            };
            let length = content.len() as u64;
            if length < bytes {
                let reason = format!("it has {length} bytes, and the checkpoint knows of {bytes}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            content.truncate(bytes as usize);
            Ok(content)
        };
        files::write(path, &kept().map_err(failed(path, "resume"))?)?;
        let file = File::options().append(true).read(true).open(path).map_err(failed(path, "resume"))?;
        Ok(Self { path: path.to_owned(), file, bytes })
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

    /// A process that was stopped and wakes up after another went on in its place.
    #[test]
    fn who_still_has_the_old_file_open_writes_nothing_into_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut old = Journal::open(&path, 0).unwrap();
        old.push(&1).unwrap();
        let mut new = Journal::open(&path, 2).unwrap();
        old.push(&2).unwrap();
        new.push(&3).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n3\n");
        assert!(matches!(old.check(), Err(FileError::Replaced { .. })));
        new.check().unwrap();
    }
}
