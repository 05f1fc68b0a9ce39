//! What a run folder holds, as data. The run folder is the interface between training and everything
//! that looks at it: the report, the live page, `compare`. Each file carries a format version.
//!
//! ```text
//! RUN/
//!   manifest.json            Manifest: recipe hash, code revision, arms × seeds → stages
//!   recipe.toml              the recipe, resolved; context files of its own lie beside it
//!   data/tokenizer/          tokenizer.json, tokenizer_config.json
//!   data/suites/NAME.jsonl   the held-out problems of a suite (problems::Record per line)
//!   stages/NAME-KEY/         one stage; KEY is the hash of all that determines it
//!     stage.json             StageInfo
//!     metrics.jsonl          one MetricsRow per line: names and numbers, reproducible to the byte
//!     timings.jsonl          one MetricsRow per line: seconds and rates, not reproducible
//!     rollouts/step-000010.jsonl.gz   some prompts' rollouts, one Response per line
//!     checkpoints/step-000100/        Hugging Face directory plus optimizer and loop state
//!     evals/SUITE.json                EvalInfo: which suite the two files below are of
//!     evals/SUITE.jsonl.gz            one EvalRow per line, one line per problem
//!     evals/SUITE.responses.jsonl.gz  one Response per line
//!     exposure.json          Exposure: how often each op, context, … was trained on
//!     maker.json             Maker: the process that finished the stage; no result rests on it
//!     done.json              StageDone; written last: a stage without it is not finished
//!   tensorboard/NAME-KEY/    event files, if asked for: a view of a stage's metrics and timings
//!   results.json             the table and the claims' verdicts
//!   results.md               the same for people
//!   report.html
//!   .locks/                  who works on what, and what failed
//! ```

use std::collections::BTreeMap;

use problems::{gold::Mode, verify::Policy};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Process;

/// Version of every file format in this module.
pub const FORMAT: u32 = 1;

/// `manifest.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: u32,
    /// The recipe's name, e.g. `quickstart`.
    pub name: String,
    /// The question the recipe asks (its opening comment).
    pub question: String,
    /// The command that makes the run, e.g. `tercet run recipes/quickstart.toml`.
    pub command: String,
    /// blake3 of the resolved recipe, hexadecimal.
    pub recipe_hash: String,
    /// Version of the program, with the source revision if it was built from a checkout.
    pub revision: String,
    /// Bands of op that the results are reported in, e.g. `ID` = 2..=5.
    pub bands: Vec<Band>,
    /// Every arm at every seed.
    pub runs: Vec<ArmRun>,
    /// What trained and sampled, in the order of use, if it was not this program's own engine. A run that went on with
    /// other workers names both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<EngineInfo>,
}

/// An engine outside this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// e.g. `torch`
    pub name: String,
    /// The arithmetic, e.g. `f32` or `bf16`; part of the stages' keys, as the name is.
    pub precision: String,
    /// Number of processes.
    pub workers: u64,
    /// What they compute on, e.g. `cpu` or the name of a GPU.
    pub device: String,
    /// Versions of what they run on, by name.
    pub versions: BTreeMap<String, String>,
}

impl EngineInfo {
    /// For people: `torch in f32, 2 workers on cpu (python 3.12.3, torch 2.15.0)`.
    pub fn describe(&self) -> String {
        let versions: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let workers =
            if self.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", self.workers) };
        format!("{} in {}, {workers} on {} ({})", self.name, self.precision, self.device, versions.join(", "))
    }
}

/// A named range of op, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// e.g. `edge`
    pub name: String,
    /// Smallest op.
    pub from: u32,
    /// Largest op.
    pub to: u32,
}

/// One arm at one seed: the stages it goes through, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmRun {
    /// e.g. `rl-edge`; a recipe without arms has one named `main`.
    pub arm: String,
    /// The seed.
    pub seed: u64,
    /// Folder names under `stages/`.
    pub stages: Vec<String>,
}

/// What a stage does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageKind {
    /// Next-token prediction from scratch.
    PreTraining,
    /// The same objective on narrower data, from a model.
    MidTraining,
    /// Reinforcement learning on verified rollouts.
    Rl,
    /// No training: the responses were made elsewhere, by a model of which nothing is known.
    Elsewhere,
}

/// `stage.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageInfo {
    /// [`FORMAT`]
    pub format: u32,
    /// The stage's name in the recipe, e.g. `pre`.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
    /// Hash of all that determines it.
    pub key: String,
    /// The folder name of the stage it starts from.
    pub parent: Option<String>,
    /// The seed.
    pub seed: u64,
    /// How many optimizer steps it will take.
    pub steps: u64,
    /// How many tokens it will train on (for RL: an upper bound).
    pub tokens: u64,
    /// Trainable parameters.
    pub parameters: u64,
}

impl StageInfo {
    /// The stage's folder under `stages/`.
    pub fn folder(&self) -> String {
        stage_folder(&self.name, &self.key)
    }
}

/// The folder under `stages/` of a stage with this name and key.
pub fn stage_folder(name: &str, key: &str) -> String {
    format!("{name}-{}", key.get(..10).unwrap_or(key))
}

/// `done.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageDone {
    /// [`FORMAT`]
    pub format: u32,
    /// Steps taken.
    pub steps: u64,
    /// What it cost.
    pub cost: Cost,
    /// blake3 of the final weights file, hexadecimal.
    pub weights_hash: String,
}

/// `maker.json`: who finished a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// [`FORMAT`]
    pub format: u32,
    /// The process.
    pub process: Process,
}

/// `.locks/NAME.failed.json`: why a piece of work could not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// [`FORMAT`]
    pub format: u32,
    /// The process that tried.
    pub process: Process,
    /// What it said.
    pub reason: String,
    /// Whether it would fail at every process, and not only at this one.
    pub is_final: bool,
}

/// What was spent, in tokens and floating-point operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Tokens that went through forward and backward.
    pub trained_tokens: u64,
    /// Tokens sampled, prompts not included.
    pub sampled_tokens: u64,
    /// Prompt tokens processed for sampling (once a group).
    pub prompt_tokens: u64,
    /// Tokens scored without gradient (the KL reference).
    pub scored_tokens: u64,
    /// Floating-point operations of all of them: 6·P a trained token, 2·P any other.
    pub flops: f64,
    /// The paper's nominal token equivalents (Section 5): trained tokens, and (4/3 + γ/3)·N·r·L for RL.
    pub nominal_tokens: f64,
    /// The same with the tokens that were really processed: the operations in units of a trained token's 6·P.
    #[serde(default)]
    pub real_tokens: f64,
    /// Updates that were left out because the gradient was not finite.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_updates: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |a, b| Self {
            trained_tokens: a.trained_tokens + b.trained_tokens,
            sampled_tokens: a.sampled_tokens + b.sampled_tokens,
            prompt_tokens: a.prompt_tokens + b.prompt_tokens,
            scored_tokens: a.scored_tokens + b.scored_tokens,
            flops: a.flops + b.flops,
            nominal_tokens: a.nominal_tokens + b.nominal_tokens,
            real_tokens: a.real_tokens + b.real_tokens,
            skipped_updates: a.skipped_updates + b.skipped_updates,
        })
    }
}

/// A line of `metrics.jsonl` or `timings.jsonl`: names follow TRL and verl (`loss`, `grad_norm`,
/// `critic/rewards/mean`, `response_length/mean`, …).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// Optimizer step within the stage, from 1. Timings use the same number.
    pub step: u64,
    /// Name → number. A number that is not finite is written as null and read as NaN.
    pub values: BTreeMap<String, Option<f64>>,
}

/// A line of `evals/SUITE.jsonl.gz`: one problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalRow {
    /// Position in the suite's problem file.
    pub problem: u64,
    /// Difficulty.
    pub op: u32,
    /// Name of the context.
    pub context: String,
    /// What is asked for.
    pub mode: Mode,
    /// Samples drawn.
    pub n: u32,
    /// Samples that are correct in process and answer (the paper's VerifiedCorrect).
    pub verified: u32,
    /// Samples with the correct answer, whatever the process.
    #[serde(rename = "right")]
    pub correct: u32,
    /// Samples that hit the length limit.
    pub truncated: u32,
    /// Mean of ProcessAcc over the samples.
    pub process_acc: f64,
    /// Mean response length in tokens; NaN, written as null, where it is not known.
    #[serde(deserialize_with = "number_or_nan")]
    pub tokens: f64,
    /// How many samples had each answer (their normal form; missing answers are under the empty
    /// string), for maj@k.
    pub answers: BTreeMap<String, u32>,
    /// The correct answer's normal form.
    pub answer: String,
    /// How many samples had each kind of first fault.
    pub first_faults: BTreeMap<String, u32>,
    /// Negative log-likelihood of the gold solution, nats per token; none if the model's numbers are not finite.
    pub gold_nll: Option<f64>,
}

fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Says which suite an evaluation is of: `evals/SUITE.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvalInfo {
    /// Hash of all that the suite says.
    pub suite: String,
    /// Hash of what determines the responses; where only other things changed, they are judged anew.
    #[serde(default)]
    pub samples: String,
}

/// A line of a responses or rollouts file: one sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Position in the suite's problem file; for rollouts, the prompt's position in the step.
    pub problem: u64,
    /// Sample number.
    pub sample: u32,
    /// The text after `<solution>`, end token not included.
    pub text: String,
    /// Whether it is correct in process and answer.
    pub verified: bool,
    /// Tokens of the response, its end token included.
    #[serde(default)]
    pub tokens: u32,
    /// Whether it reached the length limit: then it is a failure, whatever it says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Reward, for rollouts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// The policy that a rollout was judged by, if it is not `paper`. (A suite's policy is in the recipe.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The problem's record, for rollouts (a suite's problems are in the suite's file).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<serde_json::Value>,
}

/// `exposure.json`: what a stage was trained on, counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// [`FORMAT`]
    pub format: u32,
    /// One row for each combination that occurred.
    pub cells: Vec<ExposureCell>,
}

/// How often one kind of problem was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureCell {
    /// Difficulty.
    pub op: u32,
    /// Name of the context.
    pub context: String,
    /// What is asked for.
    pub mode: Mode,
    /// Longest chain of the graph.
    pub depth: u32,
    /// Class of its structure ([`problems::class`]): `chain`, `tree`, `reuse`, each perhaps with `+totals`.
    #[serde(default)]
    pub structure: String,
    /// Problems.
    pub problems: u64,
    /// Tokens.
    pub tokens: u64,
}
