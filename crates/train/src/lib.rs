//! Training: recipes, the training loop, corpora and rollouts, advantages and policy losses, evaluation, runs.
//!
//! In reading order: a [`recipe`] names stages, and [`run`] takes them one by one. [`training`] is the loop. Its work
//! comes from a corpus ([`data`]) or from rollouts ([`rl`]). [`eval`] measures the models. No tensor is here: the learner
//! has them.

#![expect(
    non_snake_case,
    reason = "axes are part of names (`tokens_T`, `rewards_PG`), as everywhere in the field"
)]

pub mod data;
pub mod error;
pub mod eval;
pub mod ledger;
pub mod metrics;
pub mod observer;
mod outcome;
pub mod recipe;
pub mod rl;
pub mod run;
pub mod schedule;
mod stopwatch;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
pub mod training;
pub mod work;

pub use outcome::Outcome;
