//! How a fixed budget was divided between mid-training and reinforcement learning (paper, Fig. 6 and 18).

use runs::Metric;
use runs::records::StageKind;

use super::{Figure, by_band, rate};
use crate::chart::{Axis, Chart, Format, Ink, Plot, PlotPoint, Scale, Series, number};
use crate::measure::{Measure, Model, Slice};

/// Budgets closer than this share are one line.
const SAME_BUDGET: f64 = 0.15;

/// A last model with what came after its pre-training.
struct Arm<'m> {
    model: &'m Model,
    /// Token equivalents of mid-training and reinforcement learning together, a seed.
    budget: f64,
    /// The share of reinforcement learning in it: the paper's β.
    share: f64,
}

/// Accuracy over the share of the budget that went to reinforcement learning, a line for each budget. Drawn
/// where arms of one budget divide it differently.
pub(super) fn split(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let lines = lines(measure);
    if lines.is_empty() {
        return None;
    }
    let panel = |title: String, slice: &Slice, metric: Metric| {
        let line = |(dash, arms): (usize, &Vec<Arm>)| {
            let point = |arm: &Arm| {
                let e = measure.mean(arm.model, suite, slice, metric)?;
                Some(PlotPoint { x: arm.share, y: e.value, interval: Some((e.low, e.high)) })
            };
            let points: Vec<PlotPoint> = arms.iter().filter_map(point).collect();
            let budget = arms.iter().map(|arm| arm.budget).sum::<f64>() / arms.len() as f64;
            let name = format!("{} tokens", number(budget));
            let ink = Ink { hue: 0, dash };
            (!points.is_empty()).then_some(Series { name, ink, markers: true, points, observed: Vec::new() })
        };
        let series: Vec<Series> = lines.iter().enumerate().filter_map(line).collect();
        let x = Axis {
            label: "share of the budget for RL (β)".into(),
            scale: Scale::Linear,
            format: Format::Percent,
            range: Some((0.0, 1.0)),
        };
        let title = format!("{title}, {metric}");
        (!series.is_empty()).then(|| Chart::Plot(Plot { title, x, y: rate(&metric.name()), series }))
    };
    let metrics = [Metric::PassAt(1), Metric::PassAt(measure.most(suite))];
    let panels = metrics.map(|metric| by_band(measure, |title, slice| panel(title, slice, metric)));
    Figure::new(
        &format!("split{suffix}"),
        "How the budget was split",
        "What comes of dividing the same number of token equivalents (the paper's count) between mid-training and RL. The shares and budgets are those that were spent. Areas are 95% intervals.",
        panels.into_iter().flatten().collect(),
    )
}

/// Arms grouped by budget, each line from the smallest share to the largest.
fn lines<'m>(measure: &'m Measure<'_>) -> Vec<Vec<Arm<'m>>> {
    let mut arms: Vec<Arm> =
        measure.last_models().into_iter().filter_map(|model| spent(measure, model)).collect();
    arms.sort_by(|a, b| a.budget.total_cmp(&b.budget));
    let mut lines: Vec<Vec<Arm>> = Vec::new();
    for arm in arms {
        match lines.last_mut() {
            Some(line) if arm.budget <= line[0].budget * (1.0 + SAME_BUDGET) => line.push(arm),
            _ => lines.push(vec![arm]),
        }
    }
    for line in &mut lines {
        line.sort_by(|a, b| a.share.total_cmp(&b.share));
    }
    let divided = |line: &Vec<Arm>| line.iter().any(|arm| arm.share > 0.0 && arm.share < 1.0);
    lines.retain(|line| line.len() > 1 && line[0].share < line[line.len() - 1].share);
    if lines.iter().any(divided) { lines } else { Vec::new() }
}

/// What a model's stages after pre-training cost; `None` if there are none or they are not finished.
fn spent<'m>(measure: &Measure, model: &'m Model) -> Option<Arm<'m>> {
    let (mut mid, mut rl) = (0.0, 0.0);
    let mut stage = model;
    while stage.kind != StageKind::PreTraining {
        let done: Vec<f64> =
            measure.stages(stage).filter_map(|(_, s)| Some(s.done.as_ref()?.cost.nominal_tokens)).collect();
        let mean = done.iter().sum::<f64>() / done.len() as f64;
        match stage.kind {
            StageKind::Rl => rl += mean,
            _ => mid += mean,
        }
        let Some(parent) = stage.parent else { break };
        // A parent comes before its child among the models, so this ends.
        stage = &measure.models[parent];
    }
    let budget = mid + rl;
    (budget > 0.0).then(|| Arm { model, budget, share: rl / budget })
}
