//! What a stage is trained on: where problems come from, in which shares, and how they become batches of tokens.

mod corpus;
mod cross_entropy;
mod document;
mod files;
mod generator;
mod micro_batches;
mod mixture;
mod reading;
mod supply;
mod tokenizer;

pub use corpus::Corpus;
pub use cross_entropy::CrossEntropy;
pub(crate) use document::{Document, batch_of};
pub use files::DataFile;
pub(crate) use files::check_cells;
pub(crate) use generator::generator;
pub(crate) use micro_batches::micro_batches;
pub use mixture::{CellCount, Mixture};
pub use reading::Reading;
pub use supply::Supply;
pub(crate) use tokenizer::{tokenizer, tokenizer_cells};
