//! Estimates side by side: a row each, a dot with its interval.

use std::fmt::Write;

use super::frame::{Canvas, Placed, SLOTS, WIDTH, escape, marker, n};
use super::{Axis, Dots, Scale};

const ROW: f64 = 24.0;

pub(super) fn svg(dots: &Dots) -> String {
    let mut c = Canvas::new();
    let mut top = c.title(&dots.title);
    let entries: Vec<(usize, &str)> =
        dots.series.iter().map(|(name, slot)| (slot % SLOTS, name.as_str())).collect();
    if entries.len() > 1 {
        top = c.legend(&entries, top, |c, slot, x, y| {
            c.line(&format!("tc-line tc-s{slot}"), (x, y), (x + 26.0, y));
            c.raw(&marker(slot, x + 13.0, y));
        });
    }
    let longest = dots.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let left = (8.0 + 6.6 * longest as f64).clamp(40.0, 190.0);
    let bottom = top + 6.0 + ROW * dots.rows.len() as f64;
    let ends = |v: &super::Value| v.interval.unwrap_or((v.value, v.value));
    let values = dots.rows.iter().flat_map(|(_, row)| row.iter().flatten()).map(ends);
    let data = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (a, b)| (l.min(a), h.max(b)));
    let axis =
        Axis { label: dots.label.clone(), scale: Scale::Linear, format: dots.format, range: dots.range };
    let x = Placed::new(&axis, data, left, WIDTH - 18.0);
    for tick in x.ticks(5) {
        c.line("tc-grid", (x.at(tick), top), (x.at(tick), bottom));
        c.text("tc-tick", "middle", x.at(tick), bottom + 15.0, &dots.format.text(tick));
    }
    for (r, (name, row)) in dots.rows.iter().enumerate() {
        let y = top + 6.0 + ROW * (r as f64 + 0.5);
        c.row_name(left, y + 4.0, name);
        let count = row.len().max(1) as f64;
        for (i, ((series, slot), value)) in dots.series.iter().zip(row).enumerate() {
            let Some(value) = value else { continue };
            let y = y + (i as f64 - (count - 1.0) / 2.0) * (ROW - 10.0) / count.max(2.0);
            let (low, high) = ends(value);
            c.line(&format!("tc-span tc-s{}", slot % SLOTS), (x.at(low), y), (x.at(high), y));
            c.raw(&format!(
                r#"<g class="tc-point">{}<circle class="tc-hit" cx="{}" cy="{}" r="8"/><title>{}</title></g>"#,
                marker(slot % SLOTS, x.at(value.value), y),
                n(x.at(value.value)),
                n(y),
                escape(&format!("{name}\n{series}: {}", dots.format.with_interval(*value)))
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
    for (name, row) in &dots.rows {
        for ((series, _), value) in dots.series.iter().zip(row) {
            let value = value.map_or_else(|| "not measured".into(), |v| dots.format.with_interval(v));
            let _ = write!(text, " {name}, {series}: {value}.");
        }
    }
    text
}
