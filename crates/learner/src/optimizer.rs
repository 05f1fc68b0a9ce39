//! The optimizer step.

use serde::{Deserialize, Serialize};

/// AdamW with decoupled weight decay on matrices only and global-norm clipping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate of this step.
    pub lr: f32,
    /// First-moment decay.
    pub beta1: f32,
    /// Second-moment decay.
    pub beta2: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// Decay of tensors with two or more dimensions.
    pub weight_decay: f32,
    /// Largest global gradient norm; 0 turns clipping off.
    pub clip_norm: f32,
}

/// What an optimizer step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimStep {
    /// Global norm of the accumulated gradient before clipping.
    pub grad_norm: f64,
    /// Whether the gradient was finite and the step was applied. A step with a non-finite gradient
    /// changes nothing but clears the gradient; the loop counts and reports it.
    pub applied: bool,
}
