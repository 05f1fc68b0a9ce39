//! Paired differences between the last models of the arms.

use runs::Metric;

use super::ink::hue;
use super::{Figure, by_band};
use crate::chart::{Chart, DotRow, Dots, Format, Value};
use crate::comparisons::base_model;
use crate::measure::{Measure, Slice};

/// Every arm minus the base arm, on the same problems; nothing for a run of one arm.
pub(super) fn differences(
    measure: &Measure,
    suite: &str,
    suffix: &str,
    base: Option<&str>,
) -> Option<Figure> {
    let base = base_model(measure, base)?;
    let mut metrics = vec![Metric::PassAt(1)];
    metrics.extend(Some(Metric::PassAt(measure.most(suite))).filter(|m| *m != Metric::PassAt(1)));
    let panel = |title: String, slice: &Slice| {
        let others = measure.last_models().into_iter().filter(|model| *model != base);
        let rows = others.map(|model| DotRow {
            name: model.label.clone(),
            hue: hue(measure, model),
            values: metrics
                .iter()
                .map(|metric| measure.difference(model, base, suite, slice, *metric).map(Value::from))
                .collect(),
        });
        let rows: Vec<DotRow> = rows.collect();
        rows.iter().any(|row| row.values.iter().any(Option::is_some)).then(|| {
            let label = format!("points against {}", base.label);
            let series = metrics.iter().map(|metric| metric.name()).collect();
            Chart::Dots(Dots { title, label, format: Format::Points, range: None, series, rows })
        })
    };
    Figure::new(
        &format!("differences{suffix}"),
        "The arms against each other",
        &format!(
            "The last model of every arm minus that of {}, on the same problems and seeds, with 95% intervals. An interval that does not reach zero shows a difference.",
            base.label
        ),
        by_band(measure, panel),
    )
}
