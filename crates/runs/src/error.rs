//! What can go wrong with the files of a run folder.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A file could not be read, written or understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    #[error("cannot {action} `{path}`: {source}")]
    System {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The content is not what it should be.
    #[error("`{path}` is damaged: {}{reason}", line.map_or_else(String::new, |line| format!("line {line}: ")))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1, of a file of lines.
        line: Option<usize>,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of a file that others wrote cannot be read.
    #[error("line {line} of `{path}`: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by a program that knows another format.
    #[error("`{path}` has format {found}; this program reads format {known}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The version it carries.
        found: u32,
        /// The version that this program knows.
        known: u32,
    },
    /// A file that is in use is not at its place any more.
    #[error(
        "`{path}` was removed, moved or replaced while it was in use: nothing more is written there; the same command goes \
         on from the last checkpoint that is left"
    )]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// A file that only grows has another length than was written.
    #[error("`{path}` has {found} bytes instead of {known}: something else writes to it, or has cut it off")]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// What was written.
        known: u64,
    },
    /// Another process works in the run folder.
    #[error("another process works in `{folder}`: wait for it to end, or choose another folder")]
    Locked {
        /// The run folder.
        folder: PathBuf,
    },
}

impl FileError {
    /// Whether the system refused a file that is there, e.g. for want of permission: nothing is known of its content then.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::System { source, .. } if source.kind() != io::ErrorKind::NotFound)
    }

    /// The error where the file is one of a run: then a line that cannot be read is damage.
    pub(crate) fn into_damage(self) -> Self {
        match self {
            Self::Line { path, line, reason } => Self::Damaged { path, line: Some(line), reason },
            other => other,
        }
    }
}

/// Turns a system error at a path into a [`FileError`].
pub fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError::System { path, action, source }
}

/// A file whose content is not what it should be.
pub fn damaged(path: &Path, reason: &dyn ToString) -> FileError {
    FileError::Damaged { path: path.to_owned(), line: None, reason: reason.to_string() }
}

/// A line, counted from 1, that is not what it should be.
pub(crate) fn damaged_line(path: &Path, line: usize, reason: &dyn ToString) -> FileError {
    FileError::Damaged { path: path.to_owned(), line: Some(line), reason: reason.to_string() }
}

/// A line, counted from 1, of a file that others wrote.
pub(crate) fn bad_line(path: &Path, line: usize, reason: &dyn ToString) -> FileError {
    FileError::Line { path: path.to_owned(), line, reason: reason.to_string() }
}
