//! The problems of a stage: from the generator, or from files of records.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    sync::Arc,
};

use problems::{Cell, Generator, Problem, Sequence, SpecError, split::Split, stream::Stream};
use runs::{error::failed, records::StageKind};

use super::{
    files::{DataFile, parse},
    generator::{generator, seed_of},
};
use crate::{
    error::RunError,
    recipe::{ArmStage, Recipe},
};

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

    /// The problems of a stage: those of its files, or a stream of its own. No two stages share a stream, so none trains on
    /// another's problems in the same order.
    ///
    /// # Errors
    /// If a file cannot be opened, or the generator makes no problems of a cell.
    pub fn of_stage(recipe: &Recipe, stage: &ArmStage, seed: u64) -> Result<Self, RunError> {
        if !stage.files.is_empty() {
            return Self::of_files(&stage.files);
        }
        let split = if stage.stage.kind == StageKind::Rl { Split::Rl } else { Split::Train };
        let seed = seed_of(&Stream::root(seed).fork("problems").fork(&stage.stage.name));
        Ok(Self::of_generator(&generator(recipe, seed, split)?, stage.cells.keys())?)
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

    use problems::{Contexts, SplitRule, World, gold::Mode};

    use super::{super::files::check_cells, *};

    fn sequence_of(op: u32, split: Split) -> Sequence {
        let split = Some((split, SplitRule::Structure));
        let generator = Generator::new(&World::default(), &Contexts::builtin(), 7, split).expect("a world");
        generator.sequence(&cell(op)).expect("a possible cell")
    }

    fn sequence(op: u32) -> Sequence {
        sequence_of(op, Split::Train)
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
            DataFile::index(&path, SplitRule::Structure).map(Arc::new)
        };
        let files = texts.iter().enumerate().map(file).collect();
        (folder, files)
    }

    #[test]
    fn files_are_read_in_order_and_begin_again() {
        let texts = [records(5, 1) + "\n\n" + &records(4, 2) + "\n", records(4, 1)];
        let (_folder, files) = files(&texts);
        let files = files.expect("the records are whole");
        check_cells(&files, [&cell(4), &cell(5)].into_iter()).expect("both are there");
        let supply = Supply::of_files(&files).expect("readable");
        let read = |op, i| supply.problem(&cell(op), i).expect("readable");
        assert_eq!((0..7).map(|i| read(4, i).index).collect::<Vec<u64>>(), [0, 1, 0, 0, 1, 0, 0]);
        assert_eq!(read(4, 4).problem, sequence(4).problem(1).problem);
        assert_eq!(read(5, 3).problem, sequence(5).problem(0).problem);
    }

    /// From op 6 on the structure decides, below it the instance.
    #[test]
    fn a_test_problem_is_refused_with_its_line() {
        for op in [4, 7] {
            let test = serde_json::to_string(&sequence_of(op, Split::Test).problem(0).record());
            let (_folder, files) = files(&[records(op, 2) + "\n" + &test.expect("plain data")]);
            let message = files.expect_err("a test problem");
            let said = "0.jsonl`, line 3: a problem of the test split: make the file with `--split train`";
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn a_broken_line_a_missing_cell_and_a_changed_file_are_named() {
        let (folder, broken) = files(&[records(6, 1) + "\n{"]);
        let message = broken.expect_err("the second line is half a record");
        assert!(message.contains("0.jsonl`, line 2: "), "{message}");
        let (_, files) = files(&[records(5, 1)]);
        let message = check_cells(&files.expect("whole"), [&cell(6)].into_iter()).expect_err("another op");
        assert_eq!(message, "the files have no problem of op 6 in `zoo` (forward)");
        let message = DataFile::index(&folder.path().join("0.jsonl.gz"), SplitRule::Structure)
            .expect_err("not to be read in places");
        assert!(message.contains("is compressed: unpack it"), "{message}");
        let path = folder.path().join("0.jsonl");
        fs::write(&path, records(6, 2)).expect("writable");
        let supply =
            Supply::of_files(&[Arc::new(DataFile::index(&path, SplitRule::Structure).expect("whole"))])
                .expect("readable");
        fs::write(&path, records(6, 1)).expect("writable");
        assert!(supply.problem(&cell(6), 0).is_ok());
        let error = supply.problem(&cell(6), 1).expect_err("the line is gone");
        assert!(error.to_string().ends_with("was changed while it was read"), "{error}");
    }
}
