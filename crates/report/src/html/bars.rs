//! Differences drawn on one axis, a row each.

use std::fmt::Write;

use crate::chart::{Format, round_numbers};
use crate::stats::Estimate;
use crate::table::Word;

const WIDTH: f64 = 240.0;
/// Room at both ends, for labels.
const PAD: f64 = 18.0;
const TICKS: usize = 4;

/// The axis that a column of differences shares.
pub(super) struct Axis {
    low: f64,
    high: f64,
    format: Format,
}

impl Axis {
    /// An axis that holds zero and all numbers. `rate` says that they are shares and written as points.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>, rate: bool) -> Self {
        let (low, high) = numbers.into_iter().fold((0.0_f64, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low == high { (-0.01, 0.01) } else { (low, high) };
        Self { low, high, format: if rate { Format::Points } else { Format::Number } }
    }

    fn at(&self, v: f64) -> f64 {
        PAD + (WIDTH - 2.0 * PAD) * (v - self.low) / (self.high - self.low)
    }

    fn grid(&self, to: f64) -> String {
        let mut d = String::new();
        for tick in round_numbers(self.low, self.high, TICKS) {
            let _ = write!(d, "M{:.1} 0V{to}", self.at(tick));
        }
        format!(r#"<path class="grid" d="{d}"/><path class="zero" d="M{:.1} 0V{to}"/>"#, self.at(0.0))
    }

    /// The numbers of the axis, for the head of the column.
    pub(super) fn head(&self) -> String {
        let mut text = String::new();
        for tick in round_numbers(self.low, self.high, TICKS) {
            let _ = write!(
                text,
                r#"<text class="tc-tick" text-anchor="middle" x="{:.1}" y="13">{}</text>"#,
                self.at(tick),
                self.format.text(tick)
            );
        }
        format!(r#"<svg class="tc bar" viewBox="0 0 {WIDTH} 18" aria-hidden="true">{text}</svg>"#)
    }

    /// A difference as a dot with its interval; dashes where a verdict turns, an open square at the paper's figure.
    pub(super) fn bar(&self, e: &Estimate, bounds: &[f64], paper: Option<f64>) -> String {
        let (low, high, value) = (self.at(e.low), self.at(e.high), self.at(e.value));
        let mut marks = String::new();
        for bound in bounds.iter().filter(|b| **b != 0.0) {
            let _ = write!(marks, r#"<path class="bound" d="M{:.1} 1V21"/>"#, self.at(*bound));
        }
        if let Some(paper) = paper {
            let _ = write!(marks, r#"<path class="paper" d="M{:.1} 7h8v8h-8Z"/>"#, self.at(paper) - 4.0);
        }
        format!(
            r#"<svg class="bar {}" viewBox="0 0 {WIDTH} 22" aria-hidden="true">{}<path class="span" d="M{low:.1} 11H{high:.1}M{low:.1} 7v8M{high:.1} 7v8"/><circle cx="{value:.1}" cy="11" r="4"/>{marks}</svg>"#,
            class(Word::of(e)),
            self.grid(22.0)
        )
    }
}

pub(super) fn class(word: Word) -> &'static str {
    match word {
        Word::Up => "up",
        Word::Down => "down",
        Word::WithinNoise => "noise",
    }
}
