//! Reads run folders and says what happened: statistics with intervals, verdicts, tables, figures, one
//! self-contained HTML file. Knows no model and never trains; the same folder gives the same bytes.

#![expect(non_snake_case, reason = "axes are part of names (`values_SP`), as everywhere in the field")]

pub mod chart;
pub mod claims;
mod columns;
pub mod comparisons;
pub mod draw;
pub mod error;
pub mod figures;
pub mod html;
mod markdown;
pub mod measure;
pub mod rows;
#[cfg(feature = "serve")]
pub mod serve;
pub mod stats;
pub mod table;
pub mod together;
mod transcripts;
pub mod words;

pub use columns::columns;
pub use error::ReportError;
pub use table::{Table, table};
