#![doc = include_str!("../README.md")]
//!
//! ## Where things are
//!
//! - `model`: the forward and backward pass, once, over `device`: the operations a device must offer
//! - `cpu`: those operations on the processor, and the sampler
//! - `kernels`: the vector arithmetic; the only unsafe code
//! - `profile`: where a step's time goes
//! - `checkpoint`, `layout`, `init`, `draw`, `verbs`: files, tensor places, fresh weights, the choice of a
//!   token, the verbs

#![expect(
    non_snake_case,
    reason = "axes are part of names (`tokens_T`, `logprobs_N`), as everywhere in the field"
)]

mod checkpoint;
mod cpu;
mod device;
mod draw;
mod init;
mod kernels;
mod layout;
mod model;
mod profile;
mod verbs;

pub use ::learner;
pub use kernels::units::{Units, units};
pub use profile::{Clock, Operation, Profile, ceiling, profile};
pub use verbs::{CpuFactory, CpuLearner, instruction_set};
