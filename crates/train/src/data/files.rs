//! Files of problem records.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use problems::{Cell, Problem, Record, Split, SplitRule, split::Identity};
use runs::lines;

/// A file of problem records, one a line. It knows where the lines of each cell are; the content stays on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    pub(super) path: PathBuf,
    /// blake3 of its content, hexadecimal.
    pub hash: String,
    pub(super) lines: BTreeMap<Cell, Vec<u64>>,
}

impl DataFile {
    /// Reads a file once and checks every record. None may be a problem of the test split under the recipe's rule.
    ///
    /// # Errors
    /// The line and what is wrong with it, or why the file cannot be read.
    pub fn index(path: &Path, rule: SplitRule) -> Result<Self, String> {
        if path.extension().is_some_and(|extension| extension == "gz" || extension == "zst") {
            return Err(format!(
                "`{}` is compressed: unpack it, problems are read from their places in the file",
                path.display()
            ));
        }
        let unreadable = |e| format!("cannot read `{}`: {e}", path.display());
        let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut hasher = blake3::Hasher::new();
        let mut places: BTreeMap<Cell, Vec<u64>> = BTreeMap::new();
        let (mut line, mut start, mut number) = (Vec::new(), 0, 0);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(unreadable)?;
            if length == 0 {
                break;
            }
            number += 1;
            hasher.update(&line);
            if !lines::decode(&line).trim_ascii().is_empty() {
                let problem = parse(&line).and_then(|problem| not_of_test(problem, rule));
                let problem = problem.map_err(|e| format!("`{}`, line {number}: {e}", path.display()))?;
                places.entry(problem.cell).or_default().push(start);
            }
            start += length as u64;
        }
        Ok(Self { path: path.to_owned(), hash: hasher.finalize().to_hex().to_string(), lines: places })
    }
}

/// Gives a problem back unless results could be reported on it.
fn not_of_test(problem: Problem, rule: SplitRule) -> Result<Problem, String> {
    let hash = match Identity::of(rule, problem.cell.op) {
        Identity::Structure => problem.structure_hash(),
        Identity::Instance => problem.instance_hash(),
        Identity::Text => problem.text_hash(),
    };
    if Split::of(&hash) == Split::Test {
        return Err("a problem of the test split: make the file with `--split train`".to_owned());
    }
    Ok(problem)
}

/// Checks that files have a problem for every cell of a mix.
///
/// # Errors
/// The cell that is missing.
pub(crate) fn check_cells<'c>(
    files: &[Arc<DataFile>],
    cells: impl Iterator<Item = &'c Cell>,
) -> Result<(), String> {
    for cell in cells {
        if !files.iter().any(|file| file.lines.contains_key(cell)) {
            let (op, context) = (cell.op, &cell.context);
            let mode = cell.mode.name();
            return Err(format!("the files have no problem of op {op} in `{context}` ({mode})"));
        }
    }
    Ok(())
}

pub(super) fn parse(line: &[u8]) -> Result<Problem, String> {
    let record: Record = lines::parse(&lines::decode(line))?;
    Problem::from_record(&record).map_err(|e| lines::brief(&e.to_string()))
}
