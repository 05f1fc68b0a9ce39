//! Medians and spreads of a few rounds.

use serde::Serialize;

/// The middle of some measurements and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Option<Summary> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
        Some(Summary { median, min, max })
    }

    /// Distance of the extremes in parts of the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.max - self.min) / self.median
    }

    /// Of the ratios round by round: what slows both sides of a round cancels.
    pub(crate) fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Summary> {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        Summary::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).expect("four values");
        assert_eq!(summary, Summary { median: 2.5, min: 1.0, max: 4.0 });
        assert!((summary.spread() - 1.2).abs() < 1e-12);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn a_disturbance_of_a_whole_round_leaves_the_ratio_alone() {
        let ratio = Summary::of_ratios(&[10.0, 5.0, 10.0], &[2.0, 1.0, 2.0]).expect("three rounds");
        assert_eq!(ratio, Summary { median: 5.0, min: 5.0, max: 5.0 });
    }
}
