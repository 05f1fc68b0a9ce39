//! Stacked horizontal bars.

use std::fmt::Write;

use super::frame::{Canvas, Placed, WIDTH, escape, n};
use super::ink::COLOURS;
use super::{Around, Axis, Bars, Chart, Scale};

const ROW: f64 = 26.0;

pub(super) fn svg(bars: &Bars, around: Around) -> String {
    let mut c = Canvas::new();
    let top = c.head(&bars.title, &Chart::Bars(bars.clone()).keys(), around);
    let longest = bars.bars.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let left = (8.0 + 6.6 * longest as f64).clamp(40.0, 170.0);
    let bottom = top + 6.0 + ROW * bars.bars.len() as f64;
    let most =
        bars.bars.iter().map(|(_, parts)| parts.iter().map(|p| p.value).sum::<f64>()).fold(0.0, f64::max);
    let axis = Axis { label: bars.label.clone(), scale: Scale::Linear, format: bars.format, range: None };
    let x = Placed::new(&axis, (0.0, most), left, WIDTH - 16.0);
    for tick in x.ticks(5) {
        c.line("tc-grid", (x.at(tick), top), (x.at(tick), bottom));
        c.text("tc-tick", "middle", x.at(tick), bottom + 15.0, &bars.format.text(tick));
    }
    for (row, (name, parts)) in bars.bars.iter().enumerate() {
        let y = top + 6.0 + ROW * row as f64;
        c.row_name(left, y + 14.0, name);
        let mut from = 0.0;
        for ((part, slot), value) in bars.parts.iter().zip(parts).filter(|(_, v)| v.value > 0.0) {
            let (a, b) = (x.at(from), x.at(from + value.value));
            c.raw(&format!(
                r#"<g class="tc-point"><rect class="tc-bar tc-s{}" x="{}" y="{}" width="{}" height="19"/><title>{}</title></g>"#,
                slot % COLOURS,
                n(a),
                n(y),
                n(b - a),
                escape(&format!("{name}\n{part}: {}", bars.format.with_interval(*value)))
            ));
            from += value.value;
        }
    }
    c.line("tc-axis", (left, top), (left, bottom));
    c.text("tc-label", "middle", f64::midpoint(left, WIDTH - 16.0), bottom + 32.0, &bars.label);
    c.height = bottom + 38.0;
    c.finish(&describe(bars))
}

fn describe(bars: &Bars) -> String {
    let mut text = format!("{}: {}.", bars.title, bars.label);
    for (name, parts) in &bars.bars {
        let _ = write!(text, " {name}:");
        for ((part, _), value) in bars.parts.iter().zip(parts) {
            let _ = write!(text, " {part} {},", bars.format.text(value.value));
        }
    }
    text
}
