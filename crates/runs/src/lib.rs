//! The run folder: what training writes and what the report, the live page and `compare` read.
//!
//! [`records`] describes every file. [`Folder`] reads a whole folder; [`files`], [`lines`] and [`journal`] write and read
//! single files, so that a file under its final name is always whole.

pub mod checkpoints;
mod claim;
pub mod error;
pub mod files;
mod folder;
pub mod journal;
mod left_out;
pub mod lines;
mod lock;
mod metric;
pub mod ops;
pub mod records;
mod suite;

pub use claim::{Claim, Matched, MatchedBy, Point, Relation, Side};
pub use error::FileError;
pub use folder::{Folder, RecipeFile, Stage, series};
pub use left_out::LeftOut;
pub use lock::Lock;
pub use metric::{Faults, Metric, draws};
pub use ops::OpList;
pub use suite::{Evaluation, SuiteConfig};
