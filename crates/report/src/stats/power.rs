//! What scale would see an effect.

use serde::{Deserialize, Serialize};

use super::bootstrap::unseen;

/// How large an effect this scale sees, and what scale a given effect needs. Normal approximation,
/// 80% power with 95% intervals.
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

/// Which ends of the interval a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// The one nearer to the bound: there is a difference.
    One,
    /// Both, each with a bound of its own: there is no difference that matters.
    Both,
}

impl Ends {
    /// How far off the difference may be measured in four cases of five, in its standard deviations.
    fn room(self) -> f64 {
        match self {
            // z of 80%: it may be off towards the bound in one case of five.
            Self::One => 0.841_621,
            // z of 90%: it may be off towards either bound in one case of ten each. Exact for a true difference midway
            // between the bounds, and more than it takes for one that is nearer to one of them.
            Self::Both => 1.281_552,
        }
    }
}

/// z of 97.5%: how far the interval reaches, in standard deviations of the resamples.
const REACH: f64 = 1.959_964;

/// Beyond this no number of problems or seeds is named.
const NEEDED_MAX: u64 = 1 << 50;

/// The parts of the variance of one difference.
struct Parts {
    between_seeds: f64,
    between_problems: f64,
    rest: f64,
    /// From the mean to the farther end of the range; 0 without a range.
    to_range_end: f64,
}

impl Parts {
    /// How far from the bound a true difference must be to be seen.
    ///
    /// The difference itself has the variance seeds/S + problems/P + rest/(S·P). The interval is that of the pigeonhole
    /// bootstrap, which draws seeds and problems each by themselves. Written out for the draws of
    /// [`Bootstrap`](super::Bootstrap), S − 1 of S seeds and P of P problems, its variance is on average
    /// seeds/S + (1 − 1/P)·problems/P + (3 − 2/P)·rest/(S·P), whatever S ≥ 2; 1/P is left out here. One seed has no rest.
    ///
    /// With a range the interval reaches at least `unseen` of the way from the measured difference to the range's end.
    /// That way is longer by the difference itself, hence the odds instead of the chance.
    fn distance(&self, seeds: f64, problems: f64, ends: Ends) -> f64 {
        let means = self.between_seeds / seeds + self.between_problems / problems;
        let rest = self.rest / (seeds * problems);
        let chance = unseen(problems);
        let reach = (REACH * (means + 3.0 * rest).sqrt()).max(self.to_range_end * chance / (1.0 - chance));
        reach + ends.room() * (means + rest).sqrt()
    }
}

/// The power of a comparison whose paired differences are `values_SP` (a row a seed, a column a problem).
/// `effect` is how far from the bound the difference is that one would like to see, and `ends` what seeing it takes.
///
/// From one seed nothing is known of how much seeds differ: then the estimate is for this seed alone. With
/// several, the problems needed assume as many seeds as leave at most half of the variance to them.
///
/// `range` bounds the differences, as in [`Bootstrap::mean`](super::Bootstrap::mean).
///
/// `None` with fewer than two problems, or if all differences are alike and have no range.
pub fn power(values_SP: &[Vec<f64>], range: Option<(f64, f64)>, effect: f64, ends: Ends) -> Option<Power> {
    let (seeds, problems) = (values_SP.len() as f64, values_SP.first()?.len() as f64);
    let parts = parts(values_SP, range)?;
    let detectable = parts.distance(seeds, problems, ends);
    if detectable <= 0.0 {
        return None;
    }
    let needed = || {
        let allowed = (effect / (REACH + ends.room())).powi(2);
        let seeds = (2.0 * parts.between_seeds / allowed).ceil().max(seeds);
        if seeds > NEEDED_MAX as f64 {
            return None;
        }
        let sees = |problems: u64| parts.distance(seeds, problems as f64, ends) <= effect;
        Some(Scale { problems: smallest(sees)?, seeds: seeds as u64 })
    };
    Some(Power { detectable, needed: (effect > 0.0).then(needed).flatten() })
}

/// The smallest number of problems, at least 2, that is enough; where one is enough, so are all above it.
fn smallest(enough: impl Fn(u64) -> bool) -> Option<u64> {
    let mut high = 2;
    while !enough(high) {
        if high >= NEEDED_MAX {
            return None;
        }
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

/// Analysis of variance with seeds and problems crossed.
fn parts(values_SP: &[Vec<f64>], range: Option<(f64, f64)>) -> Option<Parts> {
    let (seeds, problems) = (values_SP.len(), values_SP.first()?.len());
    if problems < 2 || values_SP.iter().any(|row| row.len() != problems) {
        return None;
    }
    let (s, p) = (seeds as f64, problems as f64);
    let of_seed: Vec<f64> = values_SP.iter().map(|row| row.iter().sum::<f64>() / p).collect();
    let of_problem: Vec<f64> =
        (0..problems).map(|i| values_SP.iter().map(|row| row[i]).sum::<f64>() / s).collect();
    let mean = of_seed.iter().sum::<f64>() / s;
    let to_range_end = range.map_or(0.0, |(least, most)| (mean - least).max(most - mean));
    let spread = |means: &[f64]| means.iter().map(|m| (m - mean).powi(2)).sum::<f64>();
    let per_problem = s * spread(&of_problem) / (p - 1.0);
    if seeds == 1 {
        return Some(Parts { between_seeds: 0.0, between_problems: per_problem, rest: 0.0, to_range_end });
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
        to_range_end,
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
            let power = power(&[differences(0.0)], None, effect, Ends::One);
            power.and_then(|p| p.needed).map_or(0, |n| n.problems)
        };
        let (large, small) = (at(0.1), at(0.05));
        assert!((small as f64 / large as f64 - 4.0).abs() < 0.3, "{small} {large}");
    }

    #[test]
    fn the_detectable_effect_needs_the_problems_at_hand() {
        let noise = |seed: u64| -> Vec<f64> {
            let mut draws = problems::stream::Stream::root(seed).fork("noise").draws();
            (0..100).map(|_| draws.below(1000) as f64 / 1000.0).collect()
        };
        let seeds = [vec![differences(0.0)], vec![noise(1), noise(2)], vec![noise(3), noise(4), noise(5)]];
        for all in &seeds {
            for ends in [Ends::One, Ends::Both] {
                let seen = power(all, None, 0.1, ends).map_or(0.0, |p| p.detectable);
                let needed = power(all, None, seen, ends).and_then(|p| p.needed).unwrap();
                // Where the seeds' share is above a half, more of them are asked for, and fewer problems.
                assert!(needed.seeds > all.len() as u64 || needed.problems == 100, "{needed:?}");
            }
        }
        assert_eq!(power(&seeds[0], None, 0.0, Ends::One).and_then(|p| p.needed), None);
    }

    #[test]
    fn unchanged_takes_more_than_changed() {
        // z of 97.5% plus z of 80%, and plus z of 90%.
        let seen = |ends| power(&[differences(0.0)], None, 0.1, ends).map_or(0.0, |p| p.detectable);
        assert!((seen(Ends::Both) / seen(Ends::One) - 3.2415 / 2.8016).abs() < 1e-4);
    }

    #[test]
    fn where_seeds_disagree_more_problems_do_not_help() {
        // Two seeds 20 points apart, a spread of 20/√2: 5 points take 2·(2.8·14.1/5)² seeds.
        let apart = power(&[differences(-0.1), differences(0.1)], None, 0.05, Ends::One).unwrap();
        let needed = apart.needed.unwrap();
        assert!((120..130).contains(&needed.seeds), "{needed:?}");
        let alike = power(&[differences(0.0), differences(0.0)], None, 0.05, Ends::One).unwrap();
        assert_eq!(alike.needed.map(|n| n.seeds), Some(2));
        assert!(apart.detectable > 5.0 * alike.detectable);
    }

    #[test]
    fn what_never_happened_needs_problems_too() {
        // 0 of 100 reaches to 3.6%, and odds of 3.8%; for odds of 2% it takes 187 problems.
        let none = power(&[vec![0.0; 100]], Some((0.0, 1.0)), 0.02, Ends::One).unwrap();
        assert!((none.detectable - 0.0376).abs() < 1e-4, "{none:?}");
        assert_eq!(none.needed.map(|n| n.problems), Some(187));
        assert_eq!(power(&[vec![0.5; 100]], None, 0.1, Ends::One), None);
    }
}
