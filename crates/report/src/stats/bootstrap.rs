//! Percentile intervals by weighing problems at random, and drawing seeds where there are several.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use problems::stream::Stream;
use serde::{Deserialize, Serialize};

/// A mean with its 95% interval. In the units of what was averaged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The mean over seeds and problems.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// How many problems it rests on.
    pub problems: u32,
    /// How many seeds it rests on.
    pub seeds: u32,
}

impl Estimate {
    /// Whether the interval lies on one side of zero.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Draws the same resamples for the same number of seeds and problems, so that everything computed
/// from one set of problems is paired.
#[derive(Debug)]
pub struct Bootstrap {
    stream: Stream,
    drawn: RefCell<BTreeMap<(usize, usize), Rc<Resamples>>>,
}

/// Which seeds each resample holds, and how much each problem weighs in it.
#[derive(Debug)]
struct Resamples {
    seeds: Vec<u32>,
    /// A resample's weights sum to 1 together with that of the problem that was not seen, which is not listed.
    weights: Vec<f64>,
}

const RESAMPLES: usize = 2000;
/// Share of the resamples below and above the interval.
pub(super) const TAIL: f64 = 0.025;
/// Problems that must differ from the most common value until the seen ones tell how far an unseen one may lie: six that
/// all differ to one side do so by chance in 2⁻⁶ of cases, which is less than [`TAIL`].
const TELLING: f64 = 6.0;

impl Default for Bootstrap {
    fn default() -> Self {
        Self { stream: Stream::root(0).fork("bootstrap"), drawn: RefCell::default() }
    }
}

impl Bootstrap {
    /// The mean of `values_SP` (one row a seed, one column a problem, columns alike in all rows).
    ///
    /// In each resample the problems get random weights that sum to 1, uniform over all such weights, together with one
    /// problem that was not seen (a Bayesian bootstrap; Rubin 1981). The weights are the same for all seeds, since all
    /// seeds are asked the same problems. The unseen problem lies at the bound of `range` if all seen ones are alike: that
    /// is as far as it may. It lies at the most extreme seen value if six problems or more differ from the most common
    /// value, and in between if fewer do. Without a range it lies at the most extreme seen value.
    ///
    /// For values that are 0 or 1 this is the interval of Clopper and Pearson; with more kinds of values it is that of
    /// Gaffke, as long as they reach the bounds.
    ///
    /// Of several seeds one fewer is drawn than there are: drawing all would halve the variance between two (Rao and
    /// Wu's rescaling). Seeds and problems are drawn each by themselves (Owen's pigeonhole bootstrap), which counts three
    /// times what is of a seed on a problem alone: with several seeds the interval is too wide rather than too narrow.
    ///
    /// `None` without problems, or if the rows differ in length.
    pub fn mean(&self, values_SP: &[Vec<f64>], range: Option<(f64, f64)>) -> Option<Estimate> {
        let (seeds, problems) = (values_SP.len(), values_SP.first()?.len());
        if problems == 0 || values_SP.iter().any(|row| row.len() != problems) {
            return None;
        }
        let total: f64 = values_SP.iter().flatten().sum();
        let value = total / (seeds * problems) as f64;
        let first = values_SP[0][0];
        let alike = values_SP.iter().flatten().all(|v| *v == first);
        let (low, high) = match range {
            // Only the unseen problem weighs, so the percentile is known without resamples.
            Some((least, most)) if alike => {
                let weight = 1.0 - TAIL.powf(1.0 / problems as f64);
                (first + (least - first) * weight, first + (most - first) * weight)
            }
            _ => self.resamples(seeds, problems).interval(values_SP, unseen(values_SP, range)),
        };
        // Sums in another order may differ in the last bit.
        let (low, high) = (low.min(value), high.max(value));
        Some(Estimate { value, low, high, problems: problems as u32, seeds: seeds as u32 })
    }

    fn resamples(&self, seeds: usize, problems: usize) -> Rc<Resamples> {
        let draw = || Rc::new(Resamples::draw(&self.stream, seeds, problems));
        Rc::clone(self.drawn.borrow_mut().entry((seeds, problems)).or_insert_with(draw))
    }
}

/// Where a problem that was not seen may lie, at least and at most.
fn unseen(values_SP: &[Vec<f64>], range: Option<(f64, f64)>) -> (f64, f64) {
    let seeds = values_SP.len() as f64;
    let problems = values_SP[0].len();
    let mean = |p: usize| values_SP.iter().map(|row| row[p]).sum::<f64>() / seeds;
    let mut means: Vec<f64> = (0..problems).map(mean).collect();
    means.sort_by(f64::total_cmp);
    let (least, most) = (means[0], means[problems - 1]);
    let Some((low, high)) = range else { return (least, most) };
    let common = means.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or(problems);
    let told = ((problems - common) as f64 / TELLING).min(1.0);
    (low + (least - low) * told, high + (most - high) * told)
}

impl Resamples {
    fn draw(stream: &Stream, seeds: usize, problems: usize) -> Self {
        let mut of_problems = stream.fork("problems").index(problems as u64).draws();
        let mut of_seeds = stream.fork("seeds").index(seeds as u64).draws();
        let kept = (seeds - 1).max(1);
        // Exponential numbers, divided by their sum, are uniform weights.
        let mut exponential = || -(1.0 - of_problems.unit()).ln();
        let mut weights = Vec::with_capacity(RESAMPLES * problems);
        for _ in 0..RESAMPLES {
            let drawn: Vec<f64> = (0..=problems).map(|_| exponential()).collect();
            let sum: f64 = drawn.iter().sum();
            weights.extend(drawn[..problems].iter().map(|weight| weight / sum));
        }
        Self { weights, seeds: (0..RESAMPLES * kept).map(|_| of_seeds.below(seeds) as u32).collect() }
    }

    fn interval(&self, values_SP: &[Vec<f64>], unseen: (f64, f64)) -> (f64, f64) {
        let (problems, kept) = (values_SP[0].len(), self.seeds.len() / RESAMPLES);
        let end = |unseen: f64| {
            let mean = |r: usize| {
                let weights = &self.weights[r * problems..(r + 1) * problems];
                // Measured from the unseen problem, whose weight is then not needed.
                let row = |&s: &u32| -> f64 {
                    let row = &values_SP[s as usize];
                    weights.iter().zip(row).map(|(weight, value)| weight * (value - unseen)).sum()
                };
                let rows = &self.seeds[r * kept..(r + 1) * kept];
                unseen + rows.iter().map(row).sum::<f64>() / kept as f64
            };
            let mut means: Vec<f64> = (0..RESAMPLES).map(mean).collect();
            means.sort_by(f64::total_cmp);
            means
        };
        let cut = (RESAMPLES as f64 * TAIL) as usize;
        (end(unseen.0)[cut], end(unseen.1)[RESAMPLES - 1 - cut])
    }
}
