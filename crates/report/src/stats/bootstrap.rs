//! Percentile intervals by resampling problems, and seeds where there are several.

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

/// Which seeds and problems each resample holds.
#[derive(Debug)]
struct Resamples {
    seeds: Vec<u32>,
    problems: Vec<u32>,
}

const RESAMPLES: usize = 2000;
/// Share of the resamples below and above the interval.
const TAIL: f64 = 0.025;

/// The chance that something has if none of this many problems shows it in 2.5% of cases (of 100 problems: 3.6%). The
/// exact binomial bound of Clopper and Pearson for 0 of n; the "rule of three" is its approximation in one tail of 5%.
pub(super) fn unseen(problems: f64) -> f64 {
    1.0 - TAIL.powf(1.0 / problems)
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { stream: Stream::root(0).fork("bootstrap"), drawn: RefCell::default() }
    }
}

impl Bootstrap {
    /// The mean of `values_SP` (one row a seed, one column a problem, columns alike in all rows).
    ///
    /// Problems are drawn with replacement, once for all seeds of a resample, since all seeds are asked
    /// the same ones. Of several seeds one fewer is drawn than there are: drawing all would halve the variance
    /// between two (Rao and Wu's rescaling). Seeds and problems are drawn each by themselves (Owen's pigeonhole
    /// bootstrap), which counts three times what is of a seed on a problem alone: with several seeds the interval is
    /// too wide rather than too narrow.
    ///
    /// `range` bounds the values, e.g. 0..1 for a rate. Each end of the interval then reaches at least as far as the mean
    /// would move if that end of the range occurred with so small a chance (3.6% for 100 problems) that in 2.5% of cases
    /// none of these problems shows it. Resamples cannot show what was not drawn: near the range's ends they are too narrow, and where all
    /// values are alike they have no width. Without a range the interval is that of the resamples alone.
    ///
    /// `None` without problems, or if the rows differ in length.
    pub fn mean(&self, values_SP: &[Vec<f64>], range: Option<(f64, f64)>) -> Option<Estimate> {
        let (seeds, problems) = (values_SP.len(), values_SP.first()?.len());
        if problems == 0 || values_SP.iter().any(|row| row.len() != problems) {
            return None;
        }
        let total: f64 = values_SP.iter().flatten().sum();
        let value = total / (seeds * problems) as f64;
        let (mut low, mut high) = self.resamples(seeds, problems).interval(values_SP);
        if let Some((least, most)) = range {
            let chance = unseen(problems as f64);
            low = low.min(value - (value - least) * chance);
            high = high.max(value + (most - value) * chance);
        }
        Some(Estimate { value, low, high, problems: problems as u32, seeds: seeds as u32 })
    }

    fn resamples(&self, seeds: usize, problems: usize) -> Rc<Resamples> {
        let draw = || Rc::new(Resamples::draw(&self.stream, seeds, problems));
        Rc::clone(self.drawn.borrow_mut().entry((seeds, problems)).or_insert_with(draw))
    }
}

impl Resamples {
    fn draw(stream: &Stream, seeds: usize, problems: usize) -> Self {
        let mut of_problems = stream.fork("problems").index(problems as u64).draws();
        let mut of_seeds = stream.fork("seeds").index(seeds as u64).draws();
        let kept = (seeds - 1).max(1);
        Self {
            problems: (0..RESAMPLES * problems).map(|_| of_problems.below(problems) as u32).collect(),
            seeds: (0..RESAMPLES * kept).map(|_| of_seeds.below(seeds) as u32).collect(),
        }
    }

    fn interval(&self, values_SP: &[Vec<f64>]) -> (f64, f64) {
        let (problems, kept) = (values_SP[0].len(), self.seeds.len() / RESAMPLES);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|r| {
                let columns = &self.problems[r * problems..(r + 1) * problems];
                let rows = &self.seeds[r * kept..(r + 1) * kept];
                let row_sum = |&s: &u32| -> f64 {
                    let row = &values_SP[s as usize];
                    columns.iter().map(|&p| row[p as usize]).sum()
                };
                rows.iter().map(row_sum).sum::<f64>() / (problems * kept) as f64
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let cut = (RESAMPLES as f64 * TAIL) as usize;
        (means[cut], means[RESAMPLES - 1 - cut])
    }
}
