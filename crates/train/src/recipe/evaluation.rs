//! What is measured after each stage, and what is claimed about it.

use std::fmt;

use problems::verify::Policy;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

use super::mix::{bad_range, ranges};
use crate::{learner::Sampling, records::Band};

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
    pub modes: Vec<String>,
    /// Problems of each op × context × mode.
    pub problems: u64,
    /// Samples a problem.
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
    /// The sampling of the suite.
    pub fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            max_tokens: self.max_tokens,
        }
    }
}

fn forward() -> Vec<String> {
    vec!["forward".to_owned()]
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

/// A list of ops, written as text (`"2-7,9-10"`) or numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpList(pub Vec<u32>);

impl<'de> Deserialize<'de> for OpList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OpListVisitor;
        impl<'de> Visitor<'de> for OpListVisitor {
            type Value = OpList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ops such as \"2-7,9-10\" or [2, 3]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OpList, E> {
                ranges(text).map(OpList).ok_or_else(|| bad_range(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OpList, A::Error> {
                let mut ops = Vec::new();
                while let Some(op) = list.next_element()? {
                    ops.push(op);
                }
                Ok(OpList(ops))
            }
        }
        deserializer.deserialize_any(OpListVisitor)
    }
}

/// An inequality that the run is to decide: holds, fails, or inconclusive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// A short name.
    pub name: String,
    /// The claim in words.
    pub says: String,
    /// The suite it is measured on.
    pub suite: String,
    /// The band.
    pub band: String,
    /// The metric: `pass@K`, `process_acc`, `right`, `nll`.
    pub metric: String,
    /// The side that is claimed to be larger (or equal).
    pub left: Point,
    /// What it is compared with.
    pub right: Point,
    /// What is claimed of left − right.
    #[serde(default)]
    pub relation: Relation,
    /// `greater`: larger by more than this. `equal`: within this.
    #[serde(default)]
    pub margin: f64,
    /// The paper's figure for left − right, if it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<f64>,
}

/// A model in a recipe: an arm after a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The arm; `main` in a recipe without arms.
    #[serde(default = "main_arm")]
    pub arm: String,
    /// The stage.
    pub stage: String,
}

fn main_arm() -> String {
    "main".to_owned()
}

/// What is claimed of a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is larger than the margin.
    #[default]
    Greater,
    /// It lies within ± the margin.
    Equal,
}

/// Arms that are meant to cost the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matched {
    /// The arms.
    pub arms: Vec<String>,
    /// What is compared.
    #[serde(default)]
    pub by: MatchedBy,
}

/// The measure of a compute match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchedBy {
    /// The paper's nominal token equivalents.
    #[default]
    NominalTokens,
    /// Floating-point operations as planned.
    Flops,
}
