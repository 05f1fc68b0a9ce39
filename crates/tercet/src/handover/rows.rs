//! The rows that a trainer reads.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use problems::Problem;
use runs::error::failed;

use super::{Handover, Trainer, llama_factory};
use crate::formats::parquet::ParquetFile;
use crate::formats::{Message, Row, Value, rows};

/// Rows of a group of a Parquet file.
const GROUP: usize = 4096;

/// A file of rows.
pub(super) struct Rows {
    trainer: Trainer,
    /// The text of the end token, where rows have messages with responses.
    end: Option<String>,
    split: &'static str,
    path: PathBuf,
    parquet: Option<ParquetFile>,
    lines: Option<BufWriter<File>>,
    waiting: Vec<Row>,
}

impl Rows {
    pub(super) fn new(handover: &Handover, folder: &Path, split: &'static str) -> Self {
        let trainer = handover.trainer;
        let tokenizer = handover.tokenizer;
        let responses = trainer == Trainer::LlamaFactory && llama_factory::responses_only(handover);
        let bytes = tokenizer.bytes(tokenizer.eos()).unwrap_or_default();
        let end = responses.then(|| String::from_utf8_lossy(bytes).into_owned());
        let parquet = trainer != Trainer::LlamaFactory;
        let path = folder.join(format!("{split}.{}", if parquet { "parquet" } else { "jsonl" }));
        let file = parquet.then(|| ParquetFile::new(&path));
        Self { trainer, end, split, path, parquet: file, lines: None, waiting: Vec::new() }
    }

    pub(super) fn push(&mut self, problem: &Problem, number: u64) -> anyhow::Result<()> {
        self.waiting.push(match self.trainer {
            Trainer::Verl => verl(problem, number, self.split)?,
            Trainer::Trl => rows::prompts(problem)?,
            Trainer::LlamaFactory => match &self.end {
                Some(end) => turns(problem, end),
                None => rows::text(problem)?,
            },
        });
        if self.waiting.len() == GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if let Some(parquet) = &mut self.parquet {
            return parquet.group(&rows);
        }
        let mut file = match self.lines.take() {
            Some(file) => file,
            None => BufWriter::new(File::create(&self.path).map_err(failed(&self.path, "write"))?),
        };
        for row in rows {
            serde_json::to_writer(&mut file, &row)?;
            file.write_all(b"\n").map_err(failed(&self.path, "write"))?;
        }
        self.lines = Some(file);
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        if let Some(parquet) = self.parquet {
            return parquet.finish();
        }
        let mut file = self.lines.context("a file without rows")?;
        Ok(file.flush().map_err(failed(&self.path, "write"))?)
    }
}

/// Prompt and response as messages of a template that adds nothing.
fn turns(problem: &Problem, end: &str) -> Row {
    let prompt = Message { role: "user", content: problem.prompt() };
    let response = Message { role: "assistant", content: problem.response() + end };
    Row(vec![("messages", Value::Messages(vec![prompt, response]))])
}

/// verl's columns. It reports by `data_source`, so op and context are part of it.
fn verl(problem: &Problem, number: u64, split: &str) -> anyhow::Result<Row> {
    let text = |text: &str| Value::Text(text.to_owned());
    let (op, context) = (problem.cell.op, problem.cell.context.as_str());
    Ok(Row(vec![
        ("data_source", Value::Text(format!("tercet/op{op:02}/{context}"))),
        ("prompt", Value::Messages(vec![rows::question(problem)])),
        ("ability", text("math")),
        (
            "reward_model",
            Value::Group(Row(vec![
                ("style", text("rule")),
                ("ground_truth", Value::Text(serde_json::to_string(&problem.record())?)),
            ])),
        ),
        (
            "extra_info",
            Value::Group(Row(vec![
                ("index", Value::Whole(number as i64)),
                ("split", text(split)),
                ("op", Value::Whole(i64::from(op))),
                ("context", text(context)),
                ("mode", text(problem.cell.mode.name())),
                ("id", text(&problem.id)),
            ])),
        ),
    ]))
}
