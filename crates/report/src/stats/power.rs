//! What scale would see an effect.

use serde::{Deserialize, Serialize};

use super::bootstrap::TAIL;

/// How large an effect this scale sees, and what scale a given effect needs. Normal approximation,
/// 80% power at the two-sided 5% level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Smallest true difference that this many problems and seeds see four times in five.
    pub detectable: f64,
    /// What it takes to see the effect in question, at the same samples a problem; `None` if that is 0.
    pub needed: Option<Scale>,
}

/// Size of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Problems.
    pub problems: u64,
    /// Seeds.
    pub seeds: u64,
}

/// z of 97.5% plus z of 80%.
const Z: f64 = 1.959_964 + 0.841_621;

/// The parts of the variance of one difference.
struct Parts {
    between_seeds: f64,
    between_problems: f64,
    rest: f64,
}

/// The power of a comparison whose paired differences are `values_SP` (a row a seed, a column a problem).
/// `effect` is how far from the bound the difference is that one would like to see.
///
/// From one seed nothing is known of how much seeds differ: then the estimate is for this seed alone. With
/// several, the problems needed assume as many seeds as leave at most half of the variance to them.
///
/// Where all differences are alike, an effect is seen once it would show in one of the problems (see
/// [`Bootstrap::mean`](super::Bootstrap::mean)); that takes a `range`.
///
/// `None` with fewer than two problems, or if all differences are alike and have no range.
pub fn power(values_SP: &[Vec<f64>], range: Option<(f64, f64)>, effect: f64) -> Option<Power> {
    let (seeds, problems) = (values_SP.len() as f64, values_SP.first()?.len() as f64);
    let first = *values_SP[0].first()?;
    if values_SP.iter().flatten().all(|v| *v == first) {
        let (low, high) = range?;
        let reach = (first - low).max(high - first);
        let problems_needed = (TAIL.ln() / (1.0 - effect / reach).ln()).ceil();
        let needed = (effect > 0.0 && effect < reach)
            .then_some(Scale { problems: problems_needed as u64, seeds: values_SP.len() as u64 });
        return Some(Power { detectable: reach * (1.0 - TAIL.powf(1.0 / problems)), needed });
    }
    let Parts { between_seeds, between_problems, rest } = parts(values_SP)?;
    let variance = between_seeds / seeds + between_problems / problems + rest / (seeds * problems);
    if variance <= 0.0 {
        return None;
    }
    let allowed = (effect / Z).powi(2);
    let needed = || {
        let seeds = (2.0 * between_seeds / allowed).ceil().max(seeds);
        let problems = (between_problems + rest / seeds) / (allowed - between_seeds / seeds);
        let whole = |v: f64| (v.is_finite() && v < 1e15).then_some(v.ceil().max(2.0) as u64);
        Some(Scale { problems: whole(problems - 1e-9)?, seeds: seeds as u64 })
    };
    Some(Power { detectable: Z * variance.sqrt(), needed: (allowed > 0.0).then(needed).flatten() })
}

/// Analysis of variance with seeds and problems crossed.
fn parts(values_SP: &[Vec<f64>]) -> Option<Parts> {
    let (seeds, problems) = (values_SP.len(), values_SP.first()?.len());
    if problems < 2 || values_SP.iter().any(|row| row.len() != problems) {
        return None;
    }
    let (s, p) = (seeds as f64, problems as f64);
    let of_seed: Vec<f64> = values_SP.iter().map(|row| row.iter().sum::<f64>() / p).collect();
    let of_problem: Vec<f64> =
        (0..problems).map(|i| values_SP.iter().map(|row| row[i]).sum::<f64>() / s).collect();
    let mean = of_seed.iter().sum::<f64>() / s;
    let spread = |means: &[f64]| means.iter().map(|m| (m - mean).powi(2)).sum::<f64>();
    let per_problem = s * spread(&of_problem) / (p - 1.0);
    if seeds == 1 {
        return Some(Parts { between_seeds: 0.0, between_problems: per_problem, rest: 0.0 });
    }
    let mut left_over = 0.0;
    for (row, seed) in values_SP.iter().zip(&of_seed) {
        left_over +=
            row.iter().zip(&of_problem).map(|(v, problem)| (v - seed - problem + mean).powi(2)).sum::<f64>();
    }
    let rest = left_over / ((s - 1.0) * (p - 1.0));
    let per_seed = p * spread(&of_seed) / (s - 1.0);
    Some(Parts {
        between_seeds: ((per_seed - rest) / p).max(0.0),
        between_problems: ((per_problem - rest) / s).max(0.0),
        rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(shift: f64) -> Vec<f64> {
        (0..100).map(|i| f64::from(i % 5) / 10.0 + shift).collect()
    }

    #[test]
    fn half_the_effect_needs_four_times_the_problems() {
        let at = |effect| {
            power(&[differences(0.0)], None, effect).and_then(|p| p.needed).map_or(0, |n| n.problems)
        };
        let (large, small) = (at(0.1), at(0.05));
        assert!((small as f64 / large as f64 - 4.0).abs() < 0.3, "{small} {large}");
    }

    #[test]
    fn the_detectable_effect_needs_the_problems_at_hand() {
        let all = [differences(0.0)];
        let seen = power(&all, None, 0.1).map_or(0.0, |p| p.detectable);
        assert_eq!(power(&all, None, seen).and_then(|p| p.needed), Some(Scale { problems: 100, seeds: 1 }));
        assert_eq!(power(&all, None, 0.0).and_then(|p| p.needed), None);
    }

    #[test]
    fn where_seeds_disagree_more_problems_do_not_help() {
        // Two seeds 20 points apart, a spread of 20/√2: 5 points take 2·(2.8·14.1/5)² seeds.
        let apart = power(&[differences(-0.1), differences(0.1)], None, 0.05).unwrap();
        let needed = apart.needed.unwrap();
        assert!((120..130).contains(&needed.seeds), "{needed:?}");
        let alike = power(&[differences(0.0), differences(0.0)], None, 0.05).unwrap();
        assert_eq!(alike.needed.map(|n| n.seeds), Some(2));
        assert!(apart.detectable > 5.0 * alike.detectable);
    }

    #[test]
    fn what_never_happened_needs_problems_too() {
        // 0 of 100 reaches to 3.6%; for 2% it takes 183 problems.
        let none = power(&[vec![0.0; 100]], Some((0.0, 1.0)), 0.02).unwrap();
        assert!((none.detectable - 0.036).abs() < 1e-3, "{none:?}");
        assert_eq!(none.needed.map(|n| n.problems), Some(183));
        assert_eq!(power(&[vec![0.5; 100]], None, 0.1), None);
    }
}
