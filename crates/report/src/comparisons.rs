//! The arms against each other: paired differences between their last models, and how many of them there are.

use runs::Metric;
use serde::{Deserialize, Serialize};

use crate::measure::{Measure, Model, Slice};
use crate::stats::Estimate;

/// A paired difference between the last models of two arms in one band.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Comparison {
    /// The suite of held-out problems.
    pub suite: String,
    /// The band's name.
    pub band: String,
    /// Smallest and largest op of the band.
    pub ops: (u32, u32),
    /// What is compared: pass@1, or pass@k at the largest k.
    pub metric: Metric,
    /// One model.
    pub left: String,
    /// The other model; that of the base arm where the two are compared with it.
    pub right: String,
    /// Left minus right, on the same problems and seeds.
    pub difference: Estimate,
    /// Two-sided p-value of no difference, from the interval's width as that of a normal distribution.
    pub p: f64,
    /// The smallest false-discovery rate at which the difference counts among all comparisons of the suite
    /// (Benjamini and Hochberg 1995, adjusted p-value).
    pub q: f64,
}

/// The false-discovery rate that notes speak of.
pub(crate) const RATE: f64 = 0.05;

/// With more arms than this, only the comparisons with the base arm are made.
const ARMS_MAX: usize = 12;

/// Standard errors from the middle of a 95% interval to its end.
const HALF: f64 = 1.96;

/// The model that the others are compared with: the last of the arm `base`, or of the first arm. `None` for a run of one
/// arm.
pub(crate) fn base_model<'m>(measure: &'m Measure<'_>, base: Option<&str>) -> Option<&'m Model> {
    let last = measure.last_models();
    let named = base.and_then(|base| last.iter().find(|m| m.arms.iter().any(|arm| arm == base)));
    (last.len() > 1).then(|| *named.unwrap_or(&last[0]))
}

/// All pairs of last models, those with the base first.
pub(crate) fn comparisons(measure: &Measure, base: Option<&str>) -> Vec<Comparison> {
    let Some(base) = base_model(measure, base) else { return Vec::new() };
    let others: Vec<&Model> = measure.last_models().into_iter().filter(|model| *model != base).collect();
    let mut pairs: Vec<(&Model, &Model)> = others.iter().map(|other| (*other, base)).collect();
    if others.len() < ARMS_MAX {
        let rest = others.iter().enumerate();
        pairs.extend(rest.flat_map(|(i, right)| others[i + 1..].iter().map(|left| (*left, *right))));
    }
    let mut all = Vec::new();
    for suite in measure.folder.suites() {
        let mut found = Vec::new();
        let most = measure.most(&suite);
        let metrics: &[Metric] =
            if most > 1 { &[Metric::PassAt(1), Metric::PassAt(most)] } else { &[Metric::PassAt(1)] };
        for (left, right) in &pairs {
            for band in &measure.folder.manifest.bands {
                for metric in metrics {
                    let slice = Slice::ops(band.from, band.to);
                    let difference = measure.difference(left, right, &suite, &slice, *metric);
                    found.extend(difference.map(|difference| Comparison {
                        suite: suite.clone(),
                        band: band.name.clone(),
                        ops: (band.from, band.to),
                        metric: *metric,
                        left: left.label.clone(),
                        right: right.label.clone(),
                        difference,
                        p: p_value(&difference),
                        q: 1.0,
                    }));
                }
            }
        }
        adjust(&mut found);
        all.append(&mut found);
    }
    all
}

/// How many comparisons of a suite there are, and how many count.
pub(crate) fn note(of_suite: &[&Comparison]) -> String {
    let alone = of_suite.iter().filter(|c| c.difference.excludes_zero()).count();
    let kept = of_suite.iter().filter(|c| c.q <= RATE).count();
    format!(
        "{} comparisons were made (pairs of arms × bands × metrics). {alone} of them have a 95% interval that excludes zero. \
         If no arms differed, about one in twenty would. {kept} remain at a false-discovery rate of 5% (Benjamini–Hochberg, \
         p-values from the intervals).",
        of_suite.len()
    )
}

fn p_value(difference: &Estimate) -> f64 {
    let error = (difference.high - difference.low) / (2.0 * HALF);
    let p = match difference.value.abs() {
        0.0 => 1.0,
        size if error > 0.0 => both_tails(size / error),
        _ => 0.0,
    };
    (p * 1e6).round() / 1e6
}

/// The chance of a standard normal number at least `z` away from zero (Abramowitz and Stegun 7.1.26; the error is below
/// 2e-7).
fn both_tails(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let factors = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let sum = factors.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (sum * (-x * x).exp()).clamp(0.0, 1.0)
}

/// Sets the adjusted p-values.
fn adjust(comparisons: &mut [Comparison]) {
    let count = comparisons.len() as f64;
    let mut order: Vec<usize> = (0..comparisons.len()).collect();
    order.sort_by(|a, b| comparisons[*a].p.total_cmp(&comparisons[*b].p));
    let mut least = 1.0_f64;
    for (rank, i) in order.into_iter().enumerate().rev() {
        least = least.min(comparisons[i].p * count / (rank + 1) as f64);
        comparisons[i].q = (least * 1e6).round() / 1e6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_those_of_a_normal_distribution() {
        let p = |value, half| {
            p_value(&Estimate { value, low: value - half, high: value + half, problems: 9, seeds: 1 })
        };
        let close = |a: f64, b: f64| (a - b).abs() < 2e-6;
        assert!(close(p(1.96, 1.96), 0.049_996), "{}", p(1.96, 1.96));
        assert!(close(p(-1.0, 1.96), 0.317_311), "{}", p(-1.0, 1.96));
        assert_eq!([p(0.0, 0.0), p(0.1, 0.0), p(0.0, 1.0)], [1.0, 0.0, 1.0]);
    }

    #[test]
    fn adjusted_p_values_are_benjamini_and_hochbergs() {
        let difference = Estimate { value: 0.0, low: 0.0, high: 0.0, problems: 9, seeds: 1 };
        let of = |p| Comparison {
            suite: "s".into(),
            band: "b".into(),
            ops: (2, 3),
            metric: Metric::PassAt(1),
            left: "l".into(),
            right: "r".into(),
            difference,
            p,
            q: 1.0,
        };
        let mut all: Vec<Comparison> = [0.04, 0.01, 0.03, 0.5].map(of).into();
        adjust(&mut all);
        assert_eq!(all.iter().map(|c| c.q).collect::<Vec<_>>(), [0.053_333, 0.04, 0.053_333, 0.5]);
    }
}
