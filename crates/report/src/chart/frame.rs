//! What all charts share: the canvas, axes, legends, escaping.

use std::fmt::Write;

use super::{Axis, Scale};

/// Width of every chart in drawing units; the page scales it.
pub(super) const WIDTH: f64 = 420.0;
/// How many different colours, dashes and markers there are.
pub(super) const SLOTS: usize = 12;
/// Average width of a character at the legend's size.
const CHARACTER: f64 = 6.3;

/// Text as it must stand in XML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML 1.0 has no way to write other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate: one decimal is a tenth of a pixel.
pub(super) fn n(v: f64) -> String {
    let text = format!("{v:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A drawing under construction.
pub(super) struct Canvas {
    body: String,
    pub(super) height: f64,
}

impl Canvas {
    pub(super) fn new() -> Self {
        Self { body: String::new(), height: 0.0 }
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.body.push_str(text);
    }

    pub(super) fn text(&mut self, class: &str, anchor: &str, x: f64, y: f64, text: &str) {
        let _ = write!(
            self.body,
            r#"<text class="{class}" text-anchor="{anchor}" x="{}" y="{}">{}</text>"#,
            n(x),
            n(y),
            escape(text)
        );
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.body,
            r#"<path class="{class}" d="M{} {}L{} {}"/>"#,
            n(from.0),
            n(from.1),
            n(to.0),
            n(to.1)
        );
    }

    /// The name of a row, left of `left`; what does not fit is left out, and whole on hover.
    pub(super) fn row_name(&mut self, left: f64, y: f64, name: &str) {
        let fits = ((left - 10.0) / CHARACTER) as usize;
        if name.chars().count() <= fits {
            self.text("tc-tick", "end", left - 6.0, y, name);
            return;
        }
        let shown: String = name.chars().take(fits.saturating_sub(1)).chain(['…']).collect();
        self.raw("<g>");
        self.text("tc-tick", "end", left - 6.0, y, &shown);
        self.raw(&format!("<title>{}</title></g>", escape(name)));
    }

    /// The title at the top; returns where the next thing may start.
    pub(super) fn title(&mut self, title: &str) -> f64 {
        self.text("tc-title", "start", 4.0, 16.0, title);
        24.0
    }

    /// Entries in rows, each with a key drawn by `key(canvas, slot, x, y)`; returns where the next thing may start.
    pub(super) fn legend(
        &mut self,
        entries: &[(usize, &str)],
        top: f64,
        key: impl Fn(&mut Self, usize, f64, f64),
    ) -> f64 {
        let (mut x, mut y) = (4.0, top + 12.0);
        for (slot, name) in entries {
            let width = 32.0 + CHARACTER * name.chars().count() as f64 + 12.0;
            if x + width > WIDTH && x > 4.0 {
                (x, y) = (4.0, y + 17.0);
            }
            key(self, *slot, x, y - 4.0);
            self.text("tc-legend", "start", x + 30.0, y, name);
            x += width;
        }
        y + 8.0
    }

    pub(super) fn finish(self, label: &str) -> String {
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="tc" viewBox="0 0 {WIDTH} {}" role="img" aria-label="{}">{}</svg>"#,
            n(self.height),
            escape(label),
            self.body
        )
    }
}

const SQUARE: [(f64, f64); 4] = [(-3.2, -3.2), (3.2, -3.2), (3.2, 3.2), (-3.2, 3.2)];
const UP: [(f64, f64); 3] = [(0.0, -4.2), (4.0, 3.0), (-4.0, 3.0)];
const DOWN: [(f64, f64); 3] = [(0.0, 4.2), (4.0, -3.0), (-4.0, -3.0)];
const LEFT: [(f64, f64); 3] = [(-4.0, 0.0), (3.0, -4.0), (3.0, 4.0)];
const DIAMOND: [(f64, f64); 4] = [(0.0, -4.4), (4.4, 0.0), (0.0, 4.4), (-4.4, 0.0)];
const PLUS: [(f64, f64); 12] = [
    (-4.0, -1.3),
    (-1.3, -1.3),
    (-1.3, -4.0),
    (1.3, -4.0),
    (1.3, -1.3),
    (4.0, -1.3),
    (4.0, 1.3),
    (1.3, 1.3),
    (1.3, 4.0),
    (-1.3, 4.0),
    (-1.3, 1.3),
    (-4.0, 1.3),
];

/// The marker of a slot, centred at a point: filled in slots 0 to 4, 6 and 7, open in the others.
pub(super) fn marker(slot: usize, x: f64, y: f64) -> String {
    let slot = slot % SLOTS;
    let class = if slot == 5 || slot > 7 { "tc-mark tc-open" } else { "tc-mark" };
    let points: &[(f64, f64)] = match slot {
        0 | 5 => {
            let (r, x, y) = (if slot == 0 { 3.4 } else { 3.2 }, n(x), n(y));
            return format!(r#"<circle class="{class} tc-s{slot}" cx="{x}" cy="{y}" r="{r}"/>"#);
        }
        1 | 8 => &SQUARE,
        2 | 9 => &UP,
        3 | 10 => &DIAMOND,
        4 | 11 => &DOWN,
        6 => &LEFT,
        _ => &PLUS,
    };
    let mut d = String::new();
    for (i, (dx, dy)) in points.iter().enumerate() {
        let _ = write!(d, "{}{} {}", if i == 0 { 'M' } else { 'L' }, n(x + dx), n(y + dy));
    }
    format!(r#"<path class="{class} tc-s{slot}" d="{d}Z"/>"#)
}

/// Where numbers fall between two ends of the drawing.
pub(super) struct Placed<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl<'a> Placed<'a> {
    /// Lays an axis from `from` to `to`, over its range or that of the data.
    pub(super) fn new(axis: &'a Axis, data: (f64, f64), from: f64, to: f64) -> Self {
        let (mut low, mut high) = axis.range.unwrap_or(data);
        if !(low.is_finite() && high.is_finite()) {
            (low, high) = (0.0, 1.0);
        }
        if axis.scale == Scale::Log2 {
            low = low.max(f64::MIN_POSITIVE);
        }
        if low >= high {
            // A single value stands in the middle.
            (low, high) = match axis.scale {
                Scale::Log2 => (low / 2.0, low * 2.0),
                _ => (low - 0.5, low + 0.5),
            };
        }
        Self { axis, low, high, from, to }
    }

    pub(super) fn at(&self, v: f64) -> f64 {
        let share = match self.axis.scale {
            Scale::Log2 => (v.max(self.low).log2() - self.low.log2()) / (self.high.log2() - self.low.log2()),
            _ => (v - self.low) / (self.high - self.low),
        };
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    /// At most `most` round numbers within the axis.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        match self.axis.scale {
            Scale::Log2 => {
                let powers = |every: i32| -> Vec<f64> {
                    (self.low.log2().ceil() as i32..=self.high.log2().floor() as i32)
                        .filter(|e| e % every == 0)
                        .map(|e| 2_f64.powi(e))
                        .collect()
                };
                (1..64).map(powers).find(|t| t.len() <= most).unwrap_or_default()
            }
            Scale::Whole => even(self.low, self.high, most, 1.0),
            Scale::Linear => even(self.low, self.high, most, 0.0),
        }
    }
}

fn even(low: f64, high: f64, most: usize, smallest: f64) -> Vec<f64> {
    let raw = (high - low) / most.max(1) as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power);
    let step = round.into_iter().find(|s| *s >= raw * 0.999).unwrap_or(raw).max(smallest);
    let first = (low / step - 1e-9).ceil();
    let count = ((high / step + 1e-9).floor() - first).max(-1.0) as usize;
    (0..=count).map(|i| (first + i as f64) * step).take(most + 2).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chart::STYLE_SHEET;

    /// The part of the style sheet from a name to the next brace.
    fn style(name: &str) -> &'static str {
        let at = STYLE_SHEET.find(name).unwrap_or_else(|| panic!("no {name}")) + name.len();
        STYLE_SHEET[at..].split('}').next().unwrap_or_default()
    }

    #[test]
    fn every_slot_has_a_colour_and_a_dash_or_marker_of_its_own() {
        let drawn = |slot| marker(slot, 0.0, 0.0).replace(&format!("tc-s{slot}"), "");
        let markers: BTreeSet<String> = (0..SLOTS).map(drawn).collect();
        assert_eq!(markers.len(), SLOTS);
        let mut dashes = BTreeSet::new();
        for slot in 0..SLOTS {
            let lines = style(&format!(".tc-s{slot}{{"));
            assert!(lines.contains(&format!("--c:var(--s{slot})")), "{slot}: {lines}");
            dashes.insert(lines.split_once("--d:").map(|(_, dash)| dash));
            assert_eq!(
                STYLE_SHEET.matches(&format!("--s{slot}:#")).count(),
                2,
                "a colour for day and one for night"
            );
        }
        // Two lines are solid, and told apart by their markers.
        assert_eq!(dashes.len(), SLOTS - 1);
    }
}
