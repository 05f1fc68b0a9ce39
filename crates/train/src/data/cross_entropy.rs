//! The loss of pre-training and mid-training.

use learner::Objective;

/// Next-token cross-entropy with a weight for each token: `Σ w·(−log p) / Σ w` over the whole optimizer step.
#[derive(Debug, Clone)]
pub struct CrossEntropy {
    gradient_T: Vec<f32>,
}

impl CrossEntropy {
    /// `weights_T` are the token weights of one micro-batch (0 for the first token of each sequence). `total` is their
    /// sum over all micro-batches of the optimizer step.
    pub fn new(weights_T: &[f32], total: f64) -> Self {
        let gradient_T = weights_T.iter().map(|w| (-f64::from(*w) / total) as f32).collect();
        Self { gradient_T }
    }
}

impl Objective for CrossEntropy {
    fn gradient(&self, logprobs_T: &[f32], gradient_T: &mut [f32]) -> f64 {
        gradient_T.copy_from_slice(&self.gradient_T);
        let terms = logprobs_T.iter().zip(&self.gradient_T);
        terms.map(|(logprob, weight)| f64::from(*logprob) * f64::from(*weight)).sum()
    }

    fn constant_gradient(&self) -> Option<&[f32]> {
        Some(&self.gradient_T)
    }
}
