//! The formats that `tercet problems` writes, one file each.

mod jsonl;
mod text;
mod worksheet;

use problems::Problem;
use serde::Serialize;

/// How problems are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// One JSON record per line
    Jsonl,
    /// The training text: question, solution and answer in their tags, one problem per line
    Text,
    /// A web page to print: numbered problems with lines for the answers, solutions on pages of their own at the end
    Worksheet,
}

/// A part of a file. A file has one part or two, and each part goes through all problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Problems,
    Solutions,
}

impl Format {
    /// The parts of a file, in their order.
    pub(crate) fn parts(self) -> &'static [Part] {
        match self {
            Self::Jsonl | Self::Text => &[Part::Problems],
            Self::Worksheet => &[Part::Problems, Part::Solutions],
        }
    }

    /// What stands before the first problem of a part.
    pub(crate) fn head(self, part: Part) -> &'static str {
        match self {
            Self::Jsonl | Self::Text => "",
            Self::Worksheet => worksheet::head(part),
        }
    }

    /// What stands after the last problem of a part.
    pub(crate) fn foot(self, part: Part) -> &'static str {
        match self {
            Self::Jsonl | Self::Text => "",
            Self::Worksheet => worksheet::foot(part),
        }
    }

    /// A problem in a part; `number` counts from 1.
    pub(crate) fn problem(self, part: Part, number: u64, problem: &Problem) -> anyhow::Result<String> {
        match self {
            Self::Jsonl => jsonl::problem(problem),
            Self::Text => Ok(text::problem(problem)),
            Self::Worksheet => Ok(worksheet::problem(part, number, problem)),
        }
    }
}
