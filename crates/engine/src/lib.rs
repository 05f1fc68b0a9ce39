//! The engine: a Qwen2 decoder with its own forward and backward pass, AdamW, a sampler with a key/value
//! cache, and Hugging Face checkpoints. It implements [`learner`] and knows nothing of problems.
//!
//! - `model`: the forward and backward pass, once, over `device`: the operations a device must offer
//! - `cpu`: those operations on the processor, and the sampler
//! - `kernels`: the vector arithmetic; the only unsafe code
//! - `profile`: where a step's time goes
//! - `checkpoint`, `layout`, `init`, `draw`, `learner`: files, tensor places, fresh weights, the choice of a
//!   token, the verbs
//!
//! Two promises hold throughout. A row's numbers depend on that row alone: the sampler's log-probabilities
//! are the trainer's, bit for bit. And the number of threads shows nowhere in a result.

// Axes are part of names (`tokens_T`, `logprobs_N`), as everywhere in the field.
#![allow(non_snake_case)]

mod checkpoint;
mod cpu;
mod device;
mod draw;
mod init;
mod kernels;
mod layout;
mod learner;
mod model;
mod profile;

pub use kernels::units::{Units, units};
pub use learner::{CpuFactory, CpuLearner, instruction_set};
pub use profile::{Clock, Operation, Profile, ceiling, profile};
