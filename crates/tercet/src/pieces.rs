//! A file that is made piece by piece. A command that was stopped resumes it.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use runs::error::failed;
use runs::{FileError, files};
use serde::{Deserialize, Serialize};

/// A file under its temporary name, NAME.partial. NAME.journal beside it says how far it is. It gets its name when all
/// pieces are there.
pub(crate) struct Pieces {
    file: File,
    path: PathBuf,
    journal: Journal,
}

/// What is known to be on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Journal {
    /// What the file is made from: other pieces are not continued.
    made_from: String,
    pieces: u64,
    bytes: u64,
}

impl Pieces {
    /// Opens the file, with the pieces of an earlier run that made it from the same.
    pub(crate) fn open(path: &Path, made_from: &str) -> Result<Self, FileError> {
        let fresh = Journal { made_from: made_from.to_owned(), pieces: 0, bytes: 0 };
        // A journal that cannot be read is of no use: the file is begun again.
        let earlier: Option<Journal> = files::read_json(&beside(path, "journal")).ok();
        let open = || -> io::Result<Self> {
            let mut options = OpenOptions::new();
            let mut file = options.create(true).truncate(false).write(true).open(beside(path, "partial"))?;
            let length = file.metadata()?.len();
            let resumes = |j: &Journal| j.made_from == made_from && j.bytes <= length;
            let journal = earlier.filter(resumes).unwrap_or(fresh);
            file.set_len(journal.bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(Self { file, path: path.to_owned(), journal })
        };
        open().map_err(failed(path, "write"))
    }

    /// Opens the file without what an earlier run left.
    pub(crate) fn begin(path: &Path) -> Result<Self, FileError> {
        files::remove_file(&beside(path, "journal"))?;
        Self::open(path, "")
    }

    /// Pieces that are there.
    pub(crate) fn count(&self) -> u64 {
        self.journal.pieces
    }

    /// Adds the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), FileError> {
        self.file.write_all(piece).map_err(failed(&self.path, "write"))?;
        self.journal.pieces += 1;
        self.journal.bytes += piece.len() as u64;
        Ok(())
    }

    /// Makes sure that what is there survives.
    pub(crate) fn keep(&mut self) -> Result<(), FileError> {
        self.file.sync_data().map_err(failed(&self.path, "write"))?;
        files::write_json(&beside(&self.path, "journal"), &self.journal)
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> Result<(), FileError> {
        self.file.sync_all().map_err(failed(&self.path, "write"))?;
        files::rename(&beside(&self.path, "partial"), &self.path)?;
        files::remove_file(&beside(&self.path, "journal"))
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
