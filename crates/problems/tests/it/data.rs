//! The data of the published code: a sample of every kind that is part of the repository, and all of it where it is at
//! hand, in `data/reference` of the folder that `TERCET_SHARED` names or of `shared` beside the checkout.

#![expect(clippy::print_stdout, reason = "a test that reads less than all of the data says so")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::published::{rows, text};

/// Rows of the published code's data.
pub(crate) struct Data {
    /// All of it, not only the sample.
    pub(crate) whole: bool,
    /// Problems in the reference's record format.
    pub(crate) problems: Vec<Value>,
    /// The true graph of each problem, in the same order.
    pub(crate) graphs: Vec<Value>,
    /// Problems whose text does not determine the stated answer.
    pub(crate) ill_posed: Vec<Value>,
    /// Perturbed solutions with the published code's verdicts.
    pub(crate) perturbed: Vec<Value>,
    /// The place of each graph by its name.
    places: HashMap<String, usize>,
}

impl Data {
    fn read(folder: &Path, ill_posed: &str, whole: bool) -> Option<Self> {
        let read = |name: &str| rows(&folder.join(name));
        let graphs = read("graphs.jsonl.gz")?;
        let places = graphs.iter().enumerate().map(|(place, graph)| (text(graph, "sha").to_owned(), place));
        Some(Self {
            whole,
            places: places.collect(),
            graphs,
            problems: read("problems.jsonl.gz")?,
            ill_posed: read(ill_posed)?,
            perturbed: read("verify.jsonl.gz")?,
        })
    }

    /// The sample in the repository.
    fn sample() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference");
        Self::read(&folder, "illposed.jsonl.gz", false).expect("the sample is part of the repository")
    }

    /// All of the data, where they are.
    pub(crate) fn all() -> Option<Self> {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let shared = std::env::var_os("TERCET_SHARED").map_or_else(beside, PathBuf::from);
        let folder = shared.join("data/reference");
        let data = Self::read(&folder, "illposed.jsonl", true);
        if data.is_none() {
            println!("all of the data are not at hand: {} does not hold them", folder.display());
        }
        data
    }

    /// The sample, and all of the data where they are.
    pub(crate) fn at_hand() -> impl Iterator<Item = Self> {
        std::iter::once(Self::sample()).chain(Self::all())
    }

    /// The graph of that name.
    pub(crate) fn graph(&self, sha: &str) -> &Value {
        &self.graphs[self.places[sha]]
    }

    /// One number for the sample, another for all of the data.
    pub(crate) fn expected<T>(&self, sample: T, all: T) -> T {
        if self.whole { all } else { sample }
    }
}
