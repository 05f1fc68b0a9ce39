//! Training: recipes, the one loop, batch sources, advantages and losses, evaluation, the run folder.
//!
//! In reading order: a [`recipe`] names stages; [`run`] takes them one by one; [`training`] is the loop;
//! its work comes from a [`corpus`] or from [`rollout`]s by way of [`rl`]; [`eval`] measures the models.
//! There is no tensor here: a `learner` has them.

// Axes are part of names (`tokens_T`, `rewards_PG`), as everywhere in the field.
#![expect(non_snake_case, reason = "axes are part of names")]

pub mod recipe;
pub mod schedule;

pub mod run;
pub mod stage;
pub mod training;
pub mod watch;

pub mod batches;
pub mod corpus;
pub mod mixture;
pub mod supply;

pub mod advantage;
pub mod curriculum;
pub mod kl;
pub mod policy;
pub mod rl;
pub mod rollout;

pub mod eval;

pub mod checkpoint;
pub mod error;
pub mod ledger;
pub mod metrics;
pub mod plan;
mod reuse;
mod stopwatch;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
