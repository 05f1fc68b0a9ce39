//! The corpus: an endless stream of problems with their solutions, in batches of tokens.

use tokens::Tokenizer;

use learner::{Batch, ForwardBackward, Learner, Objective};

use crate::{
    batches::{Document, Piece, Source, SourceState, Step, Update},
    error::RunError,
    metrics::Metrics,
    mixture::Mixture,
    policy::CrossEntropy,
    recipe::Stage,
    supply::Supply,
};

/// Problems of a mix, laid into batches in order and without loss: a problem that does not fit begins the next one.
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

    /// The documents of the next batch, as they come. Looks one document ahead; the counters move only over
    /// those that the batch holds.
    fn next_documents(&mut self, step: &mut Step<'_>) -> Result<Vec<Document>, RunError> {
        // What earlier batches left over is this one's: the sum never drifts from the plan by a whole batch.
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

impl Source for Corpus<'_> {
    fn work(&mut self, _: &mut dyn Learner, step: &mut Step<'_>) -> Result<Vec<Update>, RunError> {
        let documents = self.next_documents(step)?;
        let weights: Vec<Vec<f32>> = documents.iter().map(|d| token_weights(d, self.prompt_weight)).collect();
        let total: f64 = weights.iter().flatten().map(|w| f64::from(*w)).sum();
        let tokens: usize = documents.iter().map(|d| d.tokens.len()).sum();
        step.metrics.set("batch/tokens", tokens as f64);
        step.metrics.set("batch/documents", documents.len() as f64);
        let mut update: Update = Vec::new();
        for range in micro_batches(documents.iter().map(|d| d.tokens.len()), self.micro_tokens) {
            let mut batch = Batch::default();
            for document in &documents[range.clone()] {
                batch.push(&document.tokens);
            }
            let weights: Vec<f32> = weights[range.clone()].concat();
            let prompts = documents[range].iter().map(|d| d.prompt).collect();
            update.push(Box::new(CorpusPiece {
                objective: CrossEntropy::new(&weights, total),
                batch,
                prompts,
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

/// Cuts a list of lengths into ranges of at most `limit` tokens, in order; a longer one stands alone.
pub(crate) fn micro_batches(
    lengths: impl Iterator<Item = usize>,
    limit: usize,
) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut tokens, mut end) = (0, 0, 0);
    for length in lengths {
        if end > start && tokens + length > limit {
            ranges.push(start..end);
            (start, tokens) = (end, 0);
        }
        tokens += length;
        end += 1;
    }
    if end > start {
        ranges.push(start..end);
    }
    ranges
}

/// The loss weight of each token: the first has no prediction, the prompt's is the recipe's, the rest is 1.
fn token_weights(document: &Document, prompt_weight: f32) -> Vec<f32> {
    let weight = |t| match t {
        0 => 0.0,
        t if t < document.prompt => prompt_weight,
        _ => 1.0,
    };
    (0..document.tokens.len()).map(weight).collect()
}

struct CorpusPiece {
    batch: Batch,
    objective: CrossEntropy,
    prompts: Vec<usize>,
}

impl Piece for CorpusPiece {
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
            let nll = |range: std::ops::Range<usize>| -> f64 {
                -range.map(|t| f64::from(pass.logprobs_T[t])).sum::<f64>()
            };
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
    fn micro_batches_keep_the_order_and_the_limit() {
        let ranges = |lengths: &[usize]| micro_batches(lengths.iter().copied(), 10);
        assert_eq!(ranges(&[4, 4, 4, 10, 12, 1]), [0..2, 2..3, 3..4, 4..5, 5..6]);
        assert!(ranges(&[]).is_empty());
    }

    #[test]
    fn the_prompt_has_its_own_weight() {
        let document = Document { tokens: vec![1, 2, 3, 4, 5], prompt: 3 };
        assert_eq!(token_weights(&document, 0.1), [0.0, 0.1, 0.1, 1.0, 1.0]);
    }
}
