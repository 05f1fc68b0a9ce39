//! What is measured on problems and on the judge: text read back, data sets audited, solutions changed.

pub mod audit;
pub mod compare;
mod load;
pub mod mutate;
pub mod parse;
