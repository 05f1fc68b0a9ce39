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
    /// Nothing that was evaluated is there any more, and the run has a report of what was.
    #[error("`{folder}` has no evaluations any more: its earlier report stays as it is")]
    Gone {
        /// The run folder.
        folder: std::path::PathBuf,
    },
    /// The arm that the others should be compared with is none of the run's.
    #[error("there is no arm `{arm}` among {known}")]
    NoArm {
        /// The arm asked for.
        arm: String,
        /// The arms of the run.
        known: String,
    },
    /// There is nothing to report on.
    #[error("no run is named")]
    NoRuns,
    /// A link leads out of the run folder.
    #[error("`{path}` leads out of the run folder: nothing is written there")]
    Outside {
        /// The link.
        path: std::path::PathBuf,
    },
    /// A page could not be rendered: a template and its data disagree.
    #[error("the page could not be rendered: {0}")]
    Template(#[from] minijinja::Error),
}
