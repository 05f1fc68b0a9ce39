//! Charts as data, drawn as SVG that follows the page: its width, its fonts, light or dark. Every series has a
//! colour, a dash and a marker of its own, so that grey prints read; every point says its numbers on hover.
//!
//! Why not a plotting crate: `docs/decisions/0050-own-charts.md`.

mod bars;
mod csv;
mod dots;
mod frame;
mod heat;
mod numbers;
mod plot;

pub(crate) use csv::csv;
pub use frame::escape;
pub(crate) use numbers::number;

use crate::stats::Estimate;

/// The style sheet of all drawings; standalone files embed it, the report holds it once.
pub const STYLE_SHEET: &str = include_str!("../../templates/drawing.css");

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
    pub points: Vec<PlotPoint>,
}

/// A point with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotPoint {
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

    /// The drawing, to be put into a page that holds [`STYLE_SHEET`].
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
}

/// Puts the style sheet into a drawing so that it stands alone.
pub(crate) fn standalone(svg: &str) -> String {
    let head = svg.find('>').map_or(0, |i| i + 1);
    format!("{}<style>{STYLE_SHEET}</style>{}\n", &svg[..head], &svg[head..])
}
