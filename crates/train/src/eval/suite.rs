//! Suites of held-out problems.

use std::fmt::Display;

use learner::{Prompt, Sampling};
use problems::{
    Generator, Problem, Record,
    context::Contexts,
    spec::World,
    split::{Split, SplitRule},
    stream::Stream,
};
use runs::{SuiteConfig, records::EvalInfo};
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
