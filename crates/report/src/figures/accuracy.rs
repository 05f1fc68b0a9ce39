//! How good the models are: by band, by difficulty, by context, by arm.

use std::collections::BTreeSet;

use runs::Metric;

use super::{Figure, PARTS, by_band, panels_of, plain, rate};
use crate::chart::{Axis, Chart, Dots, Format, Heat, Plot, PlotPoint, Scale, Series, Value};
use crate::measure::{Measure, Model, Slice};
use crate::words;

pub(super) fn pass_at_k(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    Figure::new(
        &format!("pass-at-k{suffix}"),
        "pass@k by band, after each stage",
        "Chance that at least one of k samples is correct in its answer and in every step. Bands are 95% intervals (bootstrap by problem).",
        pass_panels(measure, suite, None),
    )
}

pub(super) fn by_context(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let contexts = measure.contexts(suite);
    if contexts.len() < 2 {
        return None;
    }
    Figure::new(
        &format!("pass-at-k-by-context{suffix}"),
        "pass@k by context",
        "The same for each context alone.",
        contexts.iter().flat_map(|c| pass_panels(measure, suite, Some(c))).collect(),
    )
}

fn pass_panels(measure: &Measure, suite: &str, context: Option<&String>) -> Vec<Chart> {
    let ks = measure.ks(suite);
    let mut panels = Vec::new();
    for (models, part) in panels_of(measure) {
        for band in &measure.folder.manifest.bands {
            let slice = Slice { context: context.cloned(), ..Slice::ops(band.from, band.to) };
            let series = each_model(&models, |model| {
                let point = |&k: &u32| {
                    let e = measure.mean(model, suite, &slice, Metric::PassAt(k))?;
                    Some(PlotPoint { x: f64::from(k), y: e.value, interval: Some((e.low, e.high)) })
                };
                ks.iter().filter_map(point).collect()
            });
            let skin = context.map_or_else(String::new, |c| format!("{c}, "));
            let title = format!("{skin}{}{part}", words::band_name(&band.name, (band.from, band.to)));
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

/// The last model of every arm side by side; nothing for a run of one arm.
pub(super) fn arms(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let last = measure.last_models();
    if last.len() < 2 {
        return None;
    }
    let metrics = [Metric::PassAt(1), Metric::PassAt(measure.most(suite))];
    let panel = |title: String, slice: &Slice| {
        let value = |model: &Model, metric| measure.mean(model, suite, slice, metric).map(Value::from);
        let row = |model: &&Model| (model.label.clone(), metrics.map(|m| value(model, m)).to_vec());
        let rows: Vec<_> = last.iter().map(row).collect();
        rows.iter().any(|(_, v)| v.iter().any(Option::is_some)).then(|| {
            let series = metrics.iter().map(|m| m.name()).zip([2, 1]).collect();
            let (label, format, range) = ("share of problems".into(), Format::Percent, Some((0.0, 1.0)));
            Chart::Dots(Dots { title, label, format, range, series, rows })
        })
    };
    Figure::new(
        &format!("arms{suffix}"),
        "The arms side by side",
        "The last model of every arm, with 95% intervals. Overlapping intervals do not show whether two arms differ; their paired difference does.",
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
        "The same models by number of operations. A correct answer counts whatever the steps are. Process accuracy is the share of quantities that a solution computes correctly. Bands are 95% intervals.",
        metrics.flat_map(|m| op_panels(measure, suite, None, m)).collect(),
    )
}

pub(super) fn by_context_and_op(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let contexts = measure.contexts(suite);
    if contexts.len() < 2 {
        return None;
    }
    let most = Metric::PassAt(measure.most(suite));
    let panels = contexts.iter().flat_map(|c| [(c, Metric::PassAt(1)), (c, most)]);
    Figure::new(
        &format!("by-op-by-context{suffix}"),
        "Accuracy by difficulty and context",
        "What was learned in one context and what transfers to another. Bands are 95% intervals.",
        panels.flat_map(|(context, m)| op_panels(measure, suite, Some(context), m)).collect(),
    )
}

fn op_panels(measure: &Measure, suite: &str, context: Option<&String>, metric: Metric) -> Vec<Chart> {
    let ops = ops(measure, suite);
    let (Some(first), Some(last)) = (ops.first(), ops.last()) else { return Vec::new() };
    let mut panels = Vec::new();
    for (models, part) in panels_of(measure) {
        let series = each_model(&models, |model| {
            let point = |&op: &u32| {
                let slice = Slice { context: context.cloned(), ..Slice::ops(op, op) };
                let e = measure.mean(model, suite, &slice, metric)?;
                Some(PlotPoint { x: f64::from(op), y: e.value, interval: Some((e.low, e.high)) })
            };
            ops.iter().filter_map(point).collect()
        });
        let skin = context.map_or_else(String::new, |c| format!("{c}, "));
        let title = format!("{skin}{}{part}", metric.name());
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
fn each_model(models: &[&Model], points: impl Fn(&Model) -> Vec<PlotPoint>) -> Vec<Series> {
    let line = |(slot, model): (usize, &&Model)| {
        let points = points(model);
        (!points.is_empty()).then(|| Series { name: model.label.clone(), slot, markers: true, points })
    };
    models.iter().enumerate().filter_map(line).collect()
}

/// How a model's bands fill while it is trained, where its milestones were evaluated.
pub(super) fn ladder(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let most = measure.most(suite);
    let mut panels = Vec::new();
    for model in &measure.models {
        for metric in [Metric::PassAt(1), Metric::PassAt(most)] {
            let mut series = Vec::new();
            for (slot, band) in measure.folder.manifest.bands.iter().enumerate() {
                let found = measure.milestones(model, suite, &Slice::ops(band.from, band.to), metric);
                let point = |(step, e): &(u64, crate::stats::Estimate)| PlotPoint {
                    x: *step as f64,
                    y: e.value,
                    interval: Some((e.low, e.high)),
                };
                let points: Vec<PlotPoint> = found.iter().map(point).collect();
                if !points.is_empty() {
                    let name = words::band_name(&band.name, (band.from, band.to));
                    series.push(Series { name, slot: PARTS[slot % PARTS.len()], markers: true, points });
                }
            }
            if !series.is_empty() {
                let title = format!("{}: {}", model.label, metric.name());
                panels.push(Chart::Plot(Plot {
                    title,
                    x: plain("step", Scale::Whole),
                    y: rate(&metric.name()),
                    series,
                }));
            }
        }
    }
    Figure::new(
        &format!("ladder{suffix}"),
        "The ladder during training",
        "How the bands fill while a stage is trained. Bands are 95% intervals.",
        panels,
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
    panels.extend(op_panels(measure, suite, None, Metric::GoldNll));
    Figure::new(
        &format!("nll{suffix}"),
        "Likelihood of the gold solutions",
        "Negative log-likelihood of the reference solutions by difficulty, and how each stage changed it.",
        panels,
    )
}
