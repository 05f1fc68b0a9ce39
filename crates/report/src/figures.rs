//! The figures of a run. Each is a set of panels with one caption, one CSV file and one SVG file a panel.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use train::records::{EvalRow, MetricsRow, StageKind};

use crate::chart::{self, Axis, Bars, Chart, Dots, Format, Heat, Plot, Point, Scale, Series, Value};
use crate::error::ReportError;
use crate::folder::write_atomically;
use crate::measure::{Measure, Metric, Model, Slice};

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name in file names and links, e.g. `pass-at-k`.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What is shown and how to read it.
    pub caption: String,
    /// The panels.
    pub panels: Vec<Chart>,
}

/// Lines of more points than this are drawn as means of neighbours.
const POINTS_MAX: usize = 120;
/// Said under lines that may be thinned.
const THINNED: &str = "Lines of more than 120 steps show means of neighbouring steps; the band reaches from the smallest to the largest of them.";
/// What else is drawn of reinforcement learning.
const SIGNALS: [(&str, &str); 5] = [
    ("verified/mean", "right in every step"),
    ("verified/right_answer_wrong_process", "right answer, wrong process"),
    ("response_length/mean", "response length in tokens"),
    ("actor/entropy", "entropy in nats a token"),
    ("actor/kl_loss", "KL term of the loss"),
];
/// Colours of parts that are no models.
const PARTS: [usize; 7] = [2, 1, 4, 3, 7, 5, 6];
/// Fault kinds that get a part of their own; the rest are one.
const FAULTS_MAX: usize = 7;

impl Figure {
    /// The numbers of all panels.
    pub fn csv(&self) -> String {
        let header = self.panels.first().map(Chart::csv_header).unwrap_or_default();
        chart::csv(&header, self.panels.iter().flat_map(Chart::csv_rows))
    }

    fn new(id: &str, title: &str, caption: &str, panels: Vec<Chart>) -> Option<Self> {
        (!panels.is_empty()).then(|| Self {
            id: id.into(),
            title: title.into(),
            caption: caption.into(),
            panels,
        })
    }
}

/// All figures that the run has data for.
pub fn figures(measure: &Measure) -> Vec<Figure> {
    let mut figures = of_evaluation(measure);
    for (suite, suffix) in suites(measure) {
        figures.extend(by_context(measure, &suite, &suffix));
        figures.extend(by_context_and_op(measure, &suite, &suffix));
    }
    figures.extend(of_training(measure));
    for (suite, suffix) in suites(measure) {
        figures.extend(outcomes(measure, &suite, &suffix));
        figures.extend(faults(measure, &suite, &suffix));
        figures.extend(nll(measure, &suite, &suffix));
    }
    figures.extend(exposure(measure));
    figures.extend(budget(measure));
    figures
}

/// The figures that say first how good the models are.
pub fn of_evaluation(measure: &Measure) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (suite, suffix) in suites(measure) {
        figures.extend(arms(measure, &suite, &suffix));
        figures.extend(pass_at_k(measure, &suite, &suffix));
        figures.extend(by_op(measure, &suite, &suffix));
        figures.extend(ladder(measure, &suite, &suffix));
    }
    figures
}

/// The figures drawn from `metrics.jsonl` alone.
pub fn of_training(measure: &Measure) -> Vec<Figure> {
    let mut figures = Vec::new();
    figures.extend(curves(
        measure,
        ("reward", "Reward"),
        "Mean reward of the rollouts at each step of reinforcement learning.",
        &[("reward/mean", "reward")],
        |kind| kind == StageKind::Rl,
    ));
    figures.extend(groups(measure));
    figures.extend(curriculum(measure));
    figures.extend(curves(
        measure,
        ("signals", "Reinforcement learning, other signals"),
        "Share of rollouts that are right, right by a wrong process; their length; how sure the policy is and how far it is from where it started.",
        &SIGNALS,
        |kind| kind == StageKind::Rl,
    ));
    figures.extend(curves(
        measure,
        ("loss", "Loss"),
        "Training loss at each step, in nats a token: of the whole objective, and of the solutions alone.",
        &[("loss", "objective"), ("loss/response", "solutions")],
        |kind| kind != StageKind::Rl,
    ));
    figures.extend(held_out_loss(measure));
    figures
}

/// The suites, each with what tells its figures' names apart.
fn suites(measure: &Measure) -> Vec<(String, String)> {
    let suites = measure.folder.suites();
    let several = suites.len() > 1;
    let suffix = |suite: &String| if several { format!("-{suite}") } else { String::new() };
    suites.iter().map(|suite| (suite.clone(), suffix(suite))).collect()
}

/// Writes every figure under `RUN/figures/`: `ID.csv`, and `ID.svg` or `ID-1.svg`, `ID-2.svg`, ….
///
/// # Errors
/// If a file cannot be written.
pub fn export(run_dir: &Path, figures: &[Figure]) -> Result<Vec<PathBuf>, ReportError> {
    let dir = run_dir.join("figures");
    fs::create_dir_all(&dir).map_err(ReportError::file(&dir))?;
    let mut written = Vec::new();
    let mut write = |name: String, text: String| {
        let path = dir.join(name);
        write_atomically(&path, text.as_bytes())?;
        written.push(path);
        Ok::<_, ReportError>(())
    };
    for figure in figures {
        write(format!("{}.csv", figure.id), figure.csv())?;
        for (i, panel) in figure.panels.iter().enumerate() {
            let number = if figure.panels.len() > 1 { format!("-{}", i + 1) } else { String::new() };
            write(format!("{}{number}.svg", figure.id), panel.standalone())?;
        }
    }
    Ok(written)
}

fn rate(label: &str) -> Axis {
    Axis { label: label.into(), scale: Scale::Linear, format: Format::Percent, range: Some((0.0, 1.0)) }
}

fn plain(label: &str, scale: Scale) -> Axis {
    Axis { label: label.into(), scale, format: Format::Number, range: None }
}

fn pass_at_k(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    Figure::new(
        &format!("pass-at-k{suffix}"),
        "pass@k by band, after each stage",
        "Chance that at least one of k samples is right in its answer and in every step. Bands are 95% intervals (bootstrap by problem).",
        pass_panels(measure, suite, None),
    )
}

fn by_context(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
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
    let ks = crate::stats::ks(measure.samples(suite));
    let mut panels = Vec::new();
    for band in &measure.folder.manifest.bands {
        let slice = Slice { context: context.cloned(), ..Slice::ops(band.from, band.to) };
        let series = each_model(measure, true, |model| {
            let point = |&k: &u32| {
                let e = measure.mean(model, suite, &slice, Metric::PassAt(k))?;
                Some(Point { x: f64::from(k), y: e.value, interval: Some((e.low, e.high)) })
            };
            ks.iter().filter_map(point).collect()
        });
        let skin = context.map_or_else(String::new, |c| format!("{c}, "));
        let title = format!("{skin}{} (op {}–{})", band.name, band.from, band.to);
        if !series.is_empty() {
            panels.push(Chart::Plot(Plot { title, x: plain("k", Scale::Log2), y: rate("pass@k"), series }));
        }
    }
    panels
}

/// The last model of every arm side by side; nothing for a run of one arm.
fn arms(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let has_child = |i: usize| measure.models.iter().any(|m| m.parent == Some(i));
    let last: Vec<&Model> =
        (0..measure.models.len()).filter(|i| !has_child(*i)).map(|i| &measure.models[i]).collect();
    if last.len() < 2 {
        return None;
    }
    let metrics = [Metric::PassAt(1), Metric::PassAt(measure.samples(suite))];
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
        "The last model of every arm, with 95% intervals. Whether two differ is for their paired difference to say, not for overlapping intervals.",
        by_band(measure, panel),
    )
}

fn by_op(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let most = measure.samples(suite);
    let metrics = [Metric::PassAt(1), Metric::PassAt(most), Metric::Right, Metric::ProcessAcc];
    let metrics = metrics.into_iter().filter(|m| *m != Metric::PassAt(most) || most > 1);
    Figure::new(
        &format!("by-op{suffix}"),
        "Accuracy by difficulty",
        "The same models by number of operations. Right answer counts answers whatever the steps; process accuracy is the share of quantities a solution gets right. Bands are 95% intervals.",
        metrics.filter_map(|m| op_panel(measure, suite, None, m)).collect(),
    )
}

fn by_context_and_op(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let contexts = measure.contexts(suite);
    if contexts.len() < 2 {
        return None;
    }
    let most = Metric::PassAt(measure.samples(suite));
    let panels = contexts.iter().flat_map(|c| [(c, Metric::PassAt(1)), (c, most)]);
    Figure::new(
        &format!("by-op-by-context{suffix}"),
        "Accuracy by difficulty and context",
        "What was learned in one context and what reaches another. Bands are 95% intervals.",
        panels.filter_map(|(context, m)| op_panel(measure, suite, Some(context), m)).collect(),
    )
}

fn op_panel(measure: &Measure, suite: &str, context: Option<&String>, metric: Metric) -> Option<Chart> {
    let ops = ops(measure, suite);
    let (first, last) = (f64::from(*ops.first()?), f64::from(*ops.last()?));
    let series = each_model(measure, true, |model| {
        let point = |&op: &u32| {
            let slice = Slice { context: context.cloned(), ..Slice::ops(op, op) };
            let e = measure.mean(model, suite, &slice, metric)?;
            Some(Point { x: f64::from(op), y: e.value, interval: Some((e.low, e.high)) })
        };
        ops.iter().filter_map(point).collect()
    });
    let title = context.map_or_else(String::new, |c| format!("{c}, ")) + &metric.name();
    let x = Axis { range: Some((first, last)), ..plain("op", Scale::Whole) };
    (!series.is_empty()).then(|| Chart::Plot(Plot { title, x, y: rate("share"), series }))
}

fn ops(measure: &Measure, suite: &str) -> Vec<u32> {
    let rows = measure.folder.stages.values().filter_map(|s| s.evals.get(suite)).flatten();
    let ops: std::collections::BTreeSet<u32> = rows.map(|row| row.op).collect();
    ops.into_iter().collect()
}

/// One line for each model that has points.
fn each_model(measure: &Measure, markers: bool, points: impl Fn(&Model) -> Vec<Point>) -> Vec<Series> {
    let line = |(slot, model): (usize, &Model)| {
        let points = points(model);
        (!points.is_empty()).then(|| Series { name: model.label.clone(), slot, markers, points })
    };
    measure.models.iter().enumerate().filter_map(line).collect()
}

/// Metrics over the steps: a panel for each stage name and metric, a line for each model and seed.
fn curves(
    measure: &Measure,
    (id, title): (&str, &str),
    caption: &str,
    metrics: &[(&str, &str)],
    kinds: impl Fn(StageKind) -> bool,
) -> Option<Figure> {
    let models = || measure.models.iter().enumerate().filter(|(_, m)| kinds(m.kind));
    let mut stages: Vec<&str> = Vec::new();
    for (_, model) in models() {
        if !stages.contains(&model.stage.as_str()) {
            stages.push(&model.stage);
        }
    }
    let mut panels = Vec::new();
    for stage in stages {
        for (metric, label) in metrics {
            let mut series = Vec::new();
            for (slot, model) in models().filter(|(_, m)| m.stage == stage) {
                for (seed, folder) in measure.stages(model) {
                    let points = thin(&folder.series(metric));
                    if !points.is_empty() {
                        series.push(Series { name: named(model, seed), slot, markers: false, points });
                    }
                }
            }
            if !series.is_empty() {
                let title = if metrics.len() > 1 { format!("{stage}: {label}") } else { stage.to_owned() };
                let (x, y) = (plain("step", Scale::Linear), plain(label, Scale::Linear));
                panels.push(Chart::Plot(Plot { title, x, y, series }));
            }
        }
    }
    Figure::new(id, title, &format!("{caption} {THINNED}"), panels)
}

/// A model at a seed, as a line is named.
fn named(model: &Model, seed: u64) -> String {
    if model.folders.len() > 1 { format!("{}, seed {seed}", model.label) } else { model.label.clone() }
}

/// Loss on held-out solutions during training, by band.
fn held_out_loss(measure: &Measure) -> Option<Figure> {
    let mut panels = Vec::new();
    for model in &measure.models {
        for (seed, stage) in measure.stages(model) {
            let mut series = Vec::new();
            for (slot, band) in measure.folder.manifest.bands.iter().enumerate() {
                let inside = |name: &str| {
                    let op = name
                        .strip_prefix("eval/loss/op")
                        .and_then(|n| n.split('/').next()?.parse::<u32>().ok());
                    op.is_some_and(|op| (band.from..=band.to).contains(&op))
                };
                let mean = |row: &MetricsRow| {
                    let values: Vec<f64> =
                        row.values.iter().filter(|(n, _)| inside(n)).filter_map(|(_, v)| *v).collect();
                    (!values.is_empty())
                        .then(|| (row.step as f64, values.iter().sum::<f64>() / values.len() as f64))
                };
                let points = thin(&stage.metrics.iter().filter_map(mean).collect::<Vec<_>>());
                if !points.is_empty() {
                    let name = format!("{} (op {}–{})", band.name, band.from, band.to);
                    series.push(Series { name, slot: PARTS[slot % PARTS.len()], markers: true, points });
                }
            }
            if !series.is_empty() {
                let (x, y) = (plain("step", Scale::Linear), plain("nats a token", Scale::Linear));
                panels.push(Chart::Plot(Plot { title: named(model, seed), x, y, series }));
            }
        }
    }
    Figure::new(
        "held-out-loss",
        "Loss on held-out solutions",
        "Negative log-likelihood of the reference solutions of problems that were never trained on, measured during training. No intervals: the same few problems at each step.",
        panels,
    )
}

/// How a model's bands fill while it is trained, where its milestones were evaluated.
fn ladder(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let most = measure.samples(suite);
    let mut panels = Vec::new();
    for model in &measure.models {
        for metric in [Metric::PassAt(1), Metric::PassAt(most)] {
            let mut series = Vec::new();
            for (slot, band) in measure.folder.manifest.bands.iter().enumerate() {
                let found = measure.milestones(model, suite, &Slice::ops(band.from, band.to), metric);
                let point = |(step, e): &(u64, crate::stats::Estimate)| Point {
                    x: *step as f64,
                    y: e.value,
                    interval: Some((e.low, e.high)),
                };
                let points: Vec<Point> = found.iter().map(point).collect();
                if !points.is_empty() {
                    let name = format!("{} (op {}–{})", band.name, band.from, band.to);
                    series.push(Series { name, slot: PARTS[slot % PARTS.len()], markers: true, points });
                }
            }
            if !series.is_empty() {
                let title = format!("{}: {}", model.label, metric.name());
                panels.push(Chart::Plot(Plot {
                    title,
                    x: plain("step", Scale::Linear),
                    y: rate(&metric.name()),
                    series,
                }));
            }
        }
    }
    Figure::new(
        &format!("ladder{suffix}"),
        "The ladder during training",
        "How the bands fill while a stage is trained. Bands are 95% intervals (first seed).",
        panels,
    )
}

/// At most [`POINTS_MAX`] points: means of equal runs of neighbours with their extremes.
fn thin(series: &[(f64, f64)]) -> Vec<Point> {
    let run = series.len().div_ceil(POINTS_MAX).max(1);
    let point = |part: &[(f64, f64)]| {
        let mean = |f: fn(&(f64, f64)) -> f64| part.iter().map(f).sum::<f64>() / part.len() as f64;
        let ends = part.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.1), h.max(p.1)));
        Point { x: mean(|p| p.0), y: mean(|p| p.1), interval: (run > 1).then_some(ends) }
    };
    series.chunks(run).map(point).collect()
}

/// Shares of rollout groups by whether they can teach anything.
fn groups(measure: &Measure) -> Option<Figure> {
    let mut panels = Vec::new();
    for model in measure.models.iter().filter(|m| m.kind == StageKind::Rl) {
        for (seed, stage) in measure.stages(model) {
            let kinds = [
                ("groups/mixed", "mixed"),
                ("groups/all_right", "all right"),
                ("groups/all_equal_not_right", "all alike, not right"),
            ];
            let series: Vec<Series> = kinds
                .iter()
                .zip([2, 4, 0])
                .filter_map(|((metric, name), slot)| {
                    let points = thin(&stage.series(metric));
                    (!points.is_empty()).then(|| Series {
                        name: (*name).into(),
                        slot,
                        markers: false,
                        points,
                    })
                })
                .collect();
            let title = named(model, seed);
            if !series.is_empty() {
                panels.push(Chart::Plot(Plot {
                    title,
                    x: plain("step", Scale::Linear),
                    y: rate("share of groups"),
                    series,
                }));
            }
        }
    }
    Figure::new(
        "groups",
        "Groups that teach",
        "Share of prompts whose rollouts have different rewards (mixed: only they carry a gradient), or are all right, or all alike and not right.",
        panels,
    )
}

/// What the prompts of reinforcement learning were drawn from, where that changes.
fn curriculum(measure: &Measure) -> Option<Figure> {
    let mut panels = Vec::new();
    for model in measure.models.iter().filter(|m| m.kind == StageKind::Rl) {
        for (seed, stage) in measure.stages(model) {
            let names = stage.metrics.iter().flat_map(|row| row.values.keys());
            let ops: std::collections::BTreeSet<u32> =
                names.filter_map(|n| n.strip_prefix("curriculum/op")?.parse().ok()).collect();
            let line = |(i, op): (usize, &u32)| Series {
                name: format!("op {op}"),
                slot: i,
                markers: false,
                points: thin(&stage.series(&format!("curriculum/op{op}"))),
            };
            let series: Vec<Series> = ops.iter().enumerate().map(line).collect();
            if !series.is_empty() {
                let (x, y) = (plain("step", Scale::Linear), rate("share of prompts"));
                panels.push(Chart::Plot(Plot { title: named(model, seed), x, y, series }));
            }
        }
    }
    Figure::new(
        "curriculum",
        "Where the curriculum went",
        "Share of the prompts that each difficulty got at each step.",
        panels,
    )
}

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

fn outcomes(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let names = ["right in every step", "right answer, wrong process", "wrong answer", "cut off"];
    let parts: Vec<(String, usize)> = names.map(str::to_owned).into_iter().zip([2, 1, 0, 3]).collect();
    let cut = |row: &EvalRow| row.truncated.min(row.n.saturating_sub(row.right));
    let counts = |row: &EvalRow, part: usize| match part {
        0 => row.verified,
        1 => row.right.saturating_sub(row.verified),
        2 => row.n.saturating_sub(row.right).saturating_sub(cut(row)),
        _ => cut(row),
    };
    Figure::new(
        &format!("outcomes{suffix}"),
        "What the samples are",
        "Every sample is one of four; unparsable and empty ones are wrong answers. Intervals on hover and in the numbers.",
        by_band(measure, |title, slice| shares(measure, suite, slice, title, &parts, counts)),
    )
}

fn faults(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
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

fn by_band(measure: &Measure, panel: impl Fn(String, &Slice) -> Option<Chart>) -> Vec<Chart> {
    let bands = &measure.folder.manifest.bands;
    let of = |b: &train::records::Band| {
        panel(format!("{} (op {}–{})", b.name, b.from, b.to), &Slice::ops(b.from, b.to))
    };
    bands.iter().filter_map(of).collect()
}

fn nll(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
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
    if rows.is_empty() {
        return None;
    }
    let heat = Heat {
        title: "change against the stage before".into(),
        label: "nats a token; negative: gold solutions became likelier".into(),
        columns: ops.iter().map(|op| format!("op {op}")).collect(),
        rows,
    };
    Figure::new(
        &format!("nll{suffix}"),
        "Likelihood of the gold solutions",
        "How much each stage changed the negative log-likelihood of the reference solutions, by difficulty.",
        vec![Chart::Heat(heat)],
    )
}

fn exposure(measure: &Measure) -> Option<Figure> {
    let mut panels = Vec::new();
    for model in &measure.models {
        let Some(exposure) = measure.stages(model).find_map(|(_, s)| s.exposure.as_ref()) else { continue };
        let mut counts: BTreeMap<u32, BTreeMap<&str, u64>> = BTreeMap::new();
        let mut contexts = std::collections::BTreeSet::new();
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
        "What the models were trained on",
        "Tokens by number of operations and context, as counted while training (first seed).",
        panels,
    )
}

fn budget(measure: &Measure) -> Option<Figure> {
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
        "Where the tokens went",
        "Tokens through forward and backward, sampled, read as prompts, and scored by the frozen reference (first seed).",
        vec![Chart::Bars(chart)],
    )
}
