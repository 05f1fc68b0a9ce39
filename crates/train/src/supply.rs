//! Where problems come from: the generator, or files of records made by it (or by hand).

use runs::error::failed;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use problems::{Cell, Generator, Problem, Record, Sequence, SpecError};

use crate::error::RunError;

/// A file of records, one a line: where the lines of each cell are. The file itself is not held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    path: PathBuf,
    /// blake3 of its content, hexadecimal.
    pub hash: String,
    lines: BTreeMap<Cell, Vec<u64>>,
}

impl DataFile {
    /// Reads a file from its beginning to its end and checks every record.
    ///
    /// # Errors
    /// The line and what is wrong with it, or why the file cannot be read.
    pub fn index(path: &Path) -> Result<Self, String> {
        if path.extension().is_some_and(|extension| extension == "gz" || extension == "zst") {
            return Err(format!(
                "`{}` is compressed: unpack it, problems are read from their places in the file",
                path.display()
            ));
        }
        let unreadable = |e| format!("cannot read `{}`: {e}", path.display());
        let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut hasher = blake3::Hasher::new();
        let mut lines: BTreeMap<Cell, Vec<u64>> = BTreeMap::new();
        let (mut line, mut start, mut number) = (Vec::new(), 0, 0);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(unreadable)?;
            if length == 0 {
                break;
            }
            number += 1;
            hasher.update(&line);
            if !line.trim_ascii().is_empty() {
                let problem =
                    parse(&line).map_err(|e| format!("`{}`, line {number}: {e}", path.display()))?;
                lines.entry(problem.cell).or_default().push(start);
            }
            start += length as u64;
        }
        Ok(Self { path: path.to_owned(), hash: hasher.finalize().to_hex().to_string(), lines })
    }
}

/// Whether files have a problem for every cell of a mix.
///
/// # Errors
/// The cell that is missing.
pub fn check<'c>(files: &[Arc<DataFile>], cells: impl Iterator<Item = &'c Cell>) -> Result<(), String> {
    for cell in cells {
        if !files.iter().any(|file| file.lines.contains_key(cell)) {
            let (op, context) = (cell.op, &cell.context);
            let mode = cell.mode.name();
            return Err(format!("the files have no problem of op {op} in `{context}` ({mode})"));
        }
    }
    Ok(())
}

fn parse(line: &[u8]) -> Result<Problem, String> {
    let record: Record = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    Problem::from_record(&record).map_err(|e| e.to_string())
}

/// An endless sequence of problems for every cell of a mix.
pub enum Supply {
    /// Problem `i` of a cell is a function of the seed.
    Generator(BTreeMap<Cell, Sequence>),
    /// The problems of files in their order, again and again, read when they are needed.
    Files(Vec<(Arc<DataFile>, File)>),
}

impl Supply {
    /// The sequences of a mix.
    ///
    /// # Errors
    /// If the generator makes no problems of a cell.
    pub fn of_generator<'c>(
        generator: &Generator,
        cells: impl Iterator<Item = &'c Cell>,
    ) -> Result<Self, SpecError> {
        cells
            .map(|cell| Ok((cell.clone(), generator.sequence(cell)?)))
            .collect::<Result<_, _>>()
            .map(Self::Generator)
    }

    /// Opens files for reading.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub fn of_files(files: &[Arc<DataFile>]) -> Result<Self, RunError> {
        let open = |data: &Arc<DataFile>| match File::open(&data.path) {
            Ok(file) => Ok((Arc::clone(data), file)),
            Err(e) => Err(failed(&data.path, "read")(e).into()),
        };
        files.iter().map(open).collect::<Result<_, RunError>>().map(Self::Files)
    }

    /// Problem `i` of a cell of the mix.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what it was when the recipe was.
    pub fn problem(&self, cell: &Cell, i: u64) -> Result<Problem, RunError> {
        let files = match self {
            Self::Generator(sequences) => {
                let sequence =
                    sequences.get(cell).ok_or_else(|| RunError::Data(format!("{cell} is not in the mix")))?;
                return Ok(sequence.problem(i));
            }
            Self::Files(files) => files,
        };
        let count = |data: &DataFile| data.lines.get(cell).map_or(0, |lines| lines.len() as u64);
        let all: u64 = files.iter().map(|(data, _)| count(data)).sum();
        let mut left = i % all.max(1);
        for (data, file) in files {
            if left < count(data) {
                return read(file, data, data.lines[cell][left as usize], cell);
            }
            left -= count(data);
        }
        Err(RunError::Data(format!("the files have no problem of op {} in `{}`", cell.op, cell.context)))
    }
}

fn read(mut file: &File, data: &DataFile, at: u64, cell: &Cell) -> Result<Problem, RunError> {
    let mut line = Vec::new();
    let found =
        file.seek(SeekFrom::Start(at)).and_then(|_| BufReader::new(file).read_until(b'\n', &mut line));
    found.map_err(failed(&data.path, "read"))?;
    match parse(&line) {
        Ok(problem) if problem.cell == *cell => Ok(problem),
        _ => Err(RunError::Data(format!("`{}` was changed while it was read", data.path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use problems::{Contexts, World, gold::Mode};

    use super::*;

    fn sequence(op: u32) -> Sequence {
        let generator = Generator::new(&World::default(), &Contexts::builtin(), 7, None).expect("a world");
        generator.sequence(&cell(op)).expect("a possible cell")
    }

    fn records(op: u32, n: u64) -> String {
        let sequence = sequence(op);
        let record = |i| serde_json::to_string(&sequence.problem(i).record()).expect("plain data");
        (0..n).map(record).collect::<Vec<String>>().join("\n")
    }

    fn cell(op: u32) -> Cell {
        Cell { op, context: "zoo".to_owned(), mode: Mode::Forward }
    }

    /// Files with these texts, in a folder that lives as long as the first of what is returned.
    fn files(texts: &[String]) -> (tempfile::TempDir, Result<Vec<Arc<DataFile>>, String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |(i, text): (usize, &String)| {
            let path = folder.path().join(format!("{i}.jsonl"));
            fs::write(&path, text).expect("writable");
            DataFile::index(&path).map(Arc::new)
        };
        let files = texts.iter().enumerate().map(file).collect();
        (folder, files)
    }

    #[test]
    fn files_are_read_in_order_and_begin_again() {
        let texts = [records(5, 1) + "\n\n" + &records(4, 2) + "\n", records(4, 1)];
        let (_folder, files) = files(&texts);
        let files = files.expect("the records are whole");
        check(&files, [&cell(4), &cell(5)].into_iter()).expect("both are there");
        let supply = Supply::of_files(&files).expect("readable");
        let read = |op, i| supply.problem(&cell(op), i).expect("readable");
        assert_eq!((0..7).map(|i| read(4, i).index).collect::<Vec<u64>>(), [0, 1, 0, 0, 1, 0, 0]);
        assert_eq!(read(4, 4).problem, sequence(4).problem(1).problem);
        assert_eq!(read(5, 3).problem, sequence(5).problem(0).problem);
    }

    #[test]
    fn a_broken_line_a_missing_cell_and_a_changed_file_are_named() {
        let (folder, broken) = files(&[records(6, 1) + "\n{"]);
        let message = broken.expect_err("the second line is half a record");
        assert!(message.contains("0.jsonl`, line 2: "), "{message}");
        let (_, files) = files(&[records(5, 1)]);
        let message = check(&files.expect("whole"), [&cell(6)].into_iter()).expect_err("another op");
        assert_eq!(message, "the files have no problem of op 6 in `zoo` (forward)");
        let message =
            DataFile::index(&folder.path().join("0.jsonl.gz")).expect_err("not to be read in places");
        assert!(message.contains("is compressed: unpack it"), "{message}");
        let path = folder.path().join("0.jsonl");
        fs::write(&path, records(6, 2)).expect("writable");
        let supply = Supply::of_files(&[Arc::new(DataFile::index(&path).expect("whole"))]).expect("readable");
        fs::write(&path, records(6, 1)).expect("writable");
        assert!(supply.problem(&cell(6), 0).is_ok());
        let error = supply.problem(&cell(6), 1).expect_err("the line is gone");
        assert!(error.to_string().ends_with("was changed while it was read"), "{error}");
    }
}
