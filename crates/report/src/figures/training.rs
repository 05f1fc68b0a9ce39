//! How the models became what they are: curves over the steps, what was trained on, what it cost.

use std::collections::{BTreeMap, BTreeSet};

use runs::records::{Band, MetricsRow, StageKind};

use super::ink::ink;
use super::smooth::smoothed;
use super::{Figure, LINES_MAX, PARTS, plain, rate};
use crate::chart::{Bars, Chart, Format, Ink, Plot, Scale, Series, Value};
use crate::measure::{Measure, Model};
use crate::words;
use runs::Stage;

/// Said under lines that may be smoothed.
const SMOOTHED: &str = "Points are single steps. The line is a running mean over about a fortieth of the steps, and of several seeds their mean.";

/// Lines of more points than this are drawn without a marker at each.
const MARKERS_MAX: usize = 30;

/// What else is drawn of RL.
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
                curve(measure, model, model.label.clone(), ink(measure, model), |stage| stage.series(metric))
            };
            let what = if metrics.len() > 1 { format!(": {label}") } else { String::new() };
            let models: Vec<&Model> = models().filter(|m| m.stage == stage).collect();
            panels.extend(lines_of(&format!("{stage}{what}"), label, metric, &models, line));
        }
    }
    Figure::new(id, title, &format!("{caption} {SMOOTHED}"), panels)
}

/// Losses lie on a logarithmic axis where they are positive.
fn scale(metric: &str, lines: &[Series]) -> Scale {
    let positive = lines.iter().flat_map(|s| &s.points).all(|p| p.y > 0.0)
        && lines.iter().flat_map(|s| &s.observed).all(|(_, y)| *y > 0.0);
    if metric.contains("loss") && !metric.contains("kl") && positive { Scale::Log10 } else { Scale::Linear }
}

/// A series of every seed as one line; `None` without points.
fn curve(
    measure: &Measure,
    model: &Model,
    name: String,
    ink: Ink,
    series: impl Fn(&Stage) -> Vec<(f64, f64)>,
) -> Option<Series> {
    let mut all: Vec<(f64, f64)> = measure.stages(model).flat_map(|(_, stage)| series(stage)).collect();
    if all.is_empty() {
        return None;
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (points, observed) = smoothed(&all);
    Some(Series { name, ink, markers: observed.is_empty() && points.len() <= MARKERS_MAX, points, observed })
}

/// Loss on held-out solutions during training, by band.
pub(super) fn held_out_loss(measure: &Measure) -> Option<Figure> {
    let panel = |band: &Band| {
        let inside = |name: &str| {
            let op = name.strip_prefix("eval/loss/op").and_then(|n| n.split('/').next()?.parse::<u32>().ok());
            op.is_some_and(|op| (band.from..=band.to).contains(&op))
        };
        let mean = |row: &MetricsRow| {
            let values: Vec<f64> =
                row.values.iter().filter(|(n, _)| inside(n)).filter_map(|(_, v)| *v).collect();
            let sum: f64 = values.iter().sum();
            (!values.is_empty()).then(|| (row.step as f64, sum / values.len() as f64))
        };
        let line = |model: &Model| {
            curve(measure, model, model.label.clone(), ink(measure, model), |stage| {
                stage.metrics.iter().filter_map(mean).collect()
            })
        };
        let title = words::band_name(&band.name, (band.from, band.to));
        lines_of(&title, "nats per token", "loss", &measure.models.iter().collect::<Vec<_>>(), line)
    };
    Figure::new(
        "held-out-loss",
        "Loss on held-out solutions",
        "Negative log-likelihood of the reference solutions of problems that were never trained on, measured during training on the same few problems at each step.",
        measure.folder.manifest.bands.iter().flat_map(panel).collect(),
    )
}

/// Panels of a line for each model, as many panels as the lines need.
fn lines_of(
    title: &str,
    label: &str,
    metric: &str,
    models: &[&Model],
    line: impl Fn(&Model) -> Option<Series>,
) -> Vec<Chart> {
    let lines: Vec<Series> = models.iter().filter_map(|model| line(model)).collect();
    let parts = lines.len().div_ceil(LINES_MAX);
    let panel = |(part, lines): (usize, &[Series])| {
        let which = if parts > 1 { format!(" ({} of {parts})", part + 1) } else { String::new() };
        Chart::Plot(Plot {
            title: format!("{title}{which}"),
            x: plain("step", Scale::Whole),
            y: plain(label, scale(metric, lines)),
            series: lines.to_vec(),
        })
    };
    lines.chunks(LINES_MAX).enumerate().map(panel).collect()
}

/// Shares of rollout groups by whether they have a gradient.
pub(super) fn groups(measure: &Measure) -> Option<Figure> {
    let kinds = [
        ("groups/mixed", "mixed"),
        ("groups/all_right", "all correct"),
        ("groups/all_equal_not_right", "all alike, not correct"),
    ];
    let models: Vec<&Model> = measure.models.iter().filter(|m| m.kind == StageKind::Rl).collect();
    let panel = |(metric, name): (&str, &str)| {
        let mut charts = lines_of(name, "share of prompts", metric, &models, |model| {
            curve(measure, model, model.label.clone(), ink(measure, model), |stage| stage.series(metric))
        });
        for chart in &mut charts {
            if let Chart::Plot(plot) = chart {
                plot.y = rate("share of prompts");
            }
        }
        charts
    };
    Figure::new(
        "groups",
        "Prompts with a learning signal",
        &format!(
            "Share of prompts whose rollouts are mixed (their rewards differ, and only they have a gradient), all correct, or all alike and not correct. {SMOOTHED}"
        ),
        kinds.into_iter().flat_map(panel).collect(),
    )
}

/// What the prompts of RL were drawn from, where that changes.
pub(super) fn curriculum(measure: &Measure) -> Option<Figure> {
    let panel = |model: &Model| {
        let mut ops = BTreeSet::new();
        for (_, stage) in measure.stages(model) {
            let names = stage.metrics.iter().flat_map(|row| row.values.keys());
            ops.extend(names.filter_map(|n| n.strip_prefix("curriculum/op")?.parse::<u32>().ok()));
        }
        let line = |(i, op): (usize, &u32)| {
            let ink = Ink { hue: PARTS[i % PARTS.len()], dash: i };
            curve(measure, model, format!("op {op}"), ink, |stage| {
                stage.series(&format!("curriculum/op{op}"))
            })
        };
        let series: Vec<Series> = ops.iter().enumerate().filter_map(line).collect();
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
