//! Problems that a caller has, written as `tercet problems` writes them.

use std::path::Path;

use clap::ValueEnum as _;
use problems::Problem;
use rayon::prelude::*;
use runs::lines::Packing;

use crate::formats::parquet::ParquetFile;
use crate::formats::{Container, Format, Part, Row};
use crate::pieces::Pieces;

/// Problems of a piece and of a group of a Parquet file, as `tercet problems` cuts them.
const PIECE: usize = 256;
/// Problems that a [`Written`] asks for at once: whole pieces, and a group of a Parquet file.
pub const BLOCK: usize = 16 * PIECE;

/// A file of problems. It gets its name when it is finished.
pub struct Written {
    format: Format,
    container: Container,
    packing: Packing,
    file: File,
    number: u64,
}

enum File {
    Lines(Pieces),
    Parquet(ParquetFile),
}

impl Written {
    /// A file of one of the formats of `tercet problems`, by its name, in the container that the path's ending names.
    ///
    /// # Errors
    /// If there is no such format, or it has no columns for Parquet.
    pub fn new(path: &Path, format: &str) -> Result<Self, String> {
        let known = || Format::value_variants().iter().filter(|f| **f != Format::Worksheet);
        let Some(format) = Format::from_str(format, false).ok().filter(|f| *f != Format::Worksheet) else {
            let names: Vec<String> =
                known().filter_map(|f| Some(f.to_possible_value()?.get_name().to_owned())).collect();
            return Err(format!("there is no format `{format}`; known are {}", names.join(", ")));
        };
        let container = Container::of(Some(path), format);
        let file = match (container, format) {
            (Container::Parquet, Format::Records) => {
                return Err("records have no columns: choose text, sft, prompts or chat".to_owned());
            }
            (Container::Parquet, _) => File::Parquet(ParquetFile::new(path)),
            // What it is made from is unknown, so an earlier file is never gone on with.
            _ => File::Lines(Pieces::begin(path).map_err(|e| e.to_string())?),
        };
        Ok(Self { format, container, packing: Packing::of(path), file, number: 0 })
    }

    /// Adds problems: [`BLOCK`] of them, or fewer at the end.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, problems: &[Problem]) -> Result<(), String> {
        self.add(problems).map_err(|error| crate::sentence(error.as_ref()))
    }

    fn add(&mut self, problems: &[Problem]) -> anyhow::Result<()> {
        let (format, container, packing) = (self.format, self.container, self.packing);
        match &mut self.file {
            File::Parquet(file) => {
                let row = |problem: &Problem| format.row(problem).transpose();
                let rows: Vec<Row> = problems.par_iter().filter_map(row).collect::<anyhow::Result<_>>()?;
                file.group(&rows)?;
            }
            File::Lines(file) => {
                let first = self.number;
                let piece = |(i, problems): (usize, &[Problem])| {
                    let mut text = String::new();
                    for (k, problem) in problems.iter().enumerate() {
                        let number = first + (i * PIECE + k) as u64 + 1;
                        text.push_str(&format.lines((Part::Problems, container), number, problem)?);
                    }
                    Ok(packing.pack(text.into_bytes())?)
                };
                let pieces = problems.par_chunks(PIECE).enumerate().map(piece);
                for piece in pieces.collect::<anyhow::Result<Vec<Vec<u8>>>>()? {
                    file.push(&piece)?;
                }
            }
        }
        self.number += problems.len() as u64;
        Ok(())
    }

    /// Gives the file its name; returns how many problems it holds.
    ///
    /// # Errors
    /// If the file cannot be written, or has no row where it needs one.
    pub fn finish(self) -> Result<u64, String> {
        match self.file {
            File::Lines(file) => file.finish().map_err(|error| crate::sentence(&error))?,
            File::Parquet(file) => file.finish().map_err(|error| crate::sentence(error.as_ref()))?,
        }
        Ok(self.number)
    }
}
