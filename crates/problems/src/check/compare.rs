//! How our problems compare with the reference generator's, measured on both with the same yardstick: the text.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::Deserialize;

use crate::check::parse::solution::{Step, steps};
use crate::make::generate::{Generator, Sequence};
use crate::world::context::{Contexts, Style};
use crate::world::mode::Mode;
use crate::world::spec::{Cell, Preset, SpecError, World};

/// The fields of a reference record that the comparison uses; others are ignored.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct ReferenceRecord {
    /// The sentences.
    pub problem: String,
    /// The question.
    pub question: String,
    /// The steps and the answer.
    pub solution: String,
    /// The sum of in-degrees.
    pub op: u32,
    /// The context's reference name.
    pub template: String,
    /// `normalforward` or `forwardreverse`.
    pub mode: String,
}

/// Quantities that are compared, each a mean over problems.
pub const METRICS: [&str; 8] = [
    "nodes",
    "depth",
    "sentences",
    "problem chars",
    "solution chars",
    "max or given value",
    "answer",
    "ends in total",
];

/// Forms of sentences on the path, as shares of all stated quantities there.
pub const FORMS: [&str; 9] =
    ["number", "P", "c + P", "c * P", "P + Q", "P - Q", "c o (P + Q)", "c o (P - Q)", "3 or 4"];

/// What was measured on a set of problems.
#[derive(Debug, Clone, Default)]
struct Sample {
    /// One value a problem.
    values: [Vec<f64>; METRICS.len()],
    forms: [f64; FORMS.len()],
}

impl Sample {
    fn add(&mut self, problem: &str, solution: &str) -> Option<()> {
        let steps = steps(solution, Style::Prose)?;
        let mut depth: BTreeMap<&str, u32> = BTreeMap::new();
        let mut max_value = f64::NAN;
        for step in &steps {
            let parents = step.symbols.iter().filter_map(|s| depth.get(s.as_str()));
            let own = 1 + parents.max().copied().unwrap_or(0);
            depth.insert(step.variable, own);
            if let Ok(value) = step.value.parse::<f64>() {
                max_value = max_value.max(value);
            }
            if !step.name.starts_with("total ") {
                self.forms[form(step, &depth)] += 1.0;
            }
        }
        if let Some((_, known)) = solution.split_once("We know ") {
            // Values of reverse solutions are expressions; the given one is the largest that is a number.
            max_value = known.split(" = ").nth(1)?.split(',').next()?.parse().ok()?;
        }
        let answer = solution.rsplit_once("Answer: ")?.1.trim_end_matches('.').parse::<f64>().ok()?;
        let last_is_total = steps.last()?.name.starts_with("total ");
        let deepest = depth.values().copied().max().unwrap_or(0);
        let values = [
            steps.len() as f64,
            f64::from(deepest),
            problem.matches(". ").count() as f64,
            problem.chars().count() as f64,
            solution.chars().count() as f64,
            if max_value.is_nan() { 0.0 } else { max_value },
            answer,
            f64::from(u8::from(last_is_total)),
        ];
        for (all, value) in self.values.iter_mut().zip(values) {
            all.push(value);
        }
        Some(())
    }

    fn mean(&self, metric: usize) -> f64 {
        let values = &self.values[metric];
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }

    /// Standard error of the mean.
    fn error(&self, metric: usize) -> f64 {
        let (values, mean) = (&self.values[metric], self.mean(metric));
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        let n = values.len() as f64;
        (squares / n.max(1.0) / (n - 1.0).max(1.0)).sqrt()
    }

    /// The share of each form, in percent of all stated quantities.
    fn share(&self, form: usize) -> f64 {
        100.0 * self.forms[form] / f64::max(self.forms.iter().sum(), 1.0)
    }
}

/// Kolmogorov and Smirnov's distance of two samples, over the distance that samples of one distribution exceed once
/// in a hundred times (less often where values repeat).
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    let (n, m) = (a.len().max(1) as f64, b.len().max(1) as f64);
    let up_to = |values: &[f64], x: f64| values.partition_point(|&v| v <= x) as f64;
    let apart = a.iter().chain(&b).map(|&x| (up_to(&a, x) / n - up_to(&b, x) / m).abs());
    apart.fold(0.0, f64::max) / (1.628 * ((n + m) / (n * m)).sqrt())
}

/// Which of [`FORMS`] a step has.
fn form(step: &Step<'_>, known: &BTreeMap<&str, u32>) -> usize {
    let operands =
        step.symbols.iter().filter(|s| known.contains_key(s.as_str()) && s.as_str() != step.variable).count();
    let literal = step.symbols.iter().any(|s| s.parse::<i64>().is_ok());
    let difference = step.signs.contains('-');
    match (operands, literal) {
        (0, _) => 0,
        (1, false) => 1,
        (1, true) => 2 + usize::from(step.signs.contains('*')),
        (2, false) => 4 + usize::from(difference),
        (2, true) => 6 + usize::from(difference),
        _ => 8,
    }
}

/// For each metric the difference of means, in percent of the reference's, and its standard error.
pub type Differences = [(f64, f64); METRICS.len()];

/// The reference's problems and ours, cell by cell.
#[derive(Debug, Clone)]
pub struct Comparison {
    cells: BTreeMap<(Mode, u32), (Sample, Sample)>,
    /// Reference records whose solution could not be read.
    pub unread: usize,
}

/// Draws `per_problem` of our problems, with the `reference` preset, for each of the reference's, and measures both.
///
/// # Errors
/// If a record has an op, context or mode that the preset does not cover.
pub fn compare_reference(
    records: impl IntoIterator<Item = ReferenceRecord>,
    contexts: &Contexts,
    seed: u64,
    per_problem: u64,
) -> Result<Comparison, SpecError> {
    let world = World { preset: Some(Preset::Reference), ..World::default() };
    let generator = Generator::new(&world, contexts, seed, None)?;
    let mut drawn: BTreeMap<Cell, (Sequence, u64)> = BTreeMap::new();
    let mut comparison = Comparison { cells: BTreeMap::new(), unread: 0 };
    for record in records {
        let mode = if record.mode == Mode::Reverse.reference_name() { Mode::Reverse } else { Mode::Forward };
        let cell = Cell { op: record.op, context: record.template.clone(), mode };
        let (theirs, ours) = comparison.cells.entry((mode, record.op)).or_default();
        if theirs.add(&record.problem, &record.solution).is_none() {
            comparison.unread += 1;
            continue;
        }
        let (sequence, next) = match drawn.entry(cell) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let sequence = generator.sequence(entry.key())?;
                entry.insert((sequence, 0))
            }
        };
        for _ in 0..per_problem {
            let problem = sequence.problem(*next);
            *next += 1;
            let _ = ours.add(&problem.problem, &problem.solution);
        }
    }
    Ok(comparison)
}

impl Comparison {
    /// The differences in each cell.
    pub fn differences(&self) -> Vec<((Mode, u32), Differences)> {
        self.cells.iter().map(|(cell, pair)| (*cell, differences(pair))).collect()
    }

    /// How many points more than the reference's our shares of [`FORMS`] are in each cell.
    pub fn form_differences(&self) -> Vec<((Mode, u32), [f64; FORMS.len()])> {
        let points = |(theirs, ours): &(Sample, Sample)| {
            std::array::from_fn(|form| ours.share(form) - theirs.share(form))
        };
        self.cells.iter().map(|(cell, pair)| (*cell, points(pair))).collect()
    }

    fn of_mode(&self, mode: Mode) -> impl Iterator<Item = (u32, &(Sample, Sample))> {
        self.cells.iter().filter(move |((of, _), _)| *of == mode).map(|((_, op), pair)| (*op, pair))
    }

    fn fmt_means(&self, mode: Mode, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: means, reference and ours, with the difference in % ± its standard error",
            mode.name()
        )?;
        write!(f, "{:>3}", "op")?;
        for metric in METRICS {
            write!(f, " | {metric:>26}")?;
        }
        for (op, pair) in self.of_mode(mode) {
            write!(f, "\n{op:>3}")?;
            for (k, (difference, error)) in differences(pair).into_iter().enumerate() {
                let (theirs, ours) = (pair.0.mean(k), pair.1.mean(k));
                write!(f, " | {theirs:>7.2} {ours:>7.2} {difference:>+5.1}±{error:<4.1}")?;
            }
        }
        writeln!(f)
    }

    fn fmt_forms(&self, mode: Mode, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: forms of stated quantities on the path in %, reference and ours", mode.name())?;
        write!(f, "{:>3}", "op")?;
        for form in FORMS {
            write!(f, " | {form:>11}")?;
        }
        let mut all = (Sample::default(), Sample::default());
        let line = |f: &mut fmt::Formatter<'_>, name: &str, pair: &(Sample, Sample)| {
            write!(f, "\n{name:>3}")?;
            (0..FORMS.len())
                .try_for_each(|k| write!(f, " | {:>5.1} {:>5.1}", pair.0.share(k), pair.1.share(k)))
        };
        for (op, pair) in self.of_mode(mode) {
            line(f, &op.to_string(), pair)?;
            for k in 0..FORMS.len() {
                all.0.forms[k] += pair.0.forms[k];
                all.1.forms[k] += pair.1.forms[k];
            }
        }
        line(f, "all", &all)?;
        writeln!(f)
    }

    fn fmt_summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "over all {} cells (mode × op)", self.cells.len())?;
        writeln!(
            f,
            "{:<20} difference of means, %: mean  largest  beyond 3 standard errors   other distribution (1%)",
            ""
        )?;
        for (k, metric) in METRICS.iter().enumerate() {
            let all: Vec<(f64, f64)> = self.cells.values().map(|pair| differences(pair)[k]).collect();
            let mean = all.iter().map(|d| d.0).sum::<f64>() / all.len().max(1) as f64;
            let largest = all.iter().map(|d| d.0.abs()).fold(0.0, f64::max);
            let beyond = all.iter().filter(|d| d.0.abs() > 3.0 * d.1 + 1e-9).count();
            let apart = |(a, b): &&(Sample, Sample)| distance(&a.values[k], &b.values[k]) > 1.0;
            let apart = self.cells.values().filter(apart).count();
            writeln!(f, "{metric:<20} {mean:>+28.1} {largest:>8.1} {beyond:>26} {apart:>25}")?;
        }
        writeln!(f, "\n{:<20} shares, difference in points: mean size  largest, in", "forms of sentences")?;
        let cells = self.form_differences();
        for (k, form) in FORMS.iter().enumerate() {
            let size = |cell: &((Mode, u32), [f64; FORMS.len()])| cell.1[k].abs();
            let mean = cells.iter().map(size).sum::<f64>() / cells.len().max(1) as f64;
            if let Some(largest) = cells.iter().max_by(|a, b| size(a).total_cmp(&size(b))) {
                let ((mode, op), points) = (largest.0, largest.1[k]);
                writeln!(f, "{form:<20} {mean:>39.1} {points:>+8.1}  {} op {op}", mode.name())?;
            }
        }
        Ok(())
    }
}

fn differences((theirs, ours): &(Sample, Sample)) -> Differences {
    std::array::from_fn(|k| {
        let base = theirs.mean(k).abs().max(1e-9) / 100.0;
        ((ours.mean(k) - theirs.mean(k)) / base, theirs.error(k).hypot(ours.error(k)) / base)
    })
}

/// The tables.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mode in [Mode::Forward, Mode::Reverse] {
            if self.of_mode(mode).next().is_some() {
                self.fmt_means(mode, f)?;
                writeln!(f)?;
                self.fmt_forms(mode, f)?;
                writeln!(f)?;
            }
        }
        if self.unread > 0 {
            writeln!(f, "{} problems could not be read", self.unread)?;
        }
        self.fmt_summary(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_distribution_are_near_and_others_are_not() {
        let uniform =
            |n: usize, from: f64| (0..n).map(|i| from + (i * 37 % n) as f64 / n as f64).collect::<Vec<_>>();
        assert!(distance(&uniform(100, 0.0), &uniform(2000, 0.0)) < 0.2);
        assert!(distance(&uniform(100, 0.3), &uniform(2000, 0.0)) > 1.5);
        assert_eq!(distance(&[], &[]), 0.0);
    }

    /// The preset against itself: records as the reference writes them, made with another seed.
    #[test]
    fn the_preset_agrees_with_itself() {
        let contexts = Contexts::builtin();
        let world = World { preset: Some(Preset::Reference), ..World::default() };
        let generator = Generator::new(&world, &contexts, 2, None).unwrap();
        let cell = Cell { op: 7, context: "zoo".into(), mode: Mode::Reverse };
        let sequence = generator.sequence(&cell).unwrap();
        let record = |i| {
            let record = sequence.problem(i).record();
            serde_json::from_value::<ReferenceRecord>(serde_json::to_value(record).unwrap()).unwrap()
        };
        let comparison = compare_reference((0..60).map(record), &contexts, 1, 5).unwrap();
        assert_eq!(comparison.unread, 0);
        let (_, all) = comparison.differences()[0];
        assert!(all.iter().all(|(difference, error)| difference.abs() <= 4.0 * error + 1e-9), "{comparison}");
        assert!(comparison.to_string().contains("reverse: forms of stated quantities"));
    }
}
