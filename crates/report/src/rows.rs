//! All evaluation rows of some runs, for data frames.

use std::path::PathBuf;

use runs::records::{EvalRow, StageKind};
use runs::{Folder, Stage};

use crate::chart;
use crate::error::ReportError;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A name.
    Text(String),
    /// A count, a step or a number of something.
    Whole(u64),
    /// A measure; none where it is not known.
    Real(Option<f64>),
    /// A yes or no.
    Flag(bool),
}

/// One problem of one evaluation of one model: a value for each column, with its name. `n`, `verified`, `correct` and
/// `truncated` are counts of samples, `process_acc` is a share, `tokens` the mean length of the responses, and `gold_nll` is
/// in nats per token. `last` is true for the stage's last model.
pub type Row = [(&'static str, Cell); 19];

/// A row for each problem of each evaluation, milestones included. A stage that several arms share has its rows once;
/// `arms` then holds all of them, separated by `;`.
///
/// # Errors
/// If a run cannot be read.
pub fn read(runs: &[PathBuf]) -> Result<Vec<Row>, ReportError> {
    let mut rows = Vec::new();
    for run in runs {
        let folder = Folder::read(run)?;
        let name =
            run.file_name().map_or_else(|| folder.manifest.name.clone(), |n| n.to_string_lossy().into());
        for (key, stage) in &folder.stages {
            of_stage(&mut rows, &name, &arms(&folder, key), stage);
        }
    }
    Ok(rows)
}

/// The rows as CSV, with a line of column names. What is not known is empty.
pub fn csv(rows: &[Row]) -> String {
    let columns =
        rows.first().map_or_else(Vec::new, |row| row.iter().map(|(name, _)| (*name).to_owned()).collect());
    let text = |(_, cell): &(&str, Cell)| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Whole(number) => number.to_string(),
        Cell::Real(number) => number.map_or_else(String::new, |number| number.to_string()),
        Cell::Flag(flag) => flag.to_string(),
    };
    chart::csv(&columns, rows.iter().map(|row| row.each_ref().map(text)))
}

fn arms(folder: &Folder, stage: &str) -> String {
    let through = folder.manifest.runs.iter().filter(|run| run.stages.iter().any(|name| name == stage));
    through.map(|run| run.arm.as_str()).collect::<Vec<_>>().join(";")
}

fn of_stage(rows: &mut Vec<Row>, run: &str, arms: &str, stage: &Stage) {
    let kind = match stage.info.kind {
        StageKind::PreTraining => "pre-training",
        StageKind::MidTraining => "mid-training",
        StageKind::Rl => "rl",
        StageKind::Elsewhere => "elsewhere",
    };
    let text = |text: &str| Cell::Text(text.to_owned());
    let count = |count: u32| Cell::Whole(count.into());
    let mut push = |suite: &str, step: u64, last: bool, row: &EvalRow| {
        rows.push([
            ("run", text(run)),
            ("arms", text(arms)),
            ("stage", text(&stage.info.name)),
            ("kind", text(kind)),
            ("seed", Cell::Whole(stage.info.seed)),
            ("step", Cell::Whole(step)),
            ("last", Cell::Flag(last)),
            ("suite", text(suite)),
            ("problem", Cell::Whole(row.problem)),
            ("op", count(row.op)),
            ("context", text(&row.context)),
            ("mode", text(row.mode.name())),
            ("n", count(row.n)),
            ("verified", count(row.verified)),
            ("correct", count(row.correct)),
            ("truncated", count(row.truncated)),
            ("process_acc", Cell::Real(Some(row.process_acc))),
            ("tokens", Cell::Real(Some(row.tokens).filter(|tokens| tokens.is_finite()))),
            ("gold_nll", Cell::Real(row.gold_nll)),
        ]);
    };
    for (suite, steps) in &stage.milestones {
        for (step, of_step) in steps {
            for row in of_step {
                push(suite, *step, false, row);
            }
        }
    }
    for (suite, of_suite) in &stage.evals {
        for row in of_suite {
            push(suite, stage.info.steps, true, row);
        }
    }
}
