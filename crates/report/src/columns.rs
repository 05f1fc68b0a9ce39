//! Text tables for terminals: columns as wide as their widest cell, two blanks apart.

use std::fmt::Write;

/// The rows as lines. Columns for which `right` is true are aligned to the right, as numbers are read. Control characters
/// are blanks: a cell neither ends its line nor speaks to the terminal.
///
/// ```
/// use tercet_report::columns;
/// let rows = [["stage", "steps"], ["pre", "1200"], ["rl", "40"]].map(|row| row.map(str::to_owned));
/// assert_eq!(columns(&rows, |column| column > 0), "\
/// stage  steps
/// pre     1200
/// rl        40
/// ");
/// ```
pub fn columns<R: AsRef<[String]>>(rows: &[R], right: impl Fn(usize) -> bool) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.as_ref().iter().enumerate() {
            widths.resize(widths.len().max(column + 1), 0);
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.as_ref().iter().zip(&widths).enumerate() {
            let gap = if column > 0 { "  " } else { "" };
            let cell = cell.replace(char::is_control, " ");
            let _ = if right(column) {
                write!(line, "{gap}{cell:>width$}")
            } else {
                write!(line, "{gap}{cell:width$}")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cell_does_not_speak_to_the_terminal() {
        let rows = [["a\u{1b}[31m\nb".to_owned(), "c".to_owned()]];
        assert_eq!(super::columns(&rows, |_| false), "a [31m b  c\n");
    }
}
