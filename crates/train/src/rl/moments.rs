//! Mean and standard deviation.

/// Mean and sample standard deviation of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    /// The mean; 0 for no numbers.
    pub(super) mean: f64,
    /// The sample standard deviation (n − 1); 0 for fewer than two numbers.
    pub(super) std: f64,
}

/// Added to a standard deviation before it divides, so that one close to 0 does not blow an advantage up. The value is
/// that of GRPO's published implementations.
pub(super) const STD_EPSILON: f64 = 1e-6;

impl Moments {
    pub(super) fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self { mean: 0.0, std: 0.0 };
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        if values.len() < 2 {
            return Self { mean, std: 0.0 };
        }
        let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, std: (square / (values.len() - 1) as f64).sqrt() }
    }
}
