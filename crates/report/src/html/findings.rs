//! What each stage changed, one sentence for each model that has a parent.

use std::fmt::Write;

use runs::Metric;
use serde::Serialize;

use crate::stats::Estimate;
use crate::table::{Table, Word};
use crate::words;

/// One sentence for each model that has a parent: what it changed in each band.
#[derive(Serialize)]
pub(super) struct Finding {
    model: String,
    parent: String,
    suite: String,
    bands: Vec<BandChange>,
}

#[derive(Serialize)]
struct BandChange {
    band: String,
    ops: (u32, u32),
    metric: String,
    before: String,
    after: String,
    points: String,
    word: &'static str,
    class: &'static str,
    bar: String,
}

pub(super) fn findings(table: &Table) -> Vec<Finding> {
    let pooled = || table.rows.iter().filter(|r| r.context.is_none());
    let changes = || pooled().flat_map(|r| [&r.change_1, &r.change_k]).flatten();
    let widest = changes().map(|c| c.difference.low.abs().max(c.difference.high.abs())).fold(0.0, f64::max);
    let mut findings: Vec<Finding> = Vec::new();
    for row in pooled() {
        let Some(parent) = &row.parent else { continue };
        let before = pooled().find(|r| r.suite == row.suite && r.band == row.band && r.model == *parent);
        let at =
            findings.iter().position(|f| f.model == row.model && f.suite == row.suite).unwrap_or_else(|| {
                findings.push(Finding {
                    model: row.model.clone(),
                    parent: parent.clone(),
                    suite: row.suite.clone(),
                    bands: Vec::new(),
                });
                findings.len() - 1
            });
        let parts = [
            (Metric::PassAt(1), &row.change_1, row.pass_1, before.map(|b| b.pass_1)),
            (Metric::PassAt(row.k), &row.change_k, row.pass_k, before.map(|b| b.pass_k)),
        ];
        for (metric, change, after, before) in parts {
            if let Some(change) = change {
                findings[at].bands.push(BandChange {
                    band: row.band.clone(),
                    ops: row.ops,
                    metric: metric.name(),
                    before: before.map_or_else(String::new, |b| words::estimate(metric, &b)),
                    after: words::estimate(metric, &after),
                    points: words::difference(metric, &change.difference),
                    word: change.word.name(),
                    class: class(change.word),
                    bar: bar(&change.difference, widest, &[], None),
                });
            }
        }
    }
    findings
}

pub(super) fn class(word: Word) -> &'static str {
    match word {
        Word::Up => "up",
        Word::Down => "down",
        Word::WithinNoise => "noise",
    }
}

/// A difference as a dot with its interval on an axis from −`widest` to +`widest`; dashes where a verdict
/// turns, a square at the paper's figure.
pub(super) fn bar(e: &Estimate, widest: f64, bounds: &[f64], paper: Option<f64>) -> String {
    let at = |v: f64| 80.0 + 74.0 * v / widest.max(1e-9);
    let class = class(Word::of(e));
    let (low, high, value) = (at(e.low), at(e.high), at(e.value));
    let mut marks = String::new();
    for bound in bounds.iter().filter(|b| **b != 0.0) {
        let _ = write!(marks, r#"<path class="bound" d="M{:.1} 1V17"/>"#, at(*bound));
    }
    if let Some(paper) = paper {
        let _ = write!(marks, r#"<path class="paper" d="M{:.1} 5h8v8h-8Z"/>"#, at(paper) - 4.0);
    }
    format!(
        r#"<svg class="bar {class}" viewBox="0 0 160 18" aria-hidden="true"><path class="zero" d="M80 1V17"/>{marks}<path class="span" d="M{low:.1} 9H{high:.1}M{low:.1} 5v8M{high:.1} 5v8"/><circle cx="{value:.1}" cy="9" r="4"/></svg>"#
    )
}
