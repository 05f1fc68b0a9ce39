//! Estimates with intervals. A problem is the unit: its samples are not independent of one another.
//!
//! Axes in names: `_S` seed, `_P` problem.

mod bootstrap;
mod estimators;
mod power;

pub use bootstrap::{Bootstrap, Estimate};
pub use estimators::{cover, ks, maj_at_k, pass_at_k, pass_pow_k};
pub use power::{Ends, Power, Scale, power};
