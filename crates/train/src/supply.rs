//! Where problems come from: the generator, or files of records made by it (or by hand).

use std::collections::BTreeMap;

use problems::{Cell, Generator, Problem, Record};

/// An endless sequence of problems for every cell of a mix.
pub enum Supply {
    /// Problem `i` of a cell is a function of the seed.
    Generator(Box<Generator>),
    /// The problems of a file in its order, again and again.
    Files(BTreeMap<Cell, Vec<Problem>>),
}

impl Supply {
    /// Sorts the records of JSONL texts into cells and checks that every cell of the mix has some.
    ///
    /// # Errors
    /// The line and what is wrong with it, or the cell that is missing.
    pub fn of_texts<'c>(
        texts: &[(String, String)],
        cells: impl Iterator<Item = &'c Cell>,
    ) -> Result<Self, String> {
        let mut problems: BTreeMap<Cell, Vec<Problem>> = BTreeMap::new();
        for (file, text) in texts {
            for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let wrong = |e: &dyn std::fmt::Display| format!("`{file}`, line {}: {e}", i + 1);
                let record: Record = serde_json::from_str(line).map_err(|e| wrong(&e))?;
                let problem = Problem::from_record(&record).map_err(|e| wrong(&e))?;
                problems.entry(problem.cell.clone()).or_default().push(problem);
            }
        }
        for cell in cells {
            if !problems.contains_key(cell) {
                let mode = crate::recipe::mix::mode_name(cell.mode);
                return Err(format!(
                    "the files have no problem of op {} in `{}` ({mode})",
                    cell.op, cell.context
                ));
            }
        }
        Ok(Self::Files(problems))
    }

    /// Problem `i` of a cell of the mix.
    pub fn problem(&self, cell: &Cell, i: u64) -> Problem {
        match self {
            Self::Generator(generator) => generator.problem(cell, i),
            Self::Files(problems) => {
                let of_cell = &problems[cell];
                of_cell[(i % of_cell.len() as u64) as usize].clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use problems::{Contexts, World, gold::Mode};

    use super::*;

    fn records(op: u32, n: u64) -> String {
        let generator = Generator::new(&World::default(), &Contexts::builtin(), 7, None).expect("a world");
        let cell = Cell { op, context: "zoo".to_owned(), mode: Mode::Forward };
        let record = |i| serde_json::to_string(&generator.problem(&cell, i).record()).expect("plain data");
        (0..n).map(record).collect::<Vec<String>>().join("\n")
    }

    #[test]
    fn files_are_read_in_order_and_begin_again() {
        let cell = Cell { op: 4, context: "zoo".to_owned(), mode: Mode::Forward };
        let texts = [("a".to_owned(), records(4, 2)), ("b".to_owned(), records(5, 1))];
        let supply = Supply::of_texts(&texts, [&cell].into_iter()).expect("the records are whole");
        let ids: Vec<u64> = (0..4).map(|i| supply.problem(&cell, i).index).collect();
        assert_eq!(ids, [0, 1, 0, 1]);
    }

    #[test]
    fn a_broken_line_and_a_missing_cell_are_named() {
        let cell = Cell { op: 6, context: "zoo".to_owned(), mode: Mode::Forward };
        let check = |text: String| {
            Supply::of_texts(&[("a.jsonl".to_owned(), text)], [&cell].into_iter()).err().unwrap_or_default()
        };
        assert!(check(records(6, 1) + "\n{").starts_with("`a.jsonl`, line 2: "));
        assert_eq!(check(records(5, 1)), "the files have no problem of op 6 in `zoo` (forward)");
        assert_eq!(check(records(6, 1)), "");
    }
}
