//! How our problems compare with the reference generator's, measured on both with the same yardstick: the text.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::context::{Contexts, Style};
use crate::generator::Generator;
use crate::gold::Mode;
use crate::parse::solution::{Step, steps};
use crate::spec::{Cell, Preset, SpecError, World};

/// The fields of a reference record that the comparison uses; others are ignored.
#[derive(Debug, Clone, Deserialize)]
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
pub const FORMS: [&str; 9] = [
    "number",
    "P",
    "c + P",
    "c * P",
    "P + Q",
    "P - Q",
    "c o (P + Q)",
    "c o (P - Q)",
    "three or four operands",
];

/// Running sums of a set of problems.
#[derive(Debug, Clone, Default)]
struct Sums {
    count: f64,
    totals: [f64; METRICS.len()],
    squares: [f64; METRICS.len()],
    forms: [f64; FORMS.len()],
}

impl Sums {
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
        self.count += 1.0;
        for (k, value) in values.into_iter().enumerate() {
            self.totals[k] += value;
            self.squares[k] += value * value;
        }
        Some(())
    }

    fn mean(&self, metric: usize) -> f64 {
        self.totals[metric] / self.count.max(1.0)
    }

    /// Standard error of the mean.
    fn error(&self, metric: usize) -> f64 {
        let mean = self.mean(metric);
        let variance = (self.squares[metric] / self.count.max(1.0) - mean * mean).max(0.0);
        (variance / (self.count - 1.0).max(1.0)).sqrt()
    }
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
    cells: BTreeMap<(Mode, u32), (Sums, Sums)>,
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
    let mut drawn: BTreeMap<Cell, u64> = BTreeMap::new();
    let mut comparison = Comparison { cells: BTreeMap::new(), unread: 0 };
    for record in records {
        let mode = if record.mode == Mode::Reverse.reference_name() { Mode::Reverse } else { Mode::Forward };
        let cell = Cell { op: record.op, context: record.template.clone(), mode };
        let (theirs, ours) = comparison.cells.entry((mode, record.op)).or_default();
        if theirs.add(&record.problem, &record.solution).is_none() {
            comparison.unread += 1;
            continue;
        }
        if !drawn.contains_key(&cell) {
            generator.check(&cell)?;
        }
        let next = drawn.entry(cell.clone()).or_insert(0);
        for _ in 0..per_problem {
            let problem = generator.problem(&cell, *next);
            *next += 1;
            let _ = ours.add(&problem.problem, &problem.solution);
        }
    }
    Ok(comparison)
}

impl Comparison {
    /// The differences in each cell.
    pub fn differences(&self) -> Vec<((Mode, u32), Differences)> {
        let of = |(theirs, ours): &(Sums, Sums)| {
            std::array::from_fn(|k| {
                let base = theirs.mean(k).abs().max(1e-9) / 100.0;
                ((ours.mean(k) - theirs.mean(k)) / base, theirs.error(k).hypot(ours.error(k)) / base)
            })
        };
        self.cells.iter().map(|(cell, sums)| (*cell, of(sums))).collect()
    }

    /// The share of each form, in percent, the reference's and ours.
    pub fn forms(&self, mode: Mode) -> Vec<(&'static str, f64, f64)> {
        let share = |pick: fn(&(Sums, Sums)) -> &Sums, k: usize| {
            let cells = self.cells.iter().filter(|((m, _), _)| *m == mode).map(|(_, sums)| pick(sums));
            let (part, all) =
                cells.fold((0.0, 0.0), |(p, a), s| (p + s.forms[k], a + s.forms.iter().sum::<f64>()));
            100.0 * part / f64::max(all, 1.0)
        };
        FORMS.iter().enumerate().map(|(k, form)| (*form, share(|s| &s.0, k), share(|s| &s.1, k))).collect()
    }
}

/// The table.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mode in [Mode::Forward, Mode::Reverse] {
            writeln!(f, "{}: reference → ours (difference in % ± standard error)", mode.name())?;
            write!(f, "{:>3}", "op")?;
            for metric in METRICS {
                write!(f, " | {metric:>26}")?;
            }
            writeln!(f)?;
            for ((of, op), (theirs, ours)) in self.cells.iter().filter(|((m, _), _)| *m == mode) {
                write!(f, "{op:>3}")?;
                for (k, (difference, error)) in self
                    .differences()
                    .iter()
                    .find(|(c, _)| c == &(*of, *op))
                    .map(|(_, d)| *d)
                    .iter()
                    .flatten()
                    .enumerate()
                {
                    let (a, b) = (theirs.mean(k), ours.mean(k));
                    write!(f, " | {a:>7.2} {b:>7.2} {difference:>+5.1}±{error:<4.1}")?;
                }
                writeln!(f)?;
            }
            writeln!(f, "forms of stated quantities on the path, % (reference, ours)")?;
            for (form, theirs, ours) in self.forms(mode) {
                writeln!(f, "  {form:<24}{theirs:>6.1}{ours:>6.1}")?;
            }
        }
        writeln!(f, "over all {} cells (mode × op), difference in %", self.cells.len())?;
        for (k, metric) in METRICS.iter().enumerate() {
            let all: Vec<(f64, f64)> = self.differences().iter().map(|(_, cell)| cell[k]).collect();
            let mean = all.iter().map(|d| d.0).sum::<f64>() / all.len().max(1) as f64;
            let largest = all.iter().map(|d| d.0.abs()).fold(0.0, f64::max);
            let beyond = all.iter().filter(|d| d.0.abs() > 3.0 * d.1 + 1e-9).count();
            writeln!(
                f,
                "  {metric:<20} mean {mean:>+5.1}, largest {largest:>5.1}, beyond 3 standard errors: {beyond}"
            )?;
        }
        Ok(())
    }
}
