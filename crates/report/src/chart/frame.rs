//! What all charts share: the canvas, axes, legends, escaping.

use std::fmt::Write;

use super::legend::{Key, SIGN};
use super::{Around, Axis, Scale};

/// Width of every chart in drawing units; the page scales it.
pub(super) const WIDTH: f64 = 420.0;
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

    /// Title and legend, as far as the drawing holds them; returns where the next thing may start.
    pub(super) fn head(&mut self, title: &str, keys: &[Key], around: Around) -> f64 {
        if around == Around::NotEvenTitle {
            return 2.0;
        }
        self.text("tc-title", "start", 4.0, 16.0, title);
        if around == Around::Legend && !keys.is_empty() { self.legend(keys, 24.0) } else { 24.0 }
    }

    /// Entries in rows; returns where the next thing may start.
    fn legend(&mut self, keys: &[Key], top: f64) -> f64 {
        let (mut x, mut y) = (4.0, top + 12.0);
        for key in keys {
            let width = SIGN + 14.0 + CHARACTER * key.name.chars().count() as f64;
            if x + width > WIDTH && x > 4.0 {
                (x, y) = (4.0, y + 17.0);
            }
            key.draw(self, x, y - 4.0);
            self.text("tc-legend", "start", x + SIGN, y, &key.name);
            x += width;
        }
        y + 8.0
    }

    /// A sign of a legend that stands beside the drawings.
    pub(super) fn sign(self) -> String {
        format!(r#"<svg class="tc tc-key" viewBox="0 0 {SIGN} 14" aria-hidden="true">{}</svg>"#, self.body)
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

/// Where numbers fall between two ends of the drawing.
pub(super) struct Placed<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Whether only positive numbers lie on it.
    pub(super) fn is_logarithmic(self) -> bool {
        matches!(self, Self::Log2 | Self::Log10)
    }
}

impl<'a> Placed<'a> {
    /// Lays an axis from `from` to `to`, over its range or that of the data.
    pub(super) fn new(axis: &'a Axis, data: (f64, f64), from: f64, to: f64) -> Self {
        let (mut low, mut high) = axis.range.unwrap_or(data);
        if !(low.is_finite() && high.is_finite()) {
            (low, high) = (0.0, 1.0);
        }
        if axis.scale.is_logarithmic() {
            low = low.max(f64::MIN_POSITIVE);
        }
        if low >= high {
            // A single value stands in the middle.
            (low, high) = match axis.scale {
                Scale::Log2 | Scale::Log10 => (low / 2.0, low * 2.0),
                _ => (low - 0.5, low + 0.5),
            };
        }
        Self { axis, low, high, from, to }
    }

    pub(super) fn at(&self, v: f64) -> f64 {
        let share = match self.axis.scale {
            Scale::Log2 | Scale::Log10 => {
                (v.max(self.low).log2() - self.low.log2()) / (self.high.log2() - self.low.log2())
            }
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
            Scale::Log10 => decades(self.low, self.high, most),
            Scale::Whole => even(self.low, self.high, most, 1.0),
            Scale::Linear => even(self.low, self.high, most, 0.0),
        }
    }
}

/// The densest of 1-2-5, 1-3 and 1 in every decade that has few enough ticks; evenly spaced ones within part of a decade.
fn decades(low: f64, high: f64, most: usize) -> Vec<f64> {
    let of = |steps: &[f64]| -> Vec<f64> {
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let ticks = decades.flat_map(|e| steps.iter().map(move |s| s * 10_f64.powi(e)));
        ticks.filter(|t| (low..=high).contains(t)).collect()
    };
    let found = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].map(of);
    found.into_iter().find(|t| t.len() <= most && t.len() > 1).unwrap_or_else(|| even(low, high, most, 0.0))
}

/// At most about `most` evenly spaced round numbers.
pub(crate) fn round_numbers(low: f64, high: f64, most: usize) -> Vec<f64> {
    even(low, high, most, 0.0)
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
