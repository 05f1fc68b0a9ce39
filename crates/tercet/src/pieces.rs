//! A file that is made piece by piece, and goes on where it was stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use runs::lines::Packing;

/// A file under its temporary name, NAME.partial; beside it NAME.journal says how far it is. It gets its name when
/// all pieces are there.
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
    pub(crate) fn open(path: &Path, made_from: &str) -> anyhow::Result<Self> {
        let fresh = Journal { made_from: made_from.to_owned(), pieces: 0, bytes: 0 };
        let earlier = fs::read_to_string(beside(path, "journal"));
        let earlier = earlier.ok().and_then(|text| serde_json::from_str::<Journal>(&text).ok());
        let open = || {
            let mut options = OpenOptions::new();
            let mut file = options.create(true).truncate(false).write(true).open(beside(path, "partial"))?;
            let length = file.metadata()?.len();
            let goes_on = |j: &Journal| j.made_from == made_from && j.bytes <= length;
            let journal = earlier.filter(goes_on).unwrap_or(fresh);
            file.set_len(journal.bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok::<_, std::io::Error>(Self { file, path: path.to_owned(), journal })
        };
        open().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Pieces that are there.
    pub(crate) fn count(&self) -> u64 {
        self.journal.pieces
    }

    /// Adds the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(piece).with_context(|| format!("cannot write {}", self.path.display()))?;
        self.journal.pieces += 1;
        self.journal.bytes += piece.len() as u64;
        Ok(())
    }

    /// Makes sure that what is there survives.
    pub(crate) fn keep(&mut self) -> anyhow::Result<()> {
        let (journal, new) = (beside(&self.path, "journal"), beside(&self.path, "journal.new"));
        let text = serde_json::to_string(&self.journal)?;
        let kept = self.file.sync_data().and_then(|()| fs::write(&new, text));
        kept.and_then(|()| fs::rename(&new, &journal))
            .with_context(|| format!("cannot write {}", journal.display()))
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let named = self.file.sync_all().and_then(|()| fs::rename(beside(&self.path, "partial"), &self.path));
        named.with_context(|| format!("cannot write {}", self.path.display()))?;
        match fs::remove_file(beside(&self.path, "journal")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }
}

/// A file of one piece.
pub(crate) fn write(path: &Path, text: Vec<u8>) -> anyhow::Result<()> {
    let mut file = Pieces::open(path, "")?;
    file.push(&Packing::of(path).pack(text)?)?;
    file.finish()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
