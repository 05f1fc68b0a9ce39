//! The result tables as the page shows them.

use runs::Metric;
use serde::Serialize;

use super::findings::class;
use crate::table::{Change, Row, Table};
use crate::words;

/// The rows of one suite.
#[derive(Serialize)]
pub(super) struct SuiteView {
    name: String,
    k: u32,
    samples: u32,
    /// Names of the further measures, as columns.
    measures: Vec<String>,
    bands: Vec<BandView>,
}

#[derive(Serialize)]
struct BandView {
    name: String,
    ops: (u32, u32),
    context: Option<String>,
    problems: u32,
    rows: Vec<RowView>,
}

#[derive(Serialize)]
struct RowView {
    model: String,
    pass_1: String,
    pass_k: String,
    wrong_process: String,
    measures: Vec<String>,
    change_1: Option<ChangeView>,
    change_k: Option<ChangeView>,
}

#[derive(Serialize)]
struct ChangeView {
    points: String,
    word: &'static str,
    class: &'static str,
}

impl ChangeView {
    fn new(change: &Change) -> Self {
        Self {
            points: words::difference(Metric::PassAt(1), &change.difference),
            word: change.word.name(),
            class: class(change.word),
        }
    }
}

pub(super) fn suites(table: &Table) -> Vec<SuiteView> {
    let mut suites: Vec<SuiteView> = Vec::new();
    for row in &table.rows {
        if suites.last().is_none_or(|s| s.name != row.suite) {
            suites.push(SuiteView {
                name: row.suite.clone(),
                k: row.k,
                samples: row.samples,
                measures: row.measures.iter().map(|m| m.metric.name()).collect(),
                bands: Vec::new(),
            });
        }
        let Some(suite) = suites.last_mut() else { continue };
        if suite.bands.last().is_none_or(|b| b.name != row.band || b.context != row.context) {
            suite.bands.push(BandView {
                name: row.band.clone(),
                ops: row.ops,
                context: row.context.clone(),
                problems: row.pass_1.problems,
                rows: Vec::new(),
            });
        }
        if let Some(band) = suite.bands.last_mut() {
            band.rows.push(RowView::new(row));
        }
    }
    suites
}

impl RowView {
    fn new(row: &Row) -> Self {
        Self {
            model: row.model.clone(),
            pass_1: words::estimate(Metric::PassAt(1), &row.pass_1),
            pass_k: words::estimate(Metric::PassAt(row.k), &row.pass_k),
            wrong_process: row
                .correct_by_wrong_process
                .as_ref()
                .map_or_else(|| "–".into(), |e| words::estimate(Metric::CorrectByWrongProcess, e)),
            measures: row.measures.iter().map(|m| words::estimate(m.metric, &m.estimate)).collect(),
            change_1: row.change_1.as_ref().map(ChangeView::new),
            change_k: row.change_k.as_ref().map(ChangeView::new),
        }
    }
}
