//! What is new in what a model solves: against the model before it, and against another context.

use runs::Metric;
use runs::records::EvalRow;

use problems::Problem;
use problems::topology::{Shapes, Topology};

use super::ink::hue;
use super::{Figure, PARTS};
use crate::chart::{Bars, Chart, DotRow, Dots, Format, Value};
use crate::error::ReportError;
use crate::measure::{Measure, Model, Slice};

/// Problems of the parent's pass@1 above the first and up to the second.
const EASE: [(f64, f64, &str); 4] = [
    (-1.0, 0.0, "never solved before"),
    (0.0, 0.1, "solved in up to 10%"),
    (0.1, 0.5, "solved in 10–50%"),
    (0.5, 1.0, "solved in more than 50%"),
];

/// What a stage made of problems, by how often the model before it solved them: new, or only more often?
pub(super) fn sharpened(measure: &Measure, suite: &str, suffix: &str) -> Option<Figure> {
    let most = measure.most(suite);
    let panel = |model: &Model| {
        let parent = &measure.models[model.parent?];
        let before = measure.values(parent, suite, &Slice::default(), Metric::PassAt(1))?;
        let mean_P = before.mean_P();
        let row = |(from, to, name): (f64, f64, &str)| {
            let fits = |problem: u64| mean_P.get(&problem).is_some_and(|p| *p > from && *p <= to);
            let count = mean_P.keys().filter(|problem| fits(**problem)).count();
            let value = |model: &Model, metric: Metric| {
                let values = measure.values(model, suite, &Slice::default(), metric)?.only(fits)?;
                measure.estimate(&values).map(Value::from)
            };
            let after = [Metric::PassAt(1), Metric::PassAt(most)].map(|metric| value(model, metric));
            let values = [after[0], after[1], value(parent, Metric::PassAt(1))];
            let name = format!("{name} ({count})");
            (count > 0).then(|| DotRow { name, hue: hue(measure, model), values: values.to_vec() })
        };
        let rows: Vec<_> = EASE.into_iter().filter_map(row).collect();
        let series =
            vec!["pass@1 after".to_owned(), format!("pass@{most} after"), "pass@1 before".to_owned()];
        (!rows.is_empty()).then(|| {
            Chart::Dots(Dots {
                title: format!("{} after {}", model.label, parent.label),
                label: "share of samples or problems".into(),
                format: Format::Percent,
                range: Some((0.0, 1.0)),
                series,
                rows,
            })
        })
    };
    Figure::new(
        &format!("sharpened{suffix}"),
        "New, or only more often?",
        "Problems by how many samples of the model before solved them (in brackets how many problems), and what the model solves of them now. The groups are made from the earlier model's own samples, so its own value in a group is part of the choice. 95% intervals.",
        measure.models.iter().filter_map(panel).collect(),
    )
}

/// Similarity to the nearest shape: above the first, up to the second.
const SIMILAR: [(f64, f64, &str); 4] = [
    (-1.0, 0.4, "below 0.4"),
    (0.4, 0.6, "0.4–0.6"),
    (0.6, 1.0 - 1e-9, "0.6–1"),
    (1.0 - 1e-9, 1.0, "the same shape"),
];

/// Correct samples of each context by how similar the problem's graph is to the nearest graph of the other
/// contexts (paper, Fig. 5); a correct solution has the shape of its problem's graph.
pub(super) fn shapes(measure: &Measure, suite: &str, suffix: &str) -> Result<Option<Figure>, ReportError> {
    let contexts = measure.contexts(suite);
    if contexts.len() < 2 {
        return Ok(None);
    }
    let problems: Vec<Problem> = measure.folder.problems(suite)?;
    if problems.is_empty() {
        return Ok(None);
    }
    let mut panels = Vec::new();
    for context in &contexts {
        let others = problems.iter().filter(|p| p.cell.context != *context);
        let known: Shapes = others.map(|p| Topology::of_gold(&p.gold())).collect();
        let nearest_P: Vec<f64> =
            problems
                .iter()
                .map(|p| {
                    if p.cell.context == *context {
                        known.nearest(&Topology::of_gold(&p.gold()))
                    } else {
                        None
                    }
                })
                .map(|nearest| nearest.unwrap_or(-1.0))
                .collect();
        panels.extend(shapes_panel(measure, suite, context, &nearest_P));
    }
    Ok(Figure::new(
        &format!("shapes{suffix}"),
        "Which shapes were solved",
        "Correct samples of each context, by how similar their problem's graph is to the most similar graph of the suite's other contexts (shared neighbourhoods, names and values left out; a correct solution has the graph of its problem). The uppermost bar is the suite itself. Intervals on hover and in the numbers.",
        panels,
    ))
}

fn shapes_panel(measure: &Measure, suite: &str, context: &str, nearest_P: &[f64]) -> Option<Chart> {
    let slice = Slice { context: Some(context.to_owned()), ..Slice::default() };
    let within = |row: &EvalRow, (from, to, _): (f64, f64, &str)| {
        nearest_P.get(row.problem as usize).is_some_and(|s| *s > from && *s <= to)
    };
    let bar = |model: &Model, share: &dyn Fn(&EvalRow) -> Option<f64>| -> Option<Vec<Value>> {
        let part = |bin: (f64, f64, &'static str)| {
            let value = |row: &EvalRow| if within(row, bin) { share(row) } else { Some(0.0) };
            measure.mean_of(model, suite, &slice, Some((0.0, 1.0)), value).map(Value::from)
        };
        SIMILAR.into_iter().map(part).collect()
    };
    let right = |row: &EvalRow| crate::measure::value(Metric::PassAt(1), row);
    let mut bars: Vec<(String, Vec<Value>)> =
        measure.models.iter().filter_map(|model| Some((model.label.clone(), bar(model, &right)?))).collect();
    let first = measure.models.iter().find_map(|model| bar(model, &|_| Some(1.0)))?;
    let counted = first.into_iter().map(|value| Value::counted(value.value)).collect();
    bars.insert(0, ("all problems".to_owned(), counted));
    Some(Chart::Bars(Bars {
        title: context.to_owned(),
        label: "share of samples".into(),
        format: Format::Percent,
        parts: SIMILAR.iter().map(|(_, _, name)| (*name).to_owned()).zip(PARTS).collect(),
        bars,
    }))
}
