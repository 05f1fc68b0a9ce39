//! The result table: what each stage's model can do in each band, and what the stage changed.

use std::fmt::Write;
use std::path::Path;

use runs::records::{Band, FORMAT};
use runs::{Metric, Mode};
use serde::{Deserialize, Serialize};

use crate::claims::{self, Ruling};
use crate::columns;
use crate::comparisons::{self, Comparison};
use crate::error::ReportError;
use crate::measure::{Factor, Measure, Model, Slice};
use crate::stats::Estimate;
use crate::words;
use crate::words::left_out_sentence;
use runs::{Folder, LeftOut, files};

/// The results of a run; `results.json` is its serialised form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// [`FORMAT`]
    pub format: u32,
    /// The recipe's name.
    pub name: String,
    /// blake3 of the resolved recipe, hexadecimal.
    pub recipe_hash: String,
    /// Version of the program that made the run.
    pub revision: String,
    /// One row for each suite, model and band, over all problems and for each context and each mode alone.
    pub rows: Vec<Row>,
    /// The claims' verdicts.
    pub claims: Vec<Ruling>,
    /// The last models of all arms against each other; empty for a run of one arm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// Evaluations that nothing here rests on: they are of another suite of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// One model in one band. Rates are between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The suite of held-out problems.
    pub suite: String,
    /// The model: its stage, and its arms where there are several models of that stage.
    pub model: String,
    /// The band's name.
    pub band: String,
    /// Smallest and largest op of the band.
    pub ops: (u32, u32),
    /// The context; `None`: all of the suite together.
    pub context: Option<String>,
    /// The mode; `None`: all of the suite together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Samples per problem.
    pub samples: u32,
    /// The largest k.
    pub k: u32,
    /// pass@1: the chance that a sample is correct in answer and process.
    pub pass_1: Estimate,
    /// pass@k at the largest k.
    pub pass_k: Estimate,
    /// Share of samples with a correct answer and a wrong process.
    #[serde(rename = "right_wrong_process")]
    pub correct_by_wrong_process: Option<Estimate>,
    /// Further measures.
    pub measures: Vec<Measured>,
    /// The model it was trained from; `None` for the first stage.
    pub parent: Option<String>,
    /// Change of pass@1 against the parent, on the same problems.
    pub change_1: Option<Change>,
    /// Change of pass@k against the parent, on the same problems.
    pub change_k: Option<Change>,
}

/// A further measure of a model in a band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What was measured.
    pub metric: Metric,
    /// The mean over the problems.
    pub estimate: Estimate,
}

/// Draws that pass^k and maj@k of the table are about, where there are as many samples.
const DRAWS: u32 = 16;

/// A paired difference and what to call it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// This model minus its parent.
    pub difference: Estimate,
    /// Its name.
    pub word: Word,
}

/// What a difference amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// The interval lies above zero.
    Up,
    /// The interval lies below zero.
    Down,
    /// The interval contains zero.
    WithinNoise,
}

impl Word {
    /// The word for an estimated difference.
    pub fn of(difference: &Estimate) -> Self {
        match difference {
            d if d.low > 0.0 => Self::Up,
            d if d.high < 0.0 => Self::Down,
            _ => Self::WithinNoise,
        }
    }

    /// As text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::WithinNoise => "within noise",
        }
    }
}

/// Reads a run folder and makes its table.
///
/// # Errors
/// If the folder cannot be read.
pub fn table(run_dir: &Path) -> Result<Table, ReportError> {
    of_measure(&Measure::new(&Folder::read(run_dir)?), None)
}

/// Whether the run folder holds a table with results.
pub(crate) fn has_rows(run_dir: &Path) -> bool {
    let table = files::read_json::<serde_json::Value>(&run_dir.join("results.json"));
    table.is_ok_and(|table| table["rows"].as_array().is_some_and(|rows| !rows.is_empty()))
}

/// Writes the table as `results.json` into the run folder.
///
/// # Errors
/// If the file cannot be written.
pub fn write_results(run_dir: &Path, table: &Table) -> Result<(), ReportError> {
    let path = run_dir.join("results.json");
    Ok(files::write_json(&path, table)?)
}

pub(crate) fn of_measure(measure: &Measure, base: Option<&str>) -> Result<Table, ReportError> {
    let manifest = &measure.folder.manifest;
    let mut rows = Vec::new();
    for suite in measure.folder.suites() {
        let apart = Factor::of(measure, &suite).into_iter().flat_map(|factor| factor.levels);
        let parts: Vec<Slice> =
            std::iter::once(Slice::default()).chain(apart.map(|(_, slice)| slice)).collect();
        for part in &parts {
            for band in &manifest.bands {
                let slice = Slice { ops: Slice::ops(band.from, band.to).ops, ..part.clone() };
                let of = |model| row(measure, &suite, band, &slice, model);
                rows.extend(measure.models.iter().filter_map(of));
            }
        }
    }
    Ok(Table {
        format: FORMAT,
        name: manifest.name.clone(),
        recipe_hash: manifest.recipe_hash.clone(),
        revision: manifest.revision.clone(),
        rows,
        claims: claims::rulings(measure)?,
        comparisons: comparisons::comparisons(measure, base),
        left_out: measure.folder.left_out.clone(),
    })
}

fn row(measure: &Measure, suite: &str, band: &Band, slice: &Slice, model: &Model) -> Option<Row> {
    let samples = measure.samples(suite);
    let k = measure.ks(suite).last().copied()?;
    let mean = |metric| measure.mean(model, suite, slice, metric);
    let draws = DRAWS.min(samples);
    let further = [
        Metric::PassPow(draws),
        Metric::MajAt(draws),
        Metric::Cover(0.5),
        Metric::Correct,
        Metric::ProcessAcc,
        Metric::Truncated,
        Metric::Tokens,
        Metric::GoldNll,
    ];
    let parent = model.parent.map(|p| &measure.models[p]);
    let change = |metric| {
        let difference = measure.difference(model, parent?, suite, slice, metric)?;
        Some(Change { difference, word: Word::of(&difference) })
    };
    Some(Row {
        suite: suite.to_owned(),
        model: model.label.clone(),
        band: band.name.clone(),
        ops: (band.from, band.to),
        context: slice.context.clone(),
        mode: slice.mode,
        samples,
        k,
        pass_1: mean(Metric::PassAt(1))?,
        pass_k: mean(Metric::PassAt(k))?,
        correct_by_wrong_process: mean(Metric::CorrectByWrongProcess),
        measures: further
            .into_iter()
            .filter_map(|metric| Some(Measured { metric, estimate: mean(metric)? }))
            .collect(),
        parent: parent.map(|p| p.label.clone()),
        change_1: change(Metric::PassAt(1)),
        change_k: change(Metric::PassAt(k)),
    })
}

impl Table {
    /// The table for a terminal: aligned, without colour, at most about 110 columns for short names.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for rows in self.rows.chunk_by(|a, b| a.suite == b.suite) {
            let Some(first) = rows.first() else { continue };
            let mut lines = vec![Row::head(first.k)];
            let mut last = String::new();
            for row in rows {
                let mut line = row.cells();
                if line[0] == last {
                    line[0].clear();
                } else {
                    last.clone_from(&line[0]);
                }
                lines.push(line);
            }
            let _ = writeln!(out, "{} · suite {}\n", self.name, first.suite);
            out.push_str(&columns(&lines, |_| false));
            let _ = writeln!(out, "\n{}", Row::note(rows));
        }
        if !self.claims.is_empty() {
            out.push_str("\nClaims\n\n");
            let lines: Vec<_> = self.claims.iter().flat_map(claim_lines).collect();
            out.push_str(&columns(&lines, |_| false));
        }
        if !self.left_out.is_empty() {
            let _ = writeln!(out, "\n{}", left_out_sentence(&self.left_out));
        }
        if out.is_empty() {
            out.push_str("No stage has been evaluated yet.\n");
        }
        out
    }
}

fn range(values: impl Iterator<Item = u32> + Clone) -> String {
    match (values.clone().min(), values.max()) {
        (Some(low), Some(high)) if low != high => format!("{low}–{high}"),
        (Some(low), _) => low.to_string(),
        _ => "none".into(),
    }
}

impl Row {
    /// What [`Row::cells`] are.
    pub(crate) fn head(k: u32) -> [String; 6] {
        let (pass_k, change_k) = (format!("pass@{k}"), format!("change of pass@{k}"));
        ["band", "model", "pass@1", &pass_k, "change of pass@1", &change_k].map(str::to_owned)
    }

    /// Its context or mode; `None` for all of the suite together.
    pub(crate) fn level(&self) -> Option<&str> {
        self.context.as_deref().or(self.mode.map(Mode::name))
    }

    pub(crate) fn cells(&self) -> [String; 6] {
        let mut band = words::band_name(&self.band, self.ops);
        if let Some(level) = self.level() {
            let _ = write!(band, ", {level}");
        }
        let change = |c: &Option<Change>| {
            c.as_ref().map_or_else(String::new, |c| {
                format!("{}  {}", words::difference(Metric::PassAt(1), &c.difference), c.word.name())
            })
        };
        [
            band,
            self.model.clone(),
            words::estimate(Metric::PassAt(1), &self.pass_1),
            words::estimate(Metric::PassAt(self.k), &self.pass_k),
            change(&self.change_1),
            change(&self.change_k),
        ]
    }

    /// What the numbers of a suite's rows are.
    pub(crate) fn note(rows: &[Row]) -> String {
        format!(
            "Percent, with 95% intervals (bootstrap by problem). {} samples per problem, {} problems per band, seeds: {}.\n\
             Changes are in points against the parent model, on the same problems.",
            range(rows.iter().map(|r| r.samples)),
            range(rows.iter().map(|r| r.pass_1.problems)),
            range(rows.iter().map(|r| r.pass_1.seeds)),
        )
    }
}

/// The verdict with its numbers, and below it what the paper says and what scale would decide.
fn claim_lines(ruling: &Ruling) -> Vec<[String; 4]> {
    let claim = &ruling.claim;
    let paper = match ruling.paper_text() {
        text if text.is_empty() => text,
        text => format!("paper: {text}"),
    };
    let verdict = ruling.verdict.name().to_owned();
    let mut lines = vec![[verdict, ruling.effect_text(), paper, claim.says.clone()]];
    let power = ruling.power_text();
    for below in [format!("{}; cost: {}", ruling.basis_text(), ruling.cost_text()), power] {
        if !below.is_empty() {
            lines.push([String::new(), String::new(), String::new(), below]);
        }
    }
    lines
}
