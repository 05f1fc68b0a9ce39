#![doc = include_str!("../README.md")]
#![expect(non_snake_case, reason = "axes are part of names (`tokens_T`), as everywhere in the field")]

mod batch;
mod model;
mod objective;
mod optimizer;
mod sampling;
mod verbs;

pub use batch::Batch;
pub use model::{ModelConfig, PARAMETERS_MAX};
pub use objective::{Distributions, ForwardBackward, Objective, ReferenceKl};
pub use optimizer::{AdamW, OptimStep};
pub use sampling::{Prompt, Sample, Sampling, StopReason, uniform};
pub use verbs::{Learner, LearnerError, LearnerFactory, Transfer};
