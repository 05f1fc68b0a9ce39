//! The corpus: an endless stream of problems with their solutions, in batches of tokens.

use std::ops::Range;

use learner::{Batch, ForwardBackward, Learner, Objective};
use tokens::Tokenizer;

use super::{CrossEntropy, Document, Mixture, Supply, batch_of, micro_batches};
use crate::{
    error::RunError,
    metrics::Metrics,
    recipe::Stage,
    work::{BatchSource, MicroBatch, SourceState, Step, Update},
};

/// Problems of a mix, laid into batches in order. A problem that does not fit begins the next batch; none is cut or dropped.
pub struct Corpus<'a> {
    supply: Supply,
    tokenizer: &'a Tokenizer,
    mixture: Mixture,
    /// Tokens of the stage and the steps they are divided over.
    budget: (u64, u64),
    micro_tokens: usize,
    prompt_weight: f32,
}

impl<'a> Corpus<'a> {
    /// The corpus of a stage, at its beginning.
    pub fn new(supply: Supply, tokenizer: &'a Tokenizer, mixture: Mixture, stage: &Stage) -> Self {
        Self {
            supply,
            tokenizer,
            mixture,
            budget: stage.budget(),
            micro_tokens: stage.micro_tokens,
            prompt_weight: stage.prompt_loss_weight as f32,
        }
    }

    /// The documents of the next optimizer step. The first that does not fit is drawn again for the next step.
    fn next_documents(&mut self, step: &mut Step<'_>) -> Result<Vec<Document>, RunError> {
        // Tokens that earlier steps left over are due now: the sum never drifts from the plan by a whole batch.
        let (tokens, steps) = self.budget;
        let due = (u128::from(tokens) * u128::from(step.number) / u128::from(steps.max(1))) as u64;
        let taken: u64 = self.mixture.counts().iter().map(|count| count.tokens).sum();
        let room = due.saturating_sub(taken) as usize;
        let (mut documents, mut filled) = (Vec::new(), 0);
        loop {
            let i = self.mixture.next();
            let (cell, number) = (&self.mixture.cells()[i], self.mixture.counts()[i].problems);
            let problem = self.supply.problem(cell, number)?;
            let document = Document::of(&problem, self.tokenizer);
            let length = document.tokens.len();
            if filled + length > room {
                if documents.is_empty() {
                    return Err(RunError::Data(format!(
                        "`batch_tokens` is too small: a problem of {length} tokens does not fit into {room}"
                    )));
                }
                return Ok(documents);
            }
            self.mixture.take(i, length);
            step.ledger.see(&problem, length as u64);
            filled += length;
            documents.push(document);
        }
    }
}

impl BatchSource for Corpus<'_> {
    fn work(&mut self, _: &mut dyn Learner, step: &mut Step<'_>) -> Result<Vec<Update>, RunError> {
        let documents = self.next_documents(step)?;
        let weights: Vec<Vec<f32>> = documents.iter().map(|d| token_weights(d, self.prompt_weight)).collect();
        let total: f64 = weights.iter().flatten().map(|w| f64::from(*w)).sum();
        let tokens: usize = documents.iter().map(|d| d.tokens.len()).sum();
        step.metrics.set("batch/tokens", tokens as f64);
        step.metrics.set("batch/documents", documents.len() as f64);
        let mut update: Update = Vec::new();
        for range in micro_batches(documents.iter().map(|d| d.tokens.len()), self.micro_tokens) {
            let documents = &documents[range.clone()];
            update.push(Box::new(CorpusBatch {
                objective: CrossEntropy::new(&weights[range].concat(), total),
                batch: batch_of(documents),
                prompts: documents.iter().map(|d| d.prompt).collect(),
            }));
        }
        Ok(vec![update])
    }

    fn state(&self) -> SourceState {
        SourceState { cells: self.mixture.counts().to_vec(), beliefs: Vec::new() }
    }

    fn restore(&mut self, state: &SourceState) -> bool {
        self.mixture.restore(&state.cells)
    }
}

/// The loss weight of each token: 0 for the first token, which is not predicted, the recipe's for the rest of the prompt, 1
/// for the response.
fn token_weights(document: &Document, prompt_weight: f32) -> Vec<f32> {
    let weight = |t| match t {
        0 => 0.0,
        t if t < document.prompt => prompt_weight,
        _ => 1.0,
    };
    (0..document.tokens.len()).map(weight).collect()
}

/// Some documents of an optimizer step.
struct CorpusBatch {
    batch: Batch,
    objective: CrossEntropy,
    prompts: Vec<usize>,
}

impl MicroBatch for CorpusBatch {
    fn batch(&self) -> &Batch {
        &self.batch
    }

    fn objective(&self) -> &dyn Objective {
        &self.objective
    }

    fn observe(&self, pass: &ForwardBackward, metrics: &mut Metrics) {
        metrics.sum("loss", pass.loss);
        for (range, prompt) in self.batch.sequences().zip(&self.prompts) {
            let (first, response) = (range.start + 1, range.start + prompt);
            let nll =
                |range: Range<usize>| -> f64 { -range.map(|t| f64::from(pass.logprobs_T[t])).sum::<f64>() };
            metrics.mean_sum("loss/prompt", nll(first..response), (response - first) as f64);
            metrics.mean_sum("loss/response", nll(response..range.end), (range.end - response) as f64);
            let entropy: f64 = pass.entropy_T[response..range.end].iter().map(|e| f64::from(*e)).sum();
            metrics.mean_sum("entropy", entropy, (range.end - response) as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_has_its_own_weight() {
        let document = Document { tokens: vec![1, 2, 3, 4, 5], prompt: 3 };
        assert_eq!(token_weights(&document, 0.1), [0.0, 0.1, 0.1, 1.0, 1.0]);
    }
}
