//! The verbs between a training loop and a model. The loop is plain host code over plain arrays; every tensor lives
//! behind these verbs, so a learner on another machine or device can stand in for the local one.
//!
//! Axes in names: `_P` prompt, `_S` sequence (document), `_T` token of the flat batch, `_V` vocabulary.
//!
//! ```
//! use tercet_learner::Batch;
//! let mut batch = Batch::default();
//! batch.push(&[5, 6, 7]);
//! batch.push(&[8, 9]);
//! assert_eq!(batch.tokens_T, [5, 6, 7, 8, 9]);
//! assert_eq!(batch.sequences().collect::<Vec<_>>(), [0..3, 3..5]);
//! ```

#![expect(non_snake_case, reason = "axes are part of names (`tokens_T`), as everywhere in the field")]

mod batch;
mod model;
mod objective;
mod optimizer;
mod sampling;
mod verbs;

pub use batch::Batch;
pub use model::ModelConfig;
pub use objective::{ForwardBackward, Objective, ReferenceKl};
pub use optimizer::{AdamW, OptimStep};
pub use sampling::{Prompt, Sample, Sampling, StopReason};
pub use verbs::{Learner, LearnerError, LearnerFactory, Transfer};
