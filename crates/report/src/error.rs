//! What can go wrong with a run folder.

use std::path::{Path, PathBuf};

/// A failure to read or write a run folder; a lowercase fragment that finishes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what its format promises.
    #[error("{}{}: {reason}", path.display(), line.map_or_else(String::new, |l| format!(", line {l}")))]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1, for files of lines.
        line: Option<usize>,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder was written by a program that knows another format.
    #[error("{}: format {found}, this program reads format {known}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// The version it carries.
        found: u32,
        /// The version this program knows.
        known: u32,
    },
    /// The live page's address cannot be used.
    #[error("{address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A page could not be rendered: a template and its data disagree.
    #[error("the page could not be rendered: {0}")]
    Template(#[from] minijinja::Error),
}

impl ReportError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn malformed(path: &Path, line: Option<usize>, reason: &impl ToString) -> Self {
        Self::Malformed { path: path.to_owned(), line, reason: reason.to_string() }
    }
}
