//! Numbers as axes, hover texts and files write them.

use super::{Format, Value};

impl Format {
    /// A number with its interval, e.g. `12% [10%, 14.5%]`.
    pub(super) fn with_interval(self, v: Value) -> String {
        let ends =
            v.interval.map_or_else(String::new, |(l, h)| format!(" [{}, {}]", self.text(l), self.text(h)));
        self.text(v.value) + &ends
    }

    /// A number as it is written on an axis or in a hover text.
    pub fn text(self, v: f64) -> String {
        match self {
            Self::Percent => trim(format!("{:.1}", v * 100.0)) + "%",
            Self::Points => {
                let size = trim(format!("{:.1}", v.abs() * 100.0));
                let sign = if size == "0" {
                    ""
                } else if v < 0.0 {
                    "−"
                } else {
                    "+"
                };
                format!("{sign}{size}")
            }
            Self::Number => number(v),
        }
    }
}

/// A number for a file: at most six decimals.
pub(super) fn rounded(v: f64) -> String {
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
        assert_eq!([0.031, -0.2, -0.0001].map(|v| Format::Points.text(v)), ["+3.1", "−20", "0"]);
    }
}
