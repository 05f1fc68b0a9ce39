//! Estimates side by side: a row each, a dot with its interval.

use std::fmt::Write;

use super::frame::{Canvas, Placed, WIDTH, escape, n};
use super::ink::{COLOURS, marker};
use super::{Around, Axis, Chart, Dots, Ink, Scale};

const ROW: f64 = 24.0;

pub(super) fn svg(dots: &Dots, around: Around) -> String {
    let mut c = Canvas::new();
    let top = c.head(&dots.title, &Chart::Dots(dots.clone()).keys(), around);
    let longest = dots.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let left = (8.0 + 6.6 * longest as f64).clamp(40.0, 190.0);
    let bottom = top + 6.0 + ROW * dots.rows.len() as f64;
    let ends = |v: &super::Value| v.interval.unwrap_or((v.value, v.value));
    let values = dots.rows.iter().flat_map(|row| row.values.iter().flatten()).map(ends);
    let data = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (a, b)| (l.min(a), h.max(b)));
    let axis =
        Axis { label: dots.label.clone(), scale: Scale::Linear, format: dots.format, range: dots.range };
    let x = Placed::new(&axis, data, left, WIDTH - 18.0);
    for tick in x.ticks(5) {
        c.line("tc-grid", (x.at(tick), top), (x.at(tick), bottom));
        c.text("tc-tick", "middle", x.at(tick), bottom + 15.0, &dots.format.text(tick));
    }
    if x.at(0.0) > left + 1.0 && dots.range.is_none() {
        c.line("tc-axis", (x.at(0.0), top), (x.at(0.0), bottom));
    }
    for (r, row) in dots.rows.iter().enumerate() {
        let y = top + 6.0 + ROW * (r as f64 + 0.5);
        c.row_name(left, y + 4.0, &row.name);
        let count = row.values.len().max(1) as f64;
        for (i, (series, value)) in dots.series.iter().zip(&row.values).enumerate() {
            let Some(value) = value else { continue };
            let y = y + (i as f64 - (count - 1.0) / 2.0) * (ROW - 10.0) / count.max(2.0);
            let (low, high) = ends(value);
            let ink = Ink { hue: row.hue, dash: usize::from(i > 0) };
            c.line(&format!("tc-span tc-s{}", row.hue % COLOURS), (x.at(low), y), (x.at(high), y));
            c.raw(&format!(
                r#"<g class="tc-point">{}<circle class="tc-hit" cx="{}" cy="{}" r="8"/><title>{}</title></g>"#,
                marker(ink, x.at(value.value), y),
                n(x.at(value.value)),
                n(y),
                escape(&format!("{}\n{series}: {}", row.name, dots.format.with_interval(*value)))
            ));
        }
    }
    c.line("tc-axis", (left, top), (left, bottom));
    c.text("tc-label", "middle", f64::midpoint(left, WIDTH - 18.0), bottom + 32.0, &dots.label);
    c.height = bottom + 38.0;
    c.finish(&describe(dots))
}

fn describe(dots: &Dots) -> String {
    let mut text = format!("{}: {}.", dots.title, dots.label);
    for row in &dots.rows {
        for (series, value) in dots.series.iter().zip(&row.values) {
            let value = value.map_or_else(|| "not measured".into(), |v| dots.format.with_interval(v));
            let _ = write!(text, " {}, {series}: {value}.", row.name);
        }
    }
    text
}
