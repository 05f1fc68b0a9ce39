//! What the samples are: correct, wrong, cut off, and what goes wrong first.

use std::collections::BTreeMap;

use runs::records::EvalRow;

use super::{Figure, PARTS, by_band};
use crate::chart::{Bars, Chart, Format, Value};
use crate::measure::{Measure, Model, Slice};

/// Fault kinds that get a part of their own; the rest are one.
const FAULTS_MAX: usize = 7;

/// A number of samples as a share of a problem's samples.
fn share(row: &EvalRow, count: u32) -> Option<f64> {
    (row.n > 0).then(|| f64::from(count) / f64::from(row.n))
}

/// Bars of shares of the samples, one for each model, with intervals.
fn shares(
    measure: &Measure,
    suite: &str,
    slice: &Slice,
    title: String,
    parts: &[(String, usize)],
    counts: impl Fn(&EvalRow, usize) -> u32,
) -> Option<Chart> {
    let bar = |model: &Model| {
        let part = |i: usize| {
            measure.mean_of(model, suite, slice, Some((0.0, 1.0)), |row| share(row, counts(row, i)))
        };
        let values: Option<Vec<Value>> = (0..parts.len()).map(|i| part(i).map(Value::from)).collect();
        Some((model.label.clone(), values?))
    };
    let bars: Vec<_> = measure.models.iter().filter_map(bar).collect();
    (!bars.is_empty()).then(|| {
        let label = "share of samples".into();
        Chart::Bars(Bars { title, label, format: Format::Percent, parts: parts.to_vec(), bars })
    })
}

pub(super) fn outcomes(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let names = ["correct in every step", "correct answer, wrong process", "wrong answer", "cut off"];
    let parts: Vec<(String, usize)> = names.map(str::to_owned).into_iter().zip([2, 1, 0, 5]).collect();
    let cut = |row: &EvalRow| row.truncated.min(row.n.saturating_sub(row.correct));
    let counts = |row: &EvalRow, part: usize| match part {
        0 => row.verified,
        1 => row.correct.saturating_sub(row.verified),
        2 => row.n.saturating_sub(row.correct).saturating_sub(cut(row)),
        _ => cut(row),
    };
    Figure::new(
        &format!("outcomes{suffix}"),
        "Outcomes of the samples",
        "Every sample is one of four kinds. Unparsable and empty samples are wrong answers. Intervals on hover and in the numbers.",
        by_band(measure, |title, slice| shares(measure, suite, slice, title, &parts, counts)),
    )
}

pub(super) fn faults(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for row in measure.folder.stages.values().filter_map(|s| s.evals.get(suite)).flatten() {
        for (fault, count) in &row.first_faults {
            *totals.entry(fault).or_default() += u64::from(*count);
        }
    }
    let mut kinds: Vec<(&str, u64)> = totals.into_iter().collect();
    kinds.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let rest = kinds.split_off(kinds.len().min(FAULTS_MAX));
    let mut parts: Vec<(String, usize)> =
        kinds.iter().zip(PARTS).map(|((name, _), slot)| ((*name).to_owned(), slot)).collect();
    if !rest.is_empty() {
        parts.push(("others".into(), 0));
    }
    if parts.is_empty() {
        return None;
    }
    let count = |row: &EvalRow, name: &str| row.first_faults.get(name).copied().unwrap_or(0);
    let counts = |row: &EvalRow, part: usize| match kinds.get(part) {
        Some((name, _)) => count(row, name),
        None => rest.iter().map(|(name, _)| count(row, name)).sum(),
    };
    Figure::new(
        &format!("faults{suffix}"),
        "First faults",
        "What goes wrong first in every sample that has a fault. Intervals on hover and in the numbers.",
        by_band(measure, |title, slice| shares(measure, suite, slice, title, &parts, counts)),
    )
}
