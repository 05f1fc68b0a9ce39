//! What the lines, dots and bars of a chart are.

use super::frame::{Canvas, n};
use super::ink::{COLOURS, marker};
use super::{Chart, Ink};

/// An entry of a legend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    sign: Sign,
    /// What it stands for.
    pub(crate) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Line(Ink),
    Dot { open: bool },
    Fill(usize),
}

/// Width of a sign in a legend.
pub(super) const SIGN: f64 = 30.0;

impl Key {
    /// The sign, from `x` on, at the height `y`.
    pub(super) fn draw(&self, c: &mut Canvas, x: f64, y: f64) {
        match self.sign {
            Sign::Line(ink) => {
                c.line(&format!("tc-line {}", ink.classes()), (x, y), (x + 26.0, y));
                c.raw(&marker(ink, x + 13.0, y));
            }
            Sign::Dot { open } => {
                c.raw(
                    &marker(Ink { hue: 2, dash: usize::from(open) }, x + 13.0, y).replace("tc-s2", "tc-s0"),
                );
            }
            Sign::Fill(colour) => c.raw(&format!(
                r#"<rect class="tc-bar tc-s{}" x="{}" y="{}" width="22" height="10"/>"#,
                colour % COLOURS,
                n(x + 2.0),
                n(y - 5.0)
            )),
        }
    }

    /// The sign as a drawing of its own, for a legend beside the drawings.
    pub(crate) fn svg(&self) -> String {
        let mut c = Canvas::new();
        self.draw(&mut c, 2.0, 7.0);
        c.sign()
    }
}

impl Chart {
    /// The legend; empty where the title says it all.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let key = |sign, name: &String| Key { sign, name: name.clone() };
        match self {
            Self::Plot(c) if c.series.len() == 1 && c.title.starts_with(&c.series[0].name) => Vec::new(),
            Self::Plot(c) => c.series.iter().map(|s| key(Sign::Line(s.ink), &s.name)).collect(),
            Self::Bars(c) if c.parts.len() > 1 => {
                c.parts.iter().map(|(name, colour)| key(Sign::Fill(*colour), name)).collect()
            }
            Self::Dots(c) if c.series.len() > 1 => {
                c.series.iter().enumerate().map(|(i, name)| key(Sign::Dot { open: i > 0 }, name)).collect()
            }
            Self::Bars(_) | Self::Dots(_) | Self::Heat(_) => Vec::new(),
        }
    }
}
