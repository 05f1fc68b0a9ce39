//! The result tables as the page shows them: every number of a model in a band, and what its stage changed.

use runs::Metric;
use serde::Serialize;

use super::bars::{Axis, class};
use crate::stats::Estimate;
use crate::table::{Change, Row, Table};
use crate::words;

/// The rows of one suite.
#[derive(Serialize)]
pub(super) struct SuiteView {
    name: String,
    k: u32,
    samples: u32,
    /// Heads of the columns of changes.
    axes: [String; 2],
    /// Names of the further measures, as columns.
    measures: Vec<String>,
    /// All of the suite together.
    bands: Vec<BandView>,
    /// The same for each context and each mode alone.
    parts: Vec<PartView>,
}

/// The bands of each level of a factor.
#[derive(Serialize)]
struct PartView {
    /// `context` or `mode`.
    factor: &'static str,
    bands: Vec<BandView>,
}

#[derive(Serialize)]
struct BandView {
    name: String,
    ops: String,
    level: Option<String>,
    problems: u32,
    rows: Vec<RowView>,
}

#[derive(Serialize)]
struct RowView {
    model: String,
    pass_1: String,
    pass_k: String,
    measures: Vec<String>,
    change_1: Option<ChangeView>,
    change_k: Option<ChangeView>,
}

#[derive(Serialize)]
struct ChangeView {
    points: String,
    word: &'static str,
    class: &'static str,
    bar: String,
}

impl ChangeView {
    fn new(change: &Change, axis: &Axis) -> Self {
        Self {
            points: words::difference(Metric::PassAt(1), &change.difference),
            word: change.word.name(),
            class: class(change.word),
            bar: axis.bar(&change.difference, &[], None),
        }
    }
}

pub(super) fn suites(table: &Table) -> Vec<SuiteView> {
    table.rows.chunk_by(|a, b| a.suite == b.suite).filter_map(suite).collect()
}

fn suite(rows: &[Row]) -> Option<SuiteView> {
    let first = rows.first()?;
    let axis = |of: fn(&Row) -> &Option<Change>| {
        let ends = rows.iter().filter_map(of_change(of)).flat_map(|c| [c.difference.low, c.difference.high]);
        Axis::of(ends, true)
    };
    let axes = [axis(|row| &row.change_1), axis(|row| &row.change_k)];
    let bands = |fits: &dyn Fn(&Row) -> bool| -> Vec<BandView> {
        let rows: Vec<&Row> = rows.iter().filter(|row| fits(row)).collect();
        rows.chunk_by(|a, b| a.band == b.band && a.level() == b.level())
            .filter_map(|rows| band(rows, &axes))
            .collect()
    };
    let parts = [
        PartView { factor: "context", bands: bands(&|row| row.context.is_some()) },
        PartView { factor: "mode", bands: bands(&|row| row.mode.is_some()) },
    ];
    Some(SuiteView {
        name: first.suite.clone(),
        k: first.k,
        samples: first.samples,
        axes: axes.each_ref().map(Axis::head),
        measures: further(first).into_iter().map(|(metric, _)| metric.name()).collect(),
        bands: bands(&|row| row.level().is_none()),
        parts: parts.into_iter().filter(|part| !part.bands.is_empty()).collect(),
    })
}

/// What is measured besides pass@k.
fn further(row: &Row) -> Vec<(Metric, Estimate)> {
    let by_wrong_process = row.correct_by_wrong_process.map(|e| (Metric::CorrectByWrongProcess, e));
    by_wrong_process.into_iter().chain(row.measures.iter().map(|m| (m.metric, m.estimate))).collect()
}

fn of_change(of: fn(&Row) -> &Option<Change>) -> impl Fn(&Row) -> Option<&Change> {
    move |row| of(row).as_ref()
}

fn band(rows: &[&Row], axes: &[Axis; 2]) -> Option<BandView> {
    let first = rows.first()?;
    Some(BandView {
        name: first.band.clone(),
        ops: ops(first.ops),
        level: first.level().map(str::to_owned),
        problems: first.pass_1.problems,
        rows: rows.iter().map(|row| RowView::new(row, axes)).collect(),
    })
}

/// The ops of a band, e.g. `op 6–7`.
pub(super) fn ops((from, to): (u32, u32)) -> String {
    if from == to { format!("op {from}") } else { format!("op {from}–{to}") }
}

impl RowView {
    fn new(row: &Row, axes: &[Axis; 2]) -> Self {
        let change = |change: &Option<Change>, axis| change.as_ref().map(|c| ChangeView::new(c, axis));
        Self {
            model: row.model.clone(),
            pass_1: words::estimate(Metric::PassAt(1), &row.pass_1),
            pass_k: words::estimate(Metric::PassAt(row.k), &row.pass_k),
            measures: further(row).into_iter().map(|(metric, e)| words::estimate(metric, &e)).collect(),
            change_1: change(&row.change_1, &axes[0]),
            change_k: change(&row.change_k, &axes[1]),
        }
    }
}
