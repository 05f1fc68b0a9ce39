//! Charts as data, drawn as SVG that follows the page: its width, its fonts, light or dark. Lines of models are drawn in an
//! [`Ink`]: colour and shape of the marker mean the arm, dash and filling mean the stage, so that grey prints read. Every
//! point says its numbers on hover.
//!
//! Why not a plotting crate: `docs/decisions/0050-own-charts.md`.

mod bars;
mod csv;
mod dots;
mod frame;
mod heat;
mod ink;
mod legend;
mod numbers;
mod plot;

pub(crate) use csv::csv;
pub use frame::escape;
pub(crate) use frame::round_numbers;
pub(crate) use ink::HUES;
pub use ink::Ink;
pub(crate) use legend::Key;
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
    /// Powers of ten evenly.
    Log10,
    /// Whole numbers, each with a tick.
    Whole,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A rate as percent.
    Percent,
    /// A difference of rates in percentage points, with its sign.
    Points,
    /// Three significant digits, thousands as k, millions as M.
    Number,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is drawn.
    pub ink: Ink,
    /// Whether each point has a marker; lines of many points have a few on their way.
    pub markers: bool,
    /// The points, from left to right.
    pub points: Vec<PlotPoint>,
    /// What the points are means of, drawn lightly below the line instead of an area; empty where the points are the
    /// measurement.
    pub observed: Vec<(f64, f64)>,
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
    /// Names of the series, in the order of the legend: the first has filled markers, the others open ones.
    pub series: Vec<String>,
    /// The rows, from top to bottom.
    pub rows: Vec<DotRow>,
}

/// A row of [`Dots`].
#[derive(Debug, Clone, PartialEq)]
pub struct DotRow {
    /// Its name.
    pub name: String,
    /// Its colour and shape, which are those of an arm.
    pub hue: usize,
    /// Its numbers, one a series; `None`: not measured.
    pub values: Vec<Option<Value>>,
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

    /// The drawing, to be put into a page that holds [`STYLE_SHEET`] and the legend.
    pub fn svg(&self) -> String {
        self.drawn(Around::Nothing)
    }

    /// As [`Chart::svg`], without its title: it stands beside the drawing.
    pub fn untitled_svg(&self) -> String {
        self.drawn(Around::NotEvenTitle)
    }

    /// The drawing as a file of its own, with its legend.
    pub fn standalone(&self) -> String {
        standalone(&self.drawn(Around::Legend))
    }

    fn drawn(&self, around: Around) -> String {
        match self {
            Self::Plot(c) => plot::svg(c, around),
            Self::Bars(c) => bars::svg(c, around),
            Self::Heat(c) => heat::svg(c, around),
            Self::Dots(c) => dots::svg(c, around),
        }
    }
}

/// What a drawing holds besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    /// Title and legend.
    Legend,
    /// The title: the page has the legend.
    Nothing,
    /// No title either: the page has both.
    NotEvenTitle,
}

/// Puts the style sheet into a drawing so that it stands alone.
pub(crate) fn standalone(svg: &str) -> String {
    let head = svg.find('>').map_or(0, |i| i + 1);
    format!("{}<style>{STYLE_SHEET}</style>{}\n", &svg[..head], &svg[head..])
}
