//! The numbers of a chart as CSV.

use std::fmt::Write;

use super::numbers::rounded;
use super::{Chart, Value};

impl Chart {
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
                for row in &c.rows {
                    for (series, value) in c.series.iter().zip(&row.values) {
                        push(series, row.name.clone(), *value);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_needs_it() {
        let rows = [["a, b".to_owned(), "say \"x\"".to_owned()]];
        assert_eq!(csv(&["p".into(), "q".into()], rows), "p,q\n\"a, b\",\"say \"\"x\"\"\"\n");
    }
}
