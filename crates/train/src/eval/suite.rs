//! Suites of held-out problems.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use learner::{Prompt, Sampling};
use problems::{
    Cell, Generator, Problem, Record,
    context::Contexts,
    spec::World,
    split::{Split, SplitRule},
    stream::Stream,
    verify::Policy,
};
use runs::{OpList, SuiteConfig, records::EvalInfo};
use tokens::Tokenizer;

use crate::{data::Document, error::RunError};

/// Held-out problems, and how a model is asked.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The configuration.
    pub config: SuiteConfig,
    /// The problems, in the order of the suite's file.
    pub problems: Vec<Problem>,
    /// Names the samples.
    pub seed: u64,
}

impl Suite {
    /// Draws a suite's problems from the test split.
    ///
    /// # Errors
    /// If the world is impossible or a cell has no problems.
    pub fn make(
        config: &SuiteConfig,
        world: &World,
        contexts: &Contexts,
        rule: SplitRule,
        seed: u64,
    ) -> Result<Self, RunError> {
        let data = |e: &dyn Display| RunError::Data(format!("suite `{}`: {e}", config.name));
        let generator =
            Generator::new(world, contexts, seed, Some((Split::Test, rule))).map_err(|e| data(&e))?;
        let mut problems = Vec::new();
        for cell in config.cells() {
            let sequence = generator.sequence(&cell).map_err(|e| data(&e))?;
            problems.extend((0..config.problems).map(|i| sequence.problem(i)));
        }
        Ok(Self { config: config.clone(), problems, seed })
    }

    /// A suite of problems that are given, under a policy. How a model is asked stays open.
    pub fn of_problems(name: String, problems: Vec<Problem>, policy: Policy) -> Self {
        let cells = problems.iter().map(|problem| &problem.cell);
        let mut counts: BTreeMap<&Cell, u64> = BTreeMap::new();
        cells.clone().for_each(|cell| *counts.entry(cell).or_default() += 1);
        let distinct =
            |all: &mut dyn Iterator<Item = String>| all.collect::<BTreeSet<_>>().into_iter().collect();
        let config = SuiteConfig {
            name,
            ops: OpList(cells.clone().map(|cell| cell.op).collect::<BTreeSet<_>>().into_iter().collect()),
            contexts: distinct(&mut cells.clone().map(|cell| cell.context.clone())),
            modes: cells.map(|cell| cell.mode).collect::<BTreeSet<_>>().into_iter().collect(),
            problems: counts.values().max().copied().unwrap_or(0),
            samples: 1,
            k: Vec::new(),
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            max_tokens: 0,
            after: Vec::new(),
            policy,
            chunk: problems.len(),
        };
        Self { config, problems, seed: 0 }
    }

    /// The problems as lines of `data/suites/NAME.jsonl`.
    pub fn records(&self) -> Vec<Record> {
        self.problems.iter().map(Problem::record).collect()
    }

    /// Tokens of the longest problem with its gold solution.
    pub(crate) fn longest(&self, tokenizer: &Tokenizer) -> usize {
        self.problems.iter().map(|problem| Document::of(problem, tokenizer).tokens.len()).max().unwrap_or(0)
    }

    /// The hashes that identify an evaluation of this suite.
    ///
    /// # Errors
    /// If a problem has no JSON form.
    pub fn info(&self) -> Result<EvalInfo, RunError> {
        Ok(self.config.info(self.seed, &self.records())?)
    }

    pub(super) fn prompt(&self, i: usize, tokenizer: &Tokenizer) -> Prompt {
        let stream = Stream::root(self.seed).fork("evaluation").fork(&self.config.name);
        Prompt {
            tokens: tokenizer.encode(&self.problems[i].prompt()),
            key: stream.index(i as u64).key(),
            first: 0,
            n: self.config.samples,
        }
    }
}

/// How a suite's responses are drawn.
pub(crate) fn sampling(suite: &SuiteConfig) -> Sampling {
    let SuiteConfig { temperature, top_p, top_k, max_tokens, .. } = *suite;
    Sampling { temperature, top_p, top_k, max_tokens }
}
