//! Files that only grow.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    error::{FileError, failed},
    lines,
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

    /// Length so far, after everything has reached the disk.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn sync(&mut self) -> Result<u64, FileError> {
        self.file.sync_all().map_err(failed(&self.path, "write"))?;
        Ok(self.bytes)
    }
}
