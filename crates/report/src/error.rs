//! What can go wrong with a run folder.

/// A failure to read or write a run folder; a lowercase fragment that finishes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be read, written or understood.
    #[error(transparent)]
    File(#[from] runs::FileError),
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
