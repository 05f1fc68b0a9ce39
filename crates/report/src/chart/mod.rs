//! Charts as data, drawn as SVG that follows the page: its width, its fonts, light or dark. Every series has a
//! colour, a dash and a marker of its own, so that grey prints read; every point says its numbers on hover.
//!
//! Why not a plotting crate: `docs/decisions/0050-own-charts.md`.

mod bars;
mod dots;
mod frame;
mod heat;
mod plot;

use std::fmt::Write;

pub use frame::escape;

use crate::stats::Estimate;

/// The style sheet of all drawings; standalone files embed it, the report holds it once.
pub const STYLE: &str = include_str!("../../templates/drawing.css");

/// One drawing.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// Lines over a numeric axis.
    Plot(Plot),
    /// Stacked horizontal bars.
    Bars(Bars),
    /// A grid of signed numbers.
    Heat(Heat),
    /// Estimates side by side.
    Dots(Dots),
}

/// Lines over a numeric axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// What is shown, e.g. `edge: op 6–7`.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
}

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it measures.
    pub label: String,
    /// How numbers lie on it.
    pub scale: Scale,
    /// How numbers are written.
    pub format: Format,
    /// Its ends; `None`: from the data.
    pub range: Option<(f64, f64)>,
}

/// How numbers lie on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Powers of two evenly.
    Log2,
    /// Whole numbers, each with a tick.
    Whole,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A rate as percent.
    Percent,
    /// Three significant digits, thousands as k, millions as M.
    Number,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Which of the colours, dashes and markers.
    pub slot: usize,
    /// Whether points get markers; lines of many points do not.
    pub markers: bool,
    /// The points, from left to right.
    pub points: Vec<Point>,
}

/// A point with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Position.
    pub x: f64,
    /// Value.
    pub y: f64,
    /// Interval around the value.
    pub interval: Option<(f64, f64)>,
}

/// Horizontal bars, one a category, each stacked from the same parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// What is shown.
    pub title: String,
    /// What the length measures.
    pub label: String,
    /// How numbers are written.
    pub format: Format,
    /// Names and colours of the parts, in the order of the legend.
    pub parts: Vec<(String, usize)>,
    /// Name of each bar and the length of its parts.
    pub bars: Vec<(String, Vec<Value>)>,
}

/// A grid of signed numbers, coloured by size and sign.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// What is shown.
    pub title: String,
    /// What the colour measures.
    pub label: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Name of each row and its numbers; `None`: not measured.
    pub rows: Vec<(String, Vec<Option<Value>>)>,
}

/// Estimates side by side: a row each, a dot with its interval for each series.
#[derive(Debug, Clone, PartialEq)]
pub struct Dots {
    /// What is shown.
    pub title: String,
    /// What the position measures.
    pub label: String,
    /// How numbers are written.
    pub format: Format,
    /// The ends of the axis; `None`: from the data.
    pub range: Option<(f64, f64)>,
    /// Names and markers of the series, in the order of the legend.
    pub series: Vec<(String, usize)>,
    /// Name of each row and its numbers, one a series; `None`: not measured.
    pub rows: Vec<(String, Vec<Option<Value>>)>,
}

/// A number with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The number.
    pub value: f64,
    /// Interval around it; `None` for what was counted and not estimated.
    pub interval: Option<(f64, f64)>,
}

impl Value {
    /// A number that was counted.
    pub fn counted(value: f64) -> Self {
        Self { value, interval: None }
    }
}

impl From<Estimate> for Value {
    fn from(e: Estimate) -> Self {
        Self { value: e.value, interval: Some((e.low, e.high)) }
    }
}

impl Chart {
    /// The chart's title.
    pub fn title(&self) -> &str {
        match self {
            Self::Plot(c) => &c.title,
            Self::Bars(c) => &c.title,
            Self::Heat(c) => &c.title,
            Self::Dots(c) => &c.title,
        }
    }

    /// The drawing, to be put into a page that holds [`STYLE`].
    pub fn svg(&self) -> String {
        match self {
            Self::Plot(c) => plot::svg(c),
            Self::Bars(c) => bars::svg(c),
            Self::Heat(c) => heat::svg(c),
            Self::Dots(c) => dots::svg(c),
        }
    }

    /// The drawing as a file of its own.
    pub fn standalone(&self) -> String {
        standalone(&self.svg())
    }

    /// The numbers, without a header; the columns are those of [`Chart::csv_header`].
    pub fn csv_rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let mut push = |series: &str, x: String, v: Option<Value>| {
            let text = |v: Option<f64>| v.map_or_else(String::new, rounded);
            let interval = v.and_then(|v| v.interval);
            let ends = [interval.map(|i| i.0), interval.map(|i| i.1)].map(text);
            let [low, high] = ends;
            rows.push(vec![
                self.title().to_owned(),
                series.to_owned(),
                x,
                text(v.map(|v| v.value)),
                low,
                high,
            ]);
        };
        match self {
            Self::Plot(c) => {
                for (s, p) in c.series.iter().flat_map(|s| s.points.iter().map(move |p| (s, p))) {
                    push(&s.name, rounded(p.x), Some(Value { value: p.y, interval: p.interval }));
                }
            }
            Self::Bars(c) => {
                for (bar, values) in &c.bars {
                    for ((part, _), value) in c.parts.iter().zip(values) {
                        push(part, bar.clone(), Some(*value));
                    }
                }
            }
            Self::Heat(c) => {
                for (row, values) in &c.rows {
                    for (column, value) in c.columns.iter().zip(values) {
                        push(row, column.clone(), *value);
                    }
                }
            }
            Self::Dots(c) => {
                for (row, values) in &c.rows {
                    for ((series, _), value) in c.series.iter().zip(values) {
                        push(series, row.clone(), *value);
                    }
                }
            }
        }
        rows
    }

    /// The columns of [`Chart::csv_rows`].
    pub fn csv_header(&self) -> [String; 6] {
        let (series, x, y) = match self {
            Self::Plot(c) => ("series", c.x.label.as_str(), c.y.label.as_str()),
            Self::Bars(c) => ("part", "bar", c.label.as_str()),
            Self::Heat(c) => ("row", "column", c.label.as_str()),
            Self::Dots(c) => ("series", "row", c.label.as_str()),
        };
        ["panel", series, x, y, "low", "high"].map(str::to_owned)
    }
}

/// Puts the style sheet into a drawing so that it stands alone.
pub(crate) fn standalone(svg: &str) -> String {
    let head = svg.find('>').map_or(0, |i| i + 1);
    format!("{}<style>{STYLE}</style>{}\n", &svg[..head], &svg[head..])
}

/// A CSV file: fields with separators or quotes are quoted.
pub(crate) fn csv<R: AsRef<[String]>>(header: &[String], rows: impl IntoIterator<Item = R>) -> String {
    let field = |text: &String| {
        if text.contains([',', '"', '\n']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.clone()
        }
    };
    let line = |fields: &[String]| fields.iter().map(field).collect::<Vec<_>>().join(",");
    let mut out = line(header) + "\n";
    for row in rows {
        let _ = writeln!(out, "{}", line(row.as_ref()));
    }
    out
}

impl Format {
    /// A number with its interval, e.g. `12% [10%, 14.5%]`.
    fn with_interval(self, v: Value) -> String {
        let ends =
            v.interval.map_or_else(String::new, |(l, h)| format!(" [{}, {}]", self.text(l), self.text(h)));
        self.text(v.value) + &ends
    }

    /// A number as it is written on an axis or in a hover text.
    pub fn text(self, v: f64) -> String {
        match self {
            Self::Percent => trim(format!("{:.1}", v * 100.0)) + "%",
            Self::Number => number(v),
        }
    }
}

/// A number for a file: at most six decimals.
fn rounded(v: f64) -> String {
    trim(format!("{v:.6}"))
}

/// Three significant digits, with k, M, G.
pub(crate) fn number(v: f64) -> String {
    let size = v.abs();
    let (scaled, unit) = match size {
        s if s >= 1e15 => return format!("{v:.2e}"),
        s if s >= 1e12 => (v / 1e12, "T"),
        s if s >= 1e9 => (v / 1e9, "G"),
        s if s >= 1e6 => (v / 1e6, "M"),
        s if s >= 1e4 => (v / 1e3, "k"),
        s if s > 0.0 && s < 1e-3 => return format!("{v:.1e}"),
        _ => (v, ""),
    };
    let decimals = match scaled.abs() {
        s if s >= 100.0 => 0,
        s if s >= 10.0 => 1,
        s if s >= 1.0 => 2,
        _ => 3,
    };
    let text = trim(format!("{scaled:.decimals$}"));
    (if text == "-0" { "0".into() } else { text }) + unit
}

fn trim(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 1.0, 0.25, 12.34, 999.6, 1234.0, 65_536.0, 1.5e6, 2e12, 1e-4, -0.0001].map(number);
        assert_eq!(
            texts,
            ["0", "1", "0.25", "12.3", "1000", "1234", "65.5k", "1.5M", "2T", "1.0e-4", "-1.0e-4"]
        );
        assert_eq!(Format::Percent.text(0.4125), "41.2%");
        assert_eq!(Format::Percent.text(1.0), "100%");
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let rows = [["a, b".to_owned(), "say \"x\"".to_owned()]];
        assert_eq!(csv(&["p".into(), "q".into()], rows), "p,q\n\"a, b\",\"say \"\"x\"\"\"\n");
    }
}
