//! Reinforcement learning: rollouts, rewards, advantages, credit, policy losses.
//!
//! Axes: `_P` prompt, `_G` response in the prompt's group, `_T` token, `_V` vocabulary.

mod advantage;
mod credit;
mod curriculum;
mod kl;
mod micro_batch;
mod moments;
mod policy;
mod reinforcement;
mod rollout_metrics;
mod row;
mod sampler;
mod scored;

pub use advantage::{Advantage, GroupKind, advantages, focus, group_kind};
pub use curriculum::{Belief, Curriculum};
pub use kl::{Kl, KlAt, KlKind, KlPlace};
pub use policy::{Aggregation, Clip, PolicyObjective, PolicyStatistics, ResponseTokens, Surrogate};
pub use reinforcement::Reinforcement;
pub use sampler::{Group, RolloutSampler, Rollouts, Tried};
pub use scored::ScoredResponse;
