//! Numbers by problem and seed, before they are averaged.

use std::collections::BTreeMap;

use runs::records::EvalRow;

use super::Slice;

/// A number of every problem of a slice, at every seed at which the model was evaluated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PerProblem {
    pub(super) seeds: Vec<u64>,
    pub(super) problems: Vec<u64>,
    /// The numbers, in the order of `seeds` and `problems`.
    pub(crate) values_SP: Vec<Vec<f64>>,
    /// Smallest and largest possible number, where there is one.
    pub(crate) range: Option<(f64, f64)>,
}

impl PerProblem {
    /// Paired difference, at the seeds that both have. `None` if there is none or the problems differ.
    pub(crate) fn minus(&self, other: &Self) -> Option<Self> {
        if self.problems != other.problems {
            return None;
        }
        let (mut seeds, mut values_SP) = (Vec::new(), Vec::new());
        for (seed, ours) in self.seeds.iter().zip(&self.values_SP) {
            let Some(at) = other.seeds.iter().position(|s| s == seed) else { continue };
            seeds.push(*seed);
            values_SP.push(ours.iter().zip(&other.values_SP[at]).map(|(a, b)| a - b).collect());
        }
        let range = self.range.zip(other.range).map(|(a, b)| (a.0 - b.1, a.1 - b.0));
        (!seeds.is_empty()).then(|| Self { seeds, problems: self.problems.clone(), values_SP, range })
    }

    /// Mean over the seeds, by problem.
    pub(crate) fn mean_P(&self) -> BTreeMap<u64, f64> {
        let mean = |p: usize| self.values_SP.iter().map(|row| row[p]).sum::<f64>() / self.seeds.len() as f64;
        self.problems.iter().enumerate().map(|(p, problem)| (*problem, mean(p))).collect()
    }

    /// Only these problems; `None` if none is left.
    pub(crate) fn only(mut self, fits: impl Fn(u64) -> bool) -> Option<Self> {
        let keep: Vec<bool> = self.problems.iter().map(|problem| fits(*problem)).collect();
        for row in &mut self.values_SP {
            let mut kept = keep.iter();
            row.retain(|_| kept.next() == Some(&true));
        }
        self.problems.retain(|problem| fits(*problem));
        (!self.problems.is_empty()).then_some(self)
    }

    /// Difference from a number.
    pub(crate) fn minus_number(mut self, number: f64) -> Self {
        self.values_SP.iter_mut().flatten().for_each(|v| *v -= number);
        self.range = self.range.map(|(low, high)| (low - number, high - number));
        self
    }
}

/// The problems of a slice, sorted, and their numbers; `None` if any number is missing.
pub(super) fn by_problem(
    rows: &[EvalRow],
    slice: &Slice,
    value: &impl Fn(&EvalRow) -> Option<f64>,
) -> Option<(Vec<u64>, Vec<f64>)> {
    let mut rows: Vec<&EvalRow> = rows.iter().filter(|row| slice.holds(row)).collect();
    rows.sort_by_key(|row| row.problem);
    let values: Option<Vec<f64>> = rows.iter().map(|row| value(row)).collect();
    Some((rows.iter().map(|row| row.problem).collect(), values?))
}
