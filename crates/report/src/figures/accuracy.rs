//! How good the models are: by band, by difficulty, by context, by arm.

use std::collections::BTreeSet;

use runs::Metric;

use super::ink::{hue, ink};
use super::{Figure, by_band, panels_of, plain, rate};
use crate::chart::{Axis, Chart, DotRow, Dots, Format, Heat, Plot, PlotPoint, Scale, Series, Value};
use crate::measure::{Factor, Measure, Model, Slice};
use crate::words;

pub(super) fn pass_at_k(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    Figure::new(
        &format!("pass-at-k{suffix}"),
        "pass@k by band, after each stage",
        "Chance that at least one of k samples is correct in its answer and in every step. Areas are 95% intervals (bootstrap by problem).",
        pass_panels(measure, suite, "", &Slice::default()),
    )
}

pub(super) fn pass_at_k_by(measure: &Measure, suite: &str, suffix: &str, factor: &Factor) -> Option<Figure> {
    let panels = factor.levels.iter().flat_map(|(level, slice)| pass_panels(measure, suite, level, slice));
    Figure::new(
        &format!("pass-at-k-by-{}{suffix}", factor.name),
        &format!("pass@k by {}", factor.name),
        &format!("pass@k of each {} alone. Areas are 95% intervals.", factor.name),
        panels.collect(),
    )
}

/// A panel for each band of one level of a factor.
fn pass_panels(measure: &Measure, suite: &str, level: &str, of: &Slice) -> Vec<Chart> {
    let ks = measure.ks(suite);
    let mut panels = Vec::new();
    for (models, part) in panels_of(measure) {
        for band in &measure.folder.manifest.bands {
            let slice = Slice { ops: Slice::ops(band.from, band.to).ops, ..of.clone() };
            let series = each_model(measure, &models, |model| {
                let point = |&k: &u32| {
                    let e = measure.mean(model, suite, &slice, Metric::PassAt(k))?;
                    Some(PlotPoint { x: f64::from(k), y: e.value, interval: Some((e.low, e.high)) })
                };
                ks.iter().filter_map(point).collect()
            });
            let title = format!("{}{part}", words::band_name(&band.name, (band.from, band.to)));
            let title = labelled(level, title);
            if !series.is_empty() {
                panels.push(Chart::Plot(Plot {
                    title,
                    x: plain("k", Scale::Log2),
                    y: rate("pass@k"),
                    series,
                }));
            }
        }
    }
    panels
}

fn labelled(level: &str, title: String) -> String {
    if level.is_empty() { title } else { format!("{level}, {title}") }
}

/// The last model of every arm side by side; nothing for a run of one arm.
pub(super) fn arms(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let last = measure.last_models();
    if last.len() < 2 {
        return None;
    }
    let metrics = [Metric::PassAt(1), Metric::PassAt(measure.most(suite))];
    let panel = |title: String, slice: &Slice| {
        let value = |model: &Model, metric| measure.mean(model, suite, slice, metric).map(Value::from);
        let row = |model: &&Model| DotRow {
            name: model.label.clone(),
            hue: hue(measure, model),
            values: metrics.map(|m| value(model, m)).to_vec(),
        };
        let rows: Vec<DotRow> = last.iter().map(row).collect();
        rows.iter().any(|row| row.values.iter().any(Option::is_some)).then(|| {
            let series = metrics.iter().map(|metric| metric.name()).collect();
            let (label, format, range) = ("share of problems".into(), Format::Percent, Some((0.0, 1.0)));
            Chart::Dots(Dots { title, label, format, range, series, rows })
        })
    };
    Figure::new(
        &format!("arms{suffix}"),
        "The arms side by side",
        "The last model of every arm, with 95% intervals. Overlapping intervals do not show whether two arms differ: their paired differences are the next figure.",
        by_band(measure, panel),
    )
}

pub(super) fn by_op(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let most = measure.most(suite);
    let metrics = [Metric::PassAt(1), Metric::PassAt(most), Metric::Correct, Metric::ProcessAcc];
    let metrics = metrics.into_iter().filter(|m| *m != Metric::PassAt(most) || most > 1);
    Figure::new(
        &format!("by-op{suffix}"),
        "Accuracy by difficulty",
        "The same models by number of operations (op). “Correct” counts correct answers, whatever the steps are. Process accuracy is the share of quantities that a solution computes correctly. Areas are 95% intervals.",
        metrics.flat_map(|m| op_panels(measure, suite, "", &Slice::default(), m)).collect(),
    )
}

pub(super) fn by_op_and(measure: &Measure, suite: &str, suffix: &str, factor: &Factor) -> Option<Figure> {
    let most = measure.most(suite);
    let metrics = [Metric::PassAt(1), Metric::PassAt(most)];
    let metrics = || metrics.into_iter().filter(|m| *m != Metric::PassAt(most) || most > 1);
    let level = |(name, slice): &(String, Slice)| -> Vec<Chart> {
        metrics().flat_map(|m| op_panels(measure, suite, name, slice, m)).collect()
    };
    let about = match factor.name {
        "context" => "What was learned in one context and what transfers to another.",
        _ => {
            "Forward problems ask for the last quantity. Reverse problems give it and ask for an earlier one."
        }
    };
    Figure::new(
        &format!("by-op-by-{}{suffix}", factor.name),
        &format!("Accuracy by difficulty and {}", factor.name),
        &format!("{about} Areas are 95% intervals."),
        factor.levels.iter().flat_map(level).collect(),
    )
}

fn op_panels(measure: &Measure, suite: &str, level: &str, of: &Slice, metric: Metric) -> Vec<Chart> {
    let ops = ops(measure, suite);
    let (Some(first), Some(last)) = (ops.first(), ops.last()) else { return Vec::new() };
    let mut panels = Vec::new();
    for (models, part) in panels_of(measure) {
        let series = each_model(measure, &models, |model| {
            let point = |&op: &u32| {
                let slice = Slice { ops: Slice::ops(op, op).ops, ..of.clone() };
                let e = measure.mean(model, suite, &slice, metric)?;
                Some(PlotPoint { x: f64::from(op), y: e.value, interval: Some((e.low, e.high)) })
            };
            ops.iter().filter_map(point).collect()
        });
        let title = labelled(level, format!("{}{part}", metric.name()));
        let x = Axis { range: Some((f64::from(*first), f64::from(*last))), ..plain("op", Scale::Whole) };
        let y = if metric.is_rate() { rate("share") } else { plain("nats per token", Scale::Linear) };
        if !series.is_empty() {
            panels.push(Chart::Plot(Plot { title, x, y, series }));
        }
    }
    panels
}

fn ops(measure: &Measure, suite: &str) -> Vec<u32> {
    let rows = measure.folder.stages.values().filter_map(|s| s.evals.get(suite)).flatten();
    let ops: BTreeSet<u32> = rows.map(|row| row.op).collect();
    ops.into_iter().collect()
}

/// One line for each model that has points.
fn each_model(
    measure: &Measure,
    models: &[&Model],
    points: impl Fn(&Model) -> Vec<PlotPoint>,
) -> Vec<Series> {
    let line = |model: &&Model| {
        let points = points(model);
        (!points.is_empty()).then(|| Series {
            name: model.label.clone(),
            ink: ink(measure, model),
            markers: true,
            points,
            observed: Vec::new(),
        })
    };
    models.iter().filter_map(line).collect()
}

/// How the bands fill while the models are trained, where their milestones were evaluated.
pub(super) fn ladder(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let models: Vec<&Model> = measure.models.iter().collect();
    let panel = |title: String, slice: &Slice, metric: Metric| {
        let series = each_model(measure, &models, |model| {
            let found = measure.milestones(model, suite, slice, metric);
            let found = if found.len() > 1 { found } else { Vec::new() };
            let point = |(step, e): (u64, crate::stats::Estimate)| PlotPoint {
                x: step as f64,
                y: e.value,
                interval: Some((e.low, e.high)),
            };
            found.into_iter().map(point).collect()
        });
        let (title, x, y) = (format!("{title}, {metric}"), plain("step", Scale::Whole), rate(&metric.name()));
        (!series.is_empty()).then_some(Chart::Plot(Plot { title, x, y, series }))
    };
    let metrics = [Metric::PassAt(1), Metric::PassAt(measure.most(suite))];
    let panels = metrics.map(|metric| by_band(measure, |title, slice| panel(title, slice, metric)));
    Figure::new(
        &format!("ladder{suffix}"),
        "The bands during training",
        "How each band fills while a stage is trained. Areas are 95% intervals.",
        panels.into_iter().flatten().collect(),
    )
}

pub(super) fn nll(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let ops = ops(measure, suite);
    let row = |model: &Model| {
        let parent = &measure.models[model.parent?];
        let change = |op: &u32| {
            measure.difference(model, parent, suite, &Slice::ops(*op, *op), Metric::GoldNll).map(Value::from)
        };
        let values: Vec<Option<Value>> = ops.iter().map(change).collect();
        values.iter().any(Option::is_some).then(|| (model.label.clone(), values))
    };
    let rows: Vec<_> = measure.models.iter().filter_map(row).collect();
    let heat = Heat {
        title: "change against the stage before".into(),
        label: "nats per token, by op; negative: gold solutions became more likely".into(),
        columns: ops.iter().map(ToString::to_string).collect(),
        rows,
    };
    let mut panels = Vec::new();
    if !heat.rows.is_empty() {
        panels.push(Chart::Heat(heat));
    }
    panels.extend(op_panels(measure, suite, "", &Slice::default(), Metric::GoldNll));
    Figure::new(
        &format!("nll{suffix}"),
        "Likelihood of the gold solutions",
        "Negative log-likelihood of the reference solutions by difficulty, and how each stage changed it.",
        panels,
    )
}
