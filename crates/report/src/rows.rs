//! All evaluation rows of some runs as one file for data frames.

use std::path::{Path, PathBuf};

use runs::records::{EvalRow, StageKind};
use runs::{Folder, Stage, files};

use crate::chart::csv;
use crate::error::ReportError;

/// The columns, in their order.
const COLUMNS: [&str; 19] = [
    "run",
    "arms",
    "stage",
    "kind",
    "seed",
    "step",
    "last",
    "suite",
    "problem",
    "op",
    "context",
    "mode",
    "n",
    "verified",
    "correct",
    "truncated",
    "process_acc",
    "tokens",
    "gold_nll",
];

/// Writes a row for each problem of each evaluation, milestones included, as CSV. A stage that several arms share has its
/// rows once; `arms` then holds all of them, separated by `;`. `n`, `verified`, `correct` and `truncated` are counts of
/// samples. `last` is true for the stage's last model.
///
/// # Errors
/// If the file's name does not end in `.csv`, a run cannot be read, or the file cannot be written.
pub fn write(path: &Path, runs: &[PathBuf]) -> Result<(), ReportError> {
    if path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("csv")) {
        return Err(ReportError::TableFormat { path: path.to_owned() });
    }
    let mut rows = Vec::new();
    for run in runs {
        let folder = Folder::read(run)?;
        let name =
            run.file_name().map_or_else(|| folder.manifest.name.clone(), |n| n.to_string_lossy().into());
        for (key, stage) in &folder.stages {
            of_stage(&mut rows, &name, &arms(&folder, key), stage);
        }
    }
    let columns = COLUMNS.map(str::to_owned);
    Ok(files::write(path, csv(&columns, rows).as_bytes())?)
}

fn arms(folder: &Folder, stage: &str) -> String {
    let through = folder.manifest.runs.iter().filter(|run| run.stages.iter().any(|name| name == stage));
    through.map(|run| run.arm.as_str()).collect::<Vec<_>>().join(";")
}

fn of_stage(rows: &mut Vec<[String; 19]>, run: &str, arms: &str, stage: &Stage) {
    let kind = match stage.info.kind {
        StageKind::PreTraining => "pre-training",
        StageKind::MidTraining => "mid-training",
        StageKind::Rl => "rl",
        StageKind::Elsewhere => "elsewhere",
    };
    let mut push = |suite: &str, step: u64, last: bool, row: &EvalRow| {
        rows.push([
            run.to_owned(),
            arms.to_owned(),
            stage.info.name.clone(),
            kind.to_owned(),
            stage.info.seed.to_string(),
            step.to_string(),
            last.to_string(),
            suite.to_owned(),
            row.problem.to_string(),
            row.op.to_string(),
            row.context.clone(),
            row.mode.name().to_owned(),
            row.n.to_string(),
            row.verified.to_string(),
            row.correct.to_string(),
            row.truncated.to_string(),
            row.process_acc.to_string(),
            row.tokens.to_string(),
            row.gold_nll.map_or_else(String::new, |nll| nll.to_string()),
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
