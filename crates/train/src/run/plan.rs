//! What a recipe will cost, before anything is done.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use problems::split::Split;
use runs::{
    MatchedBy,
    records::{Cost, EngineInfo, StageKind},
};
use serde::{Deserialize, Serialize};

use super::{
    graph::{Graph, Node, StageNode, State, Work},
    key::{PlannedStage, stages_with, tokenizer_key},
    lengths::Lengths,
    traps,
};
use crate::{
    data,
    error::RunError,
    ledger::Ledger,
    recipe::{Arm, PolicyConfig, Recipe, RolloutConfig, Stage},
    rl::KlKind,
};

/// How far the costs of arms that are meant to match may differ.
pub const MATCH_TOLERANCE: f64 = 0.005;

/// The cost of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The arms, at the first seed.
    pub arms: Vec<ArmPlan>,
    /// How many seeds there are.
    pub seeds: usize,
    /// Cost of everything, each shared stage once.
    pub total: Cost,
    /// Tokens sampled for evaluation, all seeds.
    pub evaluation_tokens: u64,
    /// Seconds for everything, if rates were given.
    pub seconds: Option<f64>,
    /// Memory at most, in bytes (an estimate).
    pub memory_bytes: u64,
    /// Disk at the end, in bytes (an estimate).
    pub disk_bytes: u64,
    /// Whether the arms that are meant to cost the same do.
    pub matched: Vec<MatchCheck>,
    /// What the recipe says and nobody can mean, a sentence each.
    pub warnings: Vec<String>,
    /// The graph of all seeds: every part of the run once, after those that it is made from.
    pub nodes: Vec<NodePlan>,
}

/// A part of a run in a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NodePlan {
    /// `tokenizer`, `suites`, `report`, or the name of the stage's folder.
    pub name: String,
    /// `tokenizer`, `suites`, `stage` or `report`.
    pub kind: &'static str,
    /// Hash of all that determines it.
    pub key: String,
    /// The names of what it is made from.
    pub parents: Vec<String>,
    /// What it leaves, relative to the run folder.
    pub place: PathBuf,
    /// How far it is in the run folder that was looked at; without one, everything is `waiting` or `ready`.
    pub state: State,
    /// What is known of a stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageCost>,
}

/// What is known of a stage that is part of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageCost {
    /// The stage's name in the recipe.
    pub name: String,
    /// The arms that go through it.
    pub arms: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The suites that are measured after it.
    pub suites: Vec<String>,
    /// Steps.
    pub steps: u64,
    /// Tokens and operations.
    pub cost: Cost,
    /// Tokens sampled by the suites.
    pub evaluation_tokens: u64,
    /// Seconds, if rates were given.
    pub seconds: Option<f64>,
    /// Memory at most, in bytes (an estimate).
    pub memory_bytes: u64,
}

/// The cost of an arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmPlan {
    /// The arm.
    pub name: String,
    /// Trainable parameters.
    pub parameters: u64,
    /// Its stages.
    pub stages: Vec<StagePlan>,
    /// The sum of its stages.
    pub total: Cost,
}

/// The cost of a stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StagePlan {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
    /// Its folder's name at the first seed.
    pub folder: String,
    /// Whether an arm before this one has it, too.
    pub shared: bool,
    /// Steps.
    pub steps: u64,
    /// Tokens and operations. For reinforcement learning an estimate: responses as long as gold solutions.
    pub cost: Cost,
    /// Tokens sampled by the suites after it.
    pub evaluation_tokens: u64,
    /// Seconds, if rates were given.
    pub seconds: Option<f64>,
}

/// Whether arms cost the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchCheck {
    /// The arms.
    pub arms: Vec<String>,
    /// What was compared.
    pub by: MatchedBy,
    /// Largest difference, relative to the largest.
    pub difference: f64,
    /// Whether it is within [`MATCH_TOLERANCE`].
    pub matches: bool,
}

/// How fast a machine was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Tokens through forward and backward a second.
    pub train_tokens_per_second: f64,
    /// Tokens sampled a second.
    pub sample_tokens_per_second: f64,
}

impl Rates {
    fn seconds(&self, cost: &Cost, evaluation_tokens: u64) -> f64 {
        let sampled = (cost.sampled_tokens + evaluation_tokens) as f64;
        cost.trained_tokens as f64 / self.train_tokens_per_second
            + cost.scored_tokens as f64 / (3.0 * self.train_tokens_per_second)
            + sampled / self.sample_tokens_per_second
    }
}

/// Problems that a tokenizer is trained on for a plan, at most.
const TOKENIZER_PROBLEMS: u64 = 500;

impl Plan {
    /// Plans a recipe on this program's own engine. `rates` are of the machine, at this model's size.
    ///
    /// # Errors
    /// If the recipe's world or tokenizer is impossible, or a model has no room for its tokens or problems.
    pub fn of(recipe: &Recipe, rates: Option<Rates>) -> Result<Self, RunError> {
        Self::on(recipe, rates, None)
    }

    /// [`Plan::of`] on another engine, which is part of the keys.
    ///
    /// # Errors
    /// As there.
    pub fn on(recipe: &Recipe, rates: Option<Rates>, engine: Option<&EngineInfo>) -> Result<Self, RunError> {
        let tokenizer = data::tokenizer(recipe, TOKENIZER_PROBLEMS)?;
        let lengths = Lengths::new(recipe, &tokenizer)?;
        let (costs, key) = (Costs { recipe, lengths: &lengths }, tokenizer_key(recipe)?);
        let seed = recipe.document.seeds[0];
        let mut known = BTreeSet::new();
        let mut arms = Vec::new();
        for arm in &recipe.arms {
            traps::check_vocabulary(arm, &tokenizer)?;
            traps::check_context(arm, &lengths)?;
            let parameters = arm.model.parameters(tokenizer.vocab_size());
            let mut planned = Vec::new();
            for stage in stages_with(recipe, &key, (arm, seed), engine)? {
                let shared = !known.insert(stage.folder.clone());
                planned.push(StagePlan { shared, ..costs.stage(arm, &stage, parameters, rates)? });
            }
            let total: Cost = planned.iter().map(|stage| stage.cost).sum();
            arms.push(ArmPlan { name: arm.name.clone(), parameters, stages: planned, total });
        }
        let nodes = nodes(recipe, &Graph::of(recipe, engine)?, &arms);
        Ok(Self { warnings: traps::warnings(recipe, &lengths)?, nodes, ..Self::summed(recipe, arms) })
    }

    /// Looks how far every part is in a run folder.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn look(&mut self, recipe: &Recipe, engine: Option<&EngineInfo>, run: &Path) -> Result<(), RunError> {
        let states = Graph::of(recipe, engine)?.states(run)?;
        for (node, state) in self.nodes.iter_mut().zip(states) {
            node.state = state;
        }
        Ok(())
    }

    fn summed(recipe: &Recipe, arms: Vec<ArmPlan>) -> Self {
        let seeds = recipe.document.seeds.len();
        let own = || arms.iter().flat_map(|arm| &arm.stages).filter(|stage| !stage.shared);
        let total: Cost = (0..seeds).flat_map(|_| own().map(|stage| stage.cost)).sum();
        let evaluation_tokens = own().map(|stage| stage.evaluation_tokens).sum::<u64>() * seeds as u64;
        let seconds: Option<f64> = own().map(|stage| stage.seconds).sum();
        let largest = arms.iter().map(|arm| arm.parameters).max().unwrap_or(0);
        let checkpoints: u64 = own().map(|_| 4 * largest).sum::<u64>() * seeds as u64;
        Self {
            seeds,
            total,
            evaluation_tokens,
            seconds: seconds.map(|seconds| seconds * seeds as f64),
            memory_bytes: recipe.arms.iter().map(|arm| memory(arm, largest)).max().unwrap_or(0),
            // A checkpoint with its optimizer while a stage runs, the last weights of every stage, and
            // about two bytes a sampled token of compressed responses.
            disk_bytes: checkpoints + 24 * largest + 2 * evaluation_tokens,
            matched: recipe.document.matched.iter().map(|matched| check(matched, &arms)).collect(),
            warnings: Vec::new(),
            nodes: Vec::new(),
            arms,
        }
    }
}

/// The graph with the costs of `arms`, which are the same at every seed.
fn nodes(recipe: &Recipe, graph: &Graph, arms: &[ArmPlan]) -> Vec<NodePlan> {
    let suites = &recipe.document.evaluation.suites;
    let cost = |stage: &StageNode| {
        let (arm, place) = stage.first;
        let (plan, stage_of) = (&arms[arm].stages[place], &recipe.arms[arm].stages[place]);
        let measured =
            suites.iter().filter(|suite| suite.after.is_empty() || suite.after.contains(&plan.name));
        StageCost {
            name: plan.name.clone(),
            arms: stage.arms.clone(),
            seed: stage.seed,
            suites: measured.map(|suite| suite.name.clone()).collect(),
            steps: plan.steps,
            cost: plan.cost,
            evaluation_tokens: plan.evaluation_tokens,
            seconds: plan.seconds,
            memory_bytes: memory_of_stage(&recipe.arms[arm], &stage_of.stage, arms[arm].parameters),
        }
    };
    let plan = |node: &Node| NodePlan {
        name: node.name.clone(),
        kind: node.work.name(),
        key: node.key.clone(),
        parents: node.parents.iter().map(|&parent| graph.nodes[parent].name.clone()).collect(),
        place: node.place.clone(),
        state: State::at_first(node),
        stage: if let Work::Stage(stage) = &node.work { Some(cost(stage)) } else { None },
    };
    graph.nodes.iter().map(plan).collect()
}

fn check(matched: &runs::Matched, arms: &[ArmPlan]) -> MatchCheck {
    let cost = |name: &String| {
        let total = arms.iter().find(|arm| arm.name == *name).map(|arm| arm.total).unwrap_or_default();
        match matched.by {
            MatchedBy::NominalTokens => total.nominal_tokens,
            MatchedBy::Flops => total.flops,
        }
    };
    let costs: Vec<f64> = matched.arms.iter().map(cost).collect();
    let (low, high) = costs.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), c| (l.min(*c), h.max(*c)));
    let difference = if high > 0.0 { (high - low) / high } else { 0.0 };
    let matches = difference <= MATCH_TOLERANCE;
    MatchCheck { arms: matched.arms.clone(), by: matched.by, difference, matches }
}

struct Costs<'a> {
    recipe: &'a Recipe,
    lengths: &'a Lengths<'a>,
}

impl Costs<'_> {
    /// The plan of a stage that no earlier arm has.
    fn stage(
        &self,
        arm: &Arm,
        planned: &PlannedStage,
        parameters: u64,
        rates: Option<Rates>,
    ) -> Result<StagePlan, RunError> {
        let stage = &planned.stage.stage;
        let mut ledger = Ledger::default();
        if let (Some(rollout), Some(policy)) = (&stage.rollout, &stage.policy) {
            let lengths =
                self.lengths.mean(planned.stage.cells.iter().map(|(cell, w)| (cell, *w)), Split::Rl)?;
            count_rollouts(&mut ledger, stage, (rollout, policy), lengths, arm.model.context());
        } else {
            ledger.trained_tokens = stage.budget().0;
        }
        let cost = ledger.cost(parameters);
        let evaluation_tokens = self.evaluation(&stage.name)?;
        Ok(StagePlan {
            name: stage.name.clone(),
            kind: stage.kind,
            folder: planned.folder.clone(),
            shared: false,
            steps: stage.total_steps(),
            cost,
            evaluation_tokens,
            seconds: rates.map(|rates| rates.seconds(&cost, evaluation_tokens)),
        })
    }

    /// Tokens that the suites after a stage sample, if responses are as long as gold solutions.
    fn evaluation(&self, stage: &str) -> Result<u64, RunError> {
        let mut tokens = 0.0;
        for suite in &self.recipe.document.evaluation.suites {
            if suite.after.is_empty() || suite.after.iter().any(|name| name == stage) {
                let cells = suite.cells();
                let weight = 1.0 / cells.len() as f64;
                let (_, response) =
                    self.lengths.mean(cells.iter().map(|cell| (cell, weight)), Split::Test)?;
                let problems = cells.len() as u64 * suite.problems;
                tokens +=
                    problems as f64 * f64::from(suite.samples) * response.min(f64::from(suite.max_tokens));
            }
        }
        Ok(tokens as u64)
    }
}

/// Counts the rollouts of a stage and what is trained on them. `lengths` are those of a prompt and a response.
fn count_rollouts(
    ledger: &mut Ledger,
    stage: &Stage,
    (rollout, policy): (&RolloutConfig, &PolicyConfig),
    (prompt, response): (f64, f64),
    context: usize,
) {
    let prompts = stage.total_steps() as f64 * f64::from(rollout.prompts);
    let responses = prompts * f64::from(rollout.samples);
    let length = response.min(f64::from(rollout.max_tokens));
    let tokens = responses * (prompt + length);
    ledger.trained_tokens = (tokens * f64::from(policy.epochs)) as u64;
    ledger.sampled_tokens = (responses * length) as u64;
    ledger.prompt_tokens = (prompts * prompt) as u64;
    ledger.with_reference = policy.kl.active();
    let passes = match policy.kl.kind {
        _ if !policy.kl.active() => 0,
        KlKind::Exact => policy.epochs,
        _ => 1,
    };
    ledger.scored_tokens = (tokens * f64::from(passes)) as u64;
    ledger.nominal_rollout_tokens = (responses as u64).saturating_mul(rollout.nominal_length_or(context));
}

/// Bytes at most that an arm needs.
fn memory(arm: &Arm, parameters: u64) -> u64 {
    let stages = arm.stages.iter().map(|stage| memory_of_stage(arm, &stage.stage, parameters));
    stages.max().unwrap_or(0)
}

/// Bytes at most: weights, gradient and two moments in f32, the reference, the activations of the largest
/// batch that goes through at once, and the cache of a batch of samples.
fn memory_of_stage(arm: &Arm, stage: &Stage, parameters: u64) -> u64 {
    /// Sequences that are sampled side by side (an assumption about the sampler).
    const SIDE_BY_SIDE: u64 = 512;
    let (layers, hidden, mlp, kv) = arm.model.widths();
    let (layers, kv) = (layers as u64, kv as u64);
    let activations_a_token = 4 * layers * (8 * hidden as u64 + 4 * mlp as u64);
    let at_once =
        stage.micro_tokens.min(if stage.rollout.is_some() { usize::MAX } else { stage.batch_tokens });
    let mut bytes = 16 * parameters + at_once as u64 * activations_a_token;
    if let (Some(rollout), Some(policy)) = (&stage.rollout, &stage.policy) {
        bytes += if policy.kl.active() { 4 * parameters } else { 0 };
        let length = arm.model.context().min(2 * rollout.max_tokens as usize) as u64;
        bytes += SIDE_BY_SIDE * length * 8 * kv * layers;
    }
    bytes
}
