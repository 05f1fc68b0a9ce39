//! A weighted mix of cells as one endless sequence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::context::Contexts;
use crate::generator::Generator;
use crate::gold::Mode;
use crate::problem::Problem;
use crate::spec::{Cell, SpecError, World};
use crate::split::{Split, SplitRule};
use crate::stream::Stream;

/// Weights need not be exact in their last bits to sum to 1.
const TOLERANCE: f64 = 1e-9;

/// A range of op with its share of the mix, spread evenly over the range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Smallest op.
    pub from: u32,
    /// Largest op.
    pub to: u32,
    /// Share of the problems.
    pub weight: f64,
}

/// What a sequence of problems is made of. The three kinds of weights are independent; each sums to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Ranges of op.
    pub op: Vec<Band>,
    /// Contexts.
    pub context: BTreeMap<String, f64>,
    /// Modes.
    #[serde(default = "forward_only")]
    pub mode: BTreeMap<Mode, f64>,
    /// The world.
    #[serde(default)]
    pub world: World,
}

fn forward_only() -> BTreeMap<Mode, f64> {
    BTreeMap::from([(Mode::Forward, 1.0)])
}

/// Draws problems of a mix.
#[derive(Debug)]
pub struct Mix {
    generator: Generator,
    cells: Vec<(Cell, f64)>,
    stream: Stream,
}

impl Spec {
    /// Every cell of the mix with its share; the shares sum to 1.
    ///
    /// # Errors
    /// If weights are negative or do not sum to 1, or a range of op is empty.
    pub fn cells(&self) -> Result<Vec<(Cell, f64)>, SpecError> {
        check_weights("op", self.op.iter().map(|band| band.weight))?;
        check_weights("context", self.context.values().copied())?;
        check_weights("mode", self.mode.values().copied())?;
        let mut cells: BTreeMap<Cell, f64> = BTreeMap::new();
        for band in &self.op {
            if band.from > band.to {
                let problem = format!("the range {}..={} is empty", band.from, band.to);
                return Err(SpecError::Weights { of: "op", problem });
            }
            let share = band.weight / f64::from(band.to - band.from + 1);
            for op in band.from..=band.to {
                for (context, of_context) in &self.context {
                    for (&mode, of_mode) in &self.mode {
                        let cell = Cell { op, context: context.clone(), mode };
                        *cells.entry(cell).or_default() += share * of_context * of_mode;
                    }
                }
            }
        }
        Ok(cells.into_iter().filter(|(_, share)| *share > 0.0).collect())
    }

    /// The sequence.
    ///
    /// # Errors
    /// If the weights are wrong, or a cell with a share is impossible.
    pub fn open(
        &self,
        contexts: &Contexts,
        seed: u64,
        split: Option<(Split, SplitRule)>,
    ) -> Result<Mix, SpecError> {
        let cells = self.cells()?;
        let generator = Generator::new(&self.world, contexts, seed, split)?;
        for (cell, _) in &cells {
            generator.check(cell)?;
        }
        Ok(Mix { generator, cells, stream: Stream::root(seed).fork("mix") })
    }
}

impl Mix {
    /// Problem `i` of the mix: its cell is drawn by weight, and it is problem `i` of that cell.
    pub fn problem(&self, i: u64) -> Problem {
        let mut left =
            self.stream.index(i).draws().unit() * self.cells.iter().map(|(_, share)| share).sum::<f64>();
        let mut chosen = 0;
        for (k, (_, share)) in self.cells.iter().enumerate() {
            chosen = k;
            if left < *share {
                break;
            }
            left -= share;
        }
        self.generator.problem(&self.cells[chosen].0, i)
    }

    /// The cells and their shares.
    pub fn cells(&self) -> &[(Cell, f64)] {
        &self.cells
    }
}

fn check_weights(of: &'static str, weights: impl Iterator<Item = f64>) -> Result<(), SpecError> {
    let mut sum = 0.0;
    for weight in weights {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(SpecError::Weights { of, problem: format!("one is {weight}") });
        }
        sum += weight;
    }
    if (sum - 1.0).abs() > TOLERANCE {
        return Err(SpecError::Weights { of, problem: format!("they sum to {sum}") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(op: &str) -> Spec {
        toml::from_str(&format!(
            "op = {op}\ncontext = {{ zoo = 0.25, school = 0.75 }}\nworld = {{ distractors = 0.0 }}"
        ))
        .unwrap()
    }

    #[test]
    fn shares_come_out_as_asked() {
        let spec = spec("[{ from = 2, to = 3, weight = 0.2 }, { from = 5, to = 5, weight = 0.8 }]");
        let mix = spec.open(&Contexts::builtin(), 1, None).unwrap();
        assert!((mix.cells().iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-12);
        let problems: Vec<Problem> = (0..4000).map(|i| mix.problem(i)).collect();
        let share = |wanted: &dyn Fn(&Cell) -> bool| {
            problems.iter().filter(|p| wanted(&p.cell)).count() as f64 / 4000.0
        };
        assert!((share(&|c| c.op == 5) - 0.8).abs() < 0.02);
        assert!((share(&|c| c.op == 2) - 0.1).abs() < 0.02);
        assert!((share(&|c| c.context == "school") - 0.75).abs() < 0.02);
        assert_eq!(problems[17], mix.problem(17));
    }

    #[test]
    fn wrong_weights_are_refused() {
        let error = |op: &str| spec(op).open(&Contexts::builtin(), 1, None).unwrap_err().to_string();
        assert!(error("[{ from = 2, to = 3, weight = 0.9 }]").contains("they sum to 0.9"));
        assert!(
            error("[{ from = 2, to = 3, weight = 1.5 }, { from = 4, to = 4, weight = -0.5 }]")
                .contains("one is -0.5")
        );
        assert!(error("[{ from = 3, to = 2, weight = 1.0 }]").contains("is empty"));
        assert!(error("[{ from = 2, to = 99, weight = 1.0 }]").contains("op must be from 1 to 50"));
    }
}
