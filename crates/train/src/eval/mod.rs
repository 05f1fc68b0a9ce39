//! Evaluation: n samples of every problem of a fixed suite, each verified.
//!
//! The problems of a suite are from the test split and the same for every model. Sample `s` of problem `i` draws from the
//! same random stream whatever the model: differences between models are paired.

mod elsewhere;
mod evaluator;
mod likelihood;
mod one_model;
mod row;
mod stored;
mod suite;

pub use elsewhere::{Elsewhere, Origin};
pub use evaluator::Evaluator;
pub use likelihood::gold_nll;
pub use one_model::keep_to_model;
pub use stored::{Evaluated, judge_again};
pub use suite::Suite;
pub(crate) use suite::sampling;
