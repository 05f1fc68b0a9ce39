//! The formats that `tercet problems` writes, and the containers of their rows.

pub(crate) mod parquet;
mod records;
pub(crate) mod rows;
mod text;
mod worksheet;

use std::path::Path;

use problems::Problem;
use serde::Serialize;

pub(crate) use rows::{Message, Row, Value};

/// How problems are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// The problem with its graph, as `tercet verify`, `show` and recipes read it; one JSON object per line
    #[value(alias = "jsonl")]
    Records,
    /// The training text: question, solution and answer in their tags; plain lines, or rows with a column `text`
    Text,
    /// Rows with `prompt` and `completion`, exactly as models are trained on them
    Sft,
    /// Rows with `prompt`, and the record that a reward needs
    Prompts,
    /// Rows with `messages`; the tokenizer's chat template turns them into the training text
    Chat,
    /// A web page to print: numbered problems with lines for the answers, solutions on pages of their own at the end
    Worksheet,
}

/// What the rows of a file are put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Container {
    /// Lines; rows are JSON objects.
    Lines,
    /// Lines of the training text alone.
    Plain,
    /// Columns.
    Parquet,
}

/// A part of a file. A file has one part or two, and each part goes through all problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Problems,
    Solutions,
}

impl Container {
    /// As the file's name says: `.parquet`, `.jsonl` or `.json` before a compression's ending, else plain lines.
    pub(crate) fn of(path: Option<&Path>, format: Format) -> Self {
        let ending = |path: &Path| path.extension().and_then(|ending| ending.to_str()).map(str::to_owned);
        let last = path.and_then(ending);
        let inner = match last.as_deref() {
            Some("gz" | "zst") => path.map(|path| path.with_extension("")).as_deref().and_then(ending),
            _ => last.clone(),
        };
        match (last.as_deref(), inner.as_deref()) {
            (Some("parquet"), _) => Self::Parquet,
            (_, Some("json" | "jsonl")) => Self::Lines,
            _ if format == Format::Text => Self::Plain,
            _ => Self::Lines,
        }
    }
}

impl Format {
    /// The parts of a file, in their order.
    pub(crate) fn parts(self) -> &'static [Part] {
        match self {
            Self::Worksheet => &[Part::Problems, Part::Solutions],
            _ => &[Part::Problems],
        }
    }

    /// What stands before the first problem of a part.
    pub(crate) fn head(self, part: Part) -> &'static str {
        match self {
            Self::Worksheet => worksheet::head(part),
            _ => "",
        }
    }

    /// What stands after the last problem of a part.
    pub(crate) fn foot(self, part: Part) -> &'static str {
        match self {
            Self::Worksheet => worksheet::foot(part),
            _ => "",
        }
    }

    /// A problem in a part of a file of lines; `number` counts from 1.
    pub(crate) fn lines(
        self,
        (part, container): (Part, Container),
        number: u64,
        problem: &Problem,
    ) -> anyhow::Result<String> {
        Ok(match (self, self.row(problem)?) {
            (Self::Worksheet, _) => worksheet::problem(part, number, problem),
            (Self::Text, _) if container == Container::Plain => text::problem(problem),
            (_, Some(row)) => serde_json::to_string(&row)? + "\n",
            (_, None) => records::problem(problem)?,
        })
    }

    /// A problem as a row; none in formats that have no columns.
    pub(crate) fn row(self, problem: &Problem) -> anyhow::Result<Option<Row>> {
        Ok(match self {
            Self::Text => Some(rows::text(problem)?),
            Self::Sft => Some(rows::sft(problem)?),
            Self::Prompts => Some(rows::prompts(problem)?),
            Self::Chat => Some(rows::chat(problem)?),
            Self::Records | Self::Worksheet => None,
        })
    }
}
