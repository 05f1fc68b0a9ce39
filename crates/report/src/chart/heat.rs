//! A grid of signed numbers. Sign is colour and is written out; size is depth of colour.

use std::fmt::Write;

use super::frame::{Canvas, WIDTH, escape, n};
use super::{Around, Heat, Value, number};

const ROW: f64 = 28.0;
/// Width of a cell that a number fits into.
const NUMBER: f64 = 26.0;

pub(super) fn svg(heat: &Heat, around: Around) -> String {
    let mut c = Canvas::new();
    let top = c.head(&heat.title, &[], around);
    c.text("tc-label", "start", 4.0, top + 12.0, &heat.label);
    let top = top + 22.0;
    let longest = heat.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let left = (8.0 + 6.6 * longest as f64).clamp(40.0, 170.0);
    let width = (WIDTH - 4.0 - left) / heat.columns.len().max(1) as f64;
    let values = || heat.rows.iter().flat_map(|(_, row)| row.iter().flatten());
    let most = values().fold(0.0_f64, |m, v| m.max(v.value.abs())).max(f64::MIN_POSITIVE);
    for (i, name) in heat.columns.iter().enumerate() {
        c.text("tc-tick", "middle", left + width * (i as f64 + 0.5), top + 10.0, name);
    }
    let top = top + 16.0;
    for (r, (name, row)) in heat.rows.iter().enumerate() {
        let y = top + ROW * r as f64;
        c.row_name(left, y + 18.0, name);
        for (i, value) in row.iter().enumerate() {
            let x = left + width * i as f64;
            let Some(v) = value else {
                c.text("tc-tick", "middle", x + width / 2.0, y + 18.0, "–");
                continue;
            };
            let (class, deep) = (if v.value < 0.0 { "tc-cold" } else { "tc-warm" }, v.value.abs() / most);
            c.raw(&format!(
                r#"<g class="tc-point"><rect class="{class}" fill-opacity="{:.2}" x="{}" y="{}" width="{}" height="{}"/>"#,
                0.08 + 0.42 * deep,
                n(x + 1.0),
                n(y + 1.0),
                n(width - 2.0),
                n(ROW - 2.0)
            ));
            let sure = v.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
            let cell = if sure { "tc-cell tc-sure" } else { "tc-cell" };
            let text = if width < NUMBER { sign(v.value).to_owned() } else { short(v.value) };
            c.text(cell, "middle", x + width / 2.0, y + 18.0, &text);
            let column = heat.columns.get(i).map_or("", String::as_str);
            c.raw(&format!("<title>{}</title></g>", escape(&format!("{name}, {column}: {}", signed(*v)))));
        }
    }
    c.height = top + ROW * heat.rows.len() as f64 + 6.0;
    c.finish(&describe(heat))
}

/// For cells that are too narrow for a number.
fn sign(v: f64) -> &'static str {
    match short(v).as_str() {
        "0" => "0",
        _ if v < 0.0 => "−",
        _ => "+",
    }
}

fn short(v: f64) -> String {
    let text = format!("{v:+.2}").replace('-', "−").replace("0.", ".");
    if matches!(text.as_str(), "+.00" | "−.00") { "0".into() } else { text }
}

fn signed(v: Value) -> String {
    let sign = if v.value > 0.0 { "+" } else { "" };
    let ends = v.interval.map_or_else(String::new, |(l, h)| format!(" [{}, {}]", number(l), number(h)));
    format!("{sign}{}{ends}", number(v.value))
}

fn describe(heat: &Heat) -> String {
    let mut text = format!("{}: {}.", heat.title, heat.label);
    for (name, row) in &heat.rows {
        let _ = write!(text, " {name}:");
        for (column, value) in heat.columns.iter().zip(row) {
            let _ = write!(text, " {column} {},", value.map_or_else(|| "not measured".into(), signed));
        }
    }
    text
}
