//! The arms against each other, as the page shows them.

use runs::Metric;
use serde::Serialize;

use super::FigureView;
use super::bars::{Axis, class};
use super::tables::ops;
use crate::comparisons::{Comparison, RATE, note};
use crate::figures::Figure;
use crate::table::{Table, Word};
use crate::words;

/// The comparisons of one suite.
#[derive(Serialize)]
pub(super) struct ArmsView {
    suite: String,
    base: String,
    metrics: Vec<String>,
    axes: Vec<String>,
    bands: Vec<BandView>,
    figure: Option<FigureView>,
    /// The bands and metrics of `pairs`, as columns.
    columns: Vec<String>,
    pairs: Vec<PairView>,
    note: String,
}

#[derive(Serialize)]
struct BandView {
    name: String,
    ops: String,
    rows: Vec<RowView>,
}

#[derive(Serialize)]
struct RowView {
    model: String,
    cells: Vec<CellView>,
}

#[derive(Serialize)]
struct CellView {
    metric: String,
    points: String,
    bar: String,
    class: &'static str,
    /// Whether it remains at the false-discovery rate.
    kept: bool,
}

#[derive(Serialize)]
struct PairView {
    left: String,
    right: String,
    cells: Vec<CellView>,
}

pub(super) fn arms(table: &Table, figures: &[Figure]) -> Vec<ArmsView> {
    let several = table.comparisons.chunk_by(|a, b| a.suite == b.suite).count() > 1;
    let view = |of: &[Comparison]| {
        let id = if several { format!("differences-{}", of[0].suite) } else { "differences".to_owned() };
        let figure = figures.iter().find(|figure| figure.id == id).map(FigureView::new);
        of_suite(&of.iter().collect::<Vec<_>>(), figure)
    };
    table.comparisons.chunk_by(|a, b| a.suite == b.suite).map(view).collect()
}

fn of_suite(of: &[&Comparison], figure: Option<FigureView>) -> ArmsView {
    let base = &of[0].right;
    let mut metrics: Vec<Metric> = Vec::new();
    for c in of {
        if !metrics.contains(&c.metric) {
            metrics.push(c.metric);
        }
    }
    let against: Vec<&Comparison> = of.iter().copied().filter(|c| c.right == *base).collect();
    let axis = |metric: &Metric| {
        let of = against.iter().filter(|c| c.metric == *metric);
        Axis::of(of.flat_map(|c| [c.difference.low, c.difference.high]), true)
    };
    let axes: Vec<Axis> = metrics.iter().map(axis).collect();
    let bands = each(&against, |c| (&c.band, c.ops)).into_iter().map(|((band, ops_of), of)| BandView {
        name: band.clone(),
        ops: ops(ops_of),
        rows: each(&of, |c| &c.left)
            .into_iter()
            .map(|(model, of)| RowView { model: model.clone(), cells: cells(&of, &metrics, &axes) })
            .collect(),
    });
    let bands: Vec<BandView> = bands.collect();
    let columns = each(of, |c| (&c.band, c.metric)).into_iter();
    let pairs = each(of, |c| (&c.left, &c.right)).into_iter().map(|((left, right), of)| PairView {
        left: left.clone(),
        right: right.clone(),
        cells: of.iter().map(|c| cell(c, String::new())).collect(),
    });
    ArmsView {
        suite: of[0].suite.clone(),
        base: base.clone(),
        axes: axes.iter().map(Axis::head).collect(),
        columns: columns.map(|((band, metric), _)| format!("{band}, {metric}")).collect(),
        pairs: pairs.collect(),
        metrics: metrics.iter().map(|metric| metric.name()).collect(),
        bands,
        figure,
        note: note(of),
    }
}

/// The comparisons of each key, in the order of their first.
fn each<'c, K: PartialEq>(
    of: &[&'c Comparison],
    key: impl Fn(&'c Comparison) -> K,
) -> Vec<(K, Vec<&'c Comparison>)> {
    let mut groups: Vec<(K, Vec<&Comparison>)> = Vec::new();
    for c in of {
        let k = key(c);
        match groups.iter_mut().find(|(known, _)| *known == k) {
            Some((_, group)) => group.push(c),
            None => groups.push((k, vec![c])),
        }
    }
    groups
}

fn cells(of: &[&Comparison], metrics: &[Metric], axes: &[Axis]) -> Vec<CellView> {
    let columns = metrics.iter().zip(axes);
    let found = columns.filter_map(|(metric, axis)| {
        let c = of.iter().find(|c| c.metric == *metric)?;
        Some(cell(c, axis.bar(&c.difference, &[], None)))
    });
    found.collect()
}

fn cell(c: &Comparison, bar: String) -> CellView {
    CellView {
        metric: c.metric.name(),
        points: words::difference(c.metric, &c.difference),
        bar,
        class: class(Word::of(&c.difference)),
        kept: c.q <= RATE,
    }
}
