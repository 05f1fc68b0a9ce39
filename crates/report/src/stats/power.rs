//! What scale would see an effect.

use serde::{Deserialize, Serialize};

/// How large an effect this scale sees, and what scale a given effect needs. Normal approximation,
/// 80% power at the two-sided 5% level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Smallest true difference that this many problems and samples see four times in five.
    pub detectable: f64,
    /// Problems needed to see `effect`, at the same samples a problem; `None` if `effect` is 0.
    pub problems_needed: Option<u64>,
    /// Share of the variance that more samples a problem would remove, the rest being between problems.
    pub from_sampling: f64,
}

/// z of 97.5% plus z of 80%.
const Z: f64 = 1.959_964 + 0.841_621;

/// The power of a paired comparison. `differences_P` holds one mean difference a problem and
/// `sampling_variance_P` how much of each problem's variance is due to its finite samples (for pass@1
/// of two models: the sum of p(1−p)/n). `effect` is the difference one would like to see.
///
/// `None` with fewer than two problems, or if all differences are alike: then the spread is unknown.
pub fn power(differences_P: &[f64], sampling_variance_P: &[f64], effect: f64) -> Option<Power> {
    let n = differences_P.len() as f64;
    if differences_P.len() < 2 || differences_P.len() != sampling_variance_P.len() {
        return None;
    }
    let mean = differences_P.iter().sum::<f64>() / n;
    let variance = differences_P.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if variance <= 0.0 {
        return None;
    }
    let sampling = sampling_variance_P.iter().sum::<f64>() / n;
    let needed = Z.powi(2) * variance / effect.powi(2);
    Some(Power {
        detectable: Z * (variance / n).sqrt(),
        problems_needed: needed.is_finite().then_some(needed.ceil().max(2.0) as u64),
        from_sampling: (sampling / variance).min(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_four_times_the_problems_for_half_the_effect() {
        let d: Vec<f64> = (0..100).map(|i| f64::from(i % 5) / 10.0).collect();
        let at = |effect| power(&d, &vec![0.01; 100], effect).and_then(|p| p.problems_needed);
        let (Some(large), Some(small)) = (at(0.1), at(0.05)) else { panic!("no estimate") };
        assert!((small as f64 / large as f64 - 4.0).abs() < 0.3, "{small} {large}");
    }

    #[test]
    fn the_detectable_effect_needs_the_problems_at_hand() {
        let d: Vec<f64> = (0..100).map(|i| f64::from(i % 5) / 10.0).collect();
        let seen = power(&d, &vec![0.0; 100], 0.1).map_or(0.0, |p| p.detectable);
        assert_eq!(power(&d, &vec![0.0; 100], seen).and_then(|p| p.problems_needed), Some(100));
        assert_eq!(power(&d, &vec![0.0; 100], 0.0).and_then(|p| p.problems_needed), None);
    }
}
