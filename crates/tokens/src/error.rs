//! What can go wrong with a tokenizer.

use std::path::PathBuf;

/// A tokenizer that could not be trained, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file is missing or unreadable.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no tokenizer of this program: damaged, or made with another pipeline.
    #[error("{path} is not a tokenizer of this program: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong with it.
        reason: String,
    },
    /// Another maker's tokenizer that cannot be used.
    #[error("{path} cannot be used: {reason}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        reason: String,
    },
    /// The vocabulary asked for has no room for the specials and the 256 bytes.
    #[error("a vocabulary of {asked} tokens is too small: specials and single bytes alone are {least}")]
    TooSmall {
        /// Tokens asked for.
        asked: usize,
        /// The fewest possible.
        least: usize,
    },
}
