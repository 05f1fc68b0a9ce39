//! What a run measures: suites of held-out problems, in bands of op.

use problems::{
    Record,
    gold::Mode,
    spec::Cell,
    verify::{JUDGE_VERSION, Policy},
};
use serde::{Deserialize, Serialize};

use crate::{
    OpList,
    records::{Band, EvalInfo},
};

/// What is measured: suites of held-out problems, reported in bands of op.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Names the suites' problems: the same for all arms and seeds, so that they can be compared pairwise.
    #[serde(default)]
    pub seed: u64,
    /// Bands of op that results are reported in.
    #[serde(default)]
    pub bands: Vec<Band>,
    /// Problems of each cell for the loss during training (`validate_every`).
    #[serde(default = "default_validation_problems")]
    pub validation_problems: u64,
    /// The suites.
    #[serde(default, rename = "suite")]
    pub suites: Vec<SuiteConfig>,
}

fn default_validation_problems() -> u64 {
    16
}

/// A fixed set of held-out problems and how the model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteConfig {
    /// Its name; files are named by it.
    pub name: String,
    /// The ops: `"2-7,9-10"` or `[2, 3]`.
    pub ops: OpList,
    /// The contexts.
    pub contexts: Vec<String>,
    /// The modes.
    #[serde(default = "forward")]
    pub modes: Vec<Mode>,
    /// Problems of each op × context × mode.
    pub problems: u64,
    /// Samples per problem.
    pub samples: u32,
    /// The k of pass@k; empty: powers of two up to `samples`.
    #[serde(default)]
    pub k: Vec<u32>,
    /// Sampling temperature; 0 is greedy.
    #[serde(default = "default_temperature")]
    pub temperature: f32,
    /// Nucleus; 1 is off.
    #[serde(default = "one")]
    pub top_p: f32,
    /// Only the k most likely tokens; 0 is off.
    #[serde(default)]
    pub top_k: u32,
    /// Longest response, in tokens. A response that reaches it is a failure.
    pub max_tokens: u32,
    /// The stages after which it is run; empty: all.
    #[serde(default)]
    pub after: Vec<String>,
    /// The verdict that counts.
    #[serde(default = "paper")]
    pub policy: Policy,
    /// Problems sampled at once: how much is lost at most when a run is stopped.
    #[serde(default = "default_chunk")]
    pub chunk: usize,
}

impl SuiteConfig {
    /// The cells it asks for, in the order of its problem file.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &op in &self.ops.0 {
            for context in &self.contexts {
                cells.extend(self.modes.iter().map(|&mode| Cell { op, context: context.clone(), mode }));
            }
        }
        cells
    }

    /// The hashes that an evaluation of this suite is known by: of `records`, its problems, asked with `seed`. A new version of
    /// the judge changes the first and not the second, so that responses are judged again and not sampled again.
    ///
    /// # Errors
    /// If a problem has no JSON form.
    pub fn info(&self, seed: u64, records: &[Record]) -> Result<EvalInfo, serde_json::Error> {
        fn hash(what: &impl Serialize) -> Result<String, serde_json::Error> {
            Ok(blake3::hash(&serde_json::to_vec(what)?).to_hex().to_string())
        }
        let sampling = (self.temperature, self.top_p, self.top_k, self.max_tokens);
        Ok(EvalInfo {
            suite: hash(&(self, seed, records, JUDGE_VERSION))?,
            samples: hash(&(&self.name, self.samples, sampling, seed, records))?,
        })
    }
}

fn forward() -> Vec<Mode> {
    vec![Mode::Forward]
}
fn default_temperature() -> f32 {
    0.7
}
fn one() -> f32 {
    1.0
}
fn paper() -> Policy {
    Policy::Paper
}
fn default_chunk() -> usize {
    50
}
