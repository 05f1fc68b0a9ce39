//! How the models became what they are: curves over the steps, what was trained on, what it cost.

use std::collections::{BTreeMap, BTreeSet};

use runs::records::{Band, MetricsRow, StageKind};

use super::{Figure, LINES_MAX, PARTS, plain, rate};
use crate::chart::{Bars, Chart, Format, Plot, PlotPoint, Scale, Series, Value};
use crate::measure::{Measure, Model};
use crate::words;
use runs::Stage;

/// Lines of more points than this are drawn as means of neighbours.
const POINTS_MAX: usize = 120;

/// Lines of more points than this are drawn without markers.
const MARKERS_MAX: usize = 30;

/// Said under lines that may be thinned.
const THINNED: &str = "Lines of more than 120 steps show means of neighbouring steps, and lines of several seeds their mean; the band reaches from the smallest to the largest of what was averaged.";

/// What else is drawn of reinforcement learning.
pub(super) const SIGNALS: [(&str, &str); 5] = [
    ("verified/mean", "correct in every step"),
    ("verified/right_answer_wrong_process", "correct answer, wrong process"),
    ("response_length/mean", "response length in tokens"),
    ("actor/entropy", "entropy in nats per token"),
    ("actor/kl_loss", "KL term of the loss"),
];

/// Metrics over the steps: a panel for each stage name and metric, a line for each model and seed.
pub(super) fn curves(
    measure: &Measure,
    (id, title): (&str, &str),
    caption: &str,
    metrics: &[(&str, &str)],
    kinds: impl Fn(StageKind) -> bool,
) -> Option<Figure> {
    let models = || measure.models.iter().filter(|m| kinds(m.kind));
    let mut stages: Vec<&str> = Vec::new();
    for model in models() {
        if !stages.contains(&model.stage.as_str()) {
            stages.push(&model.stage);
        }
    }
    let mut panels = Vec::new();
    for stage in stages {
        for (metric, label) in metrics {
            let line = |model: &Model| {
                let points = over_seeds(measure, model, |stage| stage.series(metric));
                (!points.is_empty()).then(|| (model.label.clone(), points))
            };
            let lines: Vec<_> = models().filter(|m| m.stage == stage).filter_map(line).collect();
            let parts = lines.len().div_ceil(LINES_MAX);
            for (part, lines) in lines.chunks(LINES_MAX).enumerate() {
                let series = |(slot, (name, points)): (usize, &(String, Vec<PlotPoint>))| Series {
                    name: name.clone(),
                    slot,
                    markers: false,
                    points: points.clone(),
                };
                let what = if metrics.len() > 1 { format!(": {label}") } else { String::new() };
                let which = if parts > 1 { format!(" ({} of {parts})", part + 1) } else { String::new() };
                panels.push(Chart::Plot(Plot {
                    title: format!("{stage}{what}{which}"),
                    x: plain("step", Scale::Whole),
                    y: plain(label, Scale::Linear),
                    series: lines.iter().enumerate().map(series).collect(),
                }));
            }
        }
    }
    Figure::new(id, title, &format!("{caption} {THINNED}"), panels)
}

/// A series of every seed as one line: means over seeds and neighbouring steps, with their extremes.
fn over_seeds(
    measure: &Measure,
    model: &Model,
    series: impl Fn(&Stage) -> Vec<(f64, f64)>,
) -> Vec<PlotPoint> {
    let mut all: Vec<(f64, f64)> = Vec::new();
    let mut seeds = 0;
    for (_, stage) in measure.stages(model) {
        let one = series(stage);
        seeds += usize::from(!one.is_empty());
        all.extend(one);
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    thin(&all, seeds.max(1))
}

/// Loss on held-out solutions during training, by band.
pub(super) fn held_out_loss(measure: &Measure) -> Option<Figure> {
    let panel = |model: &Model| {
        let line = |(i, band): (usize, &Band)| {
            let inside = |name: &str| {
                let op =
                    name.strip_prefix("eval/loss/op").and_then(|n| n.split('/').next()?.parse::<u32>().ok());
                op.is_some_and(|op| (band.from..=band.to).contains(&op))
            };
            let mean = |row: &MetricsRow| {
                let values: Vec<f64> =
                    row.values.iter().filter(|(n, _)| inside(n)).filter_map(|(_, v)| *v).collect();
                let sum: f64 = values.iter().sum();
                (!values.is_empty()).then(|| (row.step as f64, sum / values.len() as f64))
            };
            let points = over_seeds(measure, model, |stage| stage.metrics.iter().filter_map(mean).collect());
            let name = words::band_name(&band.name, (band.from, band.to));
            let markers = points.len() <= MARKERS_MAX;
            (!points.is_empty()).then(|| Series { name, slot: PARTS[i % PARTS.len()], markers, points })
        };
        let bands = measure.folder.manifest.bands.iter().enumerate();
        let series: Vec<Series> = bands.filter_map(line).collect();
        let (title, x, y) =
            (model.label.clone(), plain("step", Scale::Whole), plain("nats per token", Scale::Linear));
        (!series.is_empty()).then_some(Chart::Plot(Plot { title, x, y, series }))
    };
    Figure::new(
        "held-out-loss",
        "Loss on held-out solutions",
        "Negative log-likelihood of the reference solutions of problems that were never trained on, measured during training on the same few problems at each step.",
        measure.models.iter().filter_map(panel).collect(),
    )
}

/// At most about [`POINTS_MAX`] points: means of equal runs of neighbours, each seed's steps together.
fn thin(series: &[(f64, f64)], seeds: usize) -> Vec<PlotPoint> {
    let run = (series.len() / seeds).div_ceil(POINTS_MAX).max(1) * seeds;
    let point = |part: &[(f64, f64)]| {
        let mean = |f: fn(&(f64, f64)) -> f64| part.iter().map(f).sum::<f64>() / part.len() as f64;
        let ends = part.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.1), h.max(p.1)));
        PlotPoint { x: mean(|p| p.0), y: mean(|p| p.1), interval: (run > 1).then_some(ends) }
    };
    series.chunks(run).map(point).collect()
}

/// Shares of rollout groups by whether they have a gradient.
pub(super) fn groups(measure: &Measure) -> Option<Figure> {
    let kinds = [
        ("groups/mixed", "mixed"),
        ("groups/all_right", "all correct"),
        ("groups/all_equal_not_right", "all alike, not correct"),
    ];
    let panel = |model: &Model| {
        let line = |((metric, name), slot): ((&str, &str), usize)| {
            let points = over_seeds(measure, model, |stage| stage.series(metric));
            (!points.is_empty()).then(|| Series { name: name.to_owned(), slot, markers: false, points })
        };
        let series: Vec<Series> = kinds.into_iter().zip([2, 4, 0]).filter_map(line).collect();
        let (title, x, y) = (model.label.clone(), plain("step", Scale::Whole), rate("share of groups"));
        (!series.is_empty()).then_some(Chart::Plot(Plot { title, x, y, series }))
    };
    let models = measure.models.iter().filter(|m| m.kind == StageKind::Rl);
    Figure::new(
        "groups",
        "Prompts with a learning signal",
        "Share of prompts whose rollouts are mixed (their rewards differ, and only they have a gradient), all correct, or all alike and not correct.",
        models.filter_map(panel).collect(),
    )
}

/// What the prompts of reinforcement learning were drawn from, where that changes.
pub(super) fn curriculum(measure: &Measure) -> Option<Figure> {
    let panel = |model: &Model| {
        let mut ops = BTreeSet::new();
        for (_, stage) in measure.stages(model) {
            let names = stage.metrics.iter().flat_map(|row| row.values.keys());
            ops.extend(names.filter_map(|n| n.strip_prefix("curriculum/op")?.parse::<u32>().ok()));
        }
        let line = |(i, op): (usize, &u32)| Series {
            name: format!("op {op}"),
            slot: i,
            markers: false,
            points: over_seeds(measure, model, |stage| stage.series(&format!("curriculum/op{op}"))),
        };
        let series: Vec<Series> = ops.iter().enumerate().map(line).collect();
        let (title, x, y) = (model.label.clone(), plain("step", Scale::Whole), rate("share of prompts"));
        (!series.is_empty()).then_some(Chart::Plot(Plot { title, x, y, series }))
    };
    let models = measure.models.iter().filter(|m| m.kind == StageKind::Rl);
    Figure::new(
        "curriculum",
        "Curriculum",
        "Share of the prompts of each difficulty at each step.",
        models.filter_map(panel).collect(),
    )
}

pub(super) fn exposure(measure: &Measure) -> Option<Figure> {
    let mut panels = Vec::new();
    for model in &measure.models {
        let Some(exposure) = measure.stages(model).find_map(|(_, s)| s.exposure.as_ref()) else { continue };
        let mut counts: BTreeMap<u32, BTreeMap<&str, u64>> = BTreeMap::new();
        let mut contexts = BTreeSet::new();
        for cell in &exposure.cells {
            contexts.insert(cell.context.as_str());
            *counts.entry(cell.op).or_default().entry(&cell.context).or_default() += cell.tokens;
        }
        let lengths = |of: &BTreeMap<&str, u64>| {
            contexts.iter().map(|c| Value::counted(of.get(c).copied().unwrap_or(0) as f64)).collect()
        };
        let bars: Vec<_> = counts.iter().map(|(op, of)| (format!("op {op}"), lengths(of))).collect();
        if !bars.is_empty() {
            panels.push(Chart::Bars(Bars {
                title: model.label.clone(),
                label: "tokens".into(),
                format: Format::Number,
                parts: contexts
                    .iter()
                    .enumerate()
                    .map(|(i, c)| ((*c).to_owned(), PARTS[i % PARTS.len()]))
                    .collect(),
                bars,
            }));
        }
    }
    Figure::new(
        "exposure",
        "Training data",
        "Tokens by number of operations and context, as counted while training (first seed).",
        panels,
    )
}

pub(super) fn budget(measure: &Measure) -> Option<Figure> {
    let bar = |model: &Model| {
        let cost = measure.stages(model).find_map(|(_, s)| s.done.as_ref())?.cost;
        let tokens = [cost.trained_tokens, cost.sampled_tokens, cost.prompt_tokens, cost.scored_tokens];
        Some((model.label.clone(), tokens.map(|t| Value::counted(t as f64)).to_vec()))
    };
    let bars: Vec<_> = measure.models.iter().filter_map(bar).collect();
    if bars.is_empty() {
        return None;
    }
    let parts =
        ["trained", "sampled", "prompts", "scored"].map(str::to_owned).into_iter().zip(PARTS).collect();
    let chart =
        Bars { title: "tokens by stage".into(), label: "tokens".into(), format: Format::Number, parts, bars };
    Figure::new(
        "budget",
        "Tokens by stage",
        "Tokens through forward and backward, sampled, read as prompts, and scored by the frozen reference (first seed).",
        vec![Chart::Bars(chart)],
    )
}
