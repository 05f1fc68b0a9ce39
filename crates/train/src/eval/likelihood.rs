//! The likelihood of gold solutions.

use learner::Learner;
use problems::Problem;
use tokens::Tokenizer;

use crate::{
    data::{Document, batch_of, micro_batches},
    error::RunError,
};

/// Tokens scored at once, at most.
const SCORED_AT_ONCE: usize = 16_384;

/// Negative log-likelihood of each gold solution (with its end token) given its prompt, in nats a token. There is none
/// where the model's numbers are not finite.
///
/// # Errors
/// If a problem is longer than the model's context.
pub fn gold_nll(
    learner: &mut dyn Learner,
    tokenizer: &Tokenizer,
    problems: &[Problem],
) -> Result<Vec<Option<f64>>, RunError> {
    let documents: Vec<Document> = problems.iter().map(|p| Document::of(p, tokenizer)).collect();
    let mut nll = Vec::with_capacity(problems.len());
    for range in micro_batches(documents.iter().map(|d| d.tokens.len()), SCORED_AT_ONCE) {
        let documents = &documents[range];
        let batch = batch_of(documents);
        let logprobs_T = learner.logprobs(&batch, 1.0)?;
        for (document, sequence) in documents.iter().zip(batch.sequences()) {
            let response = sequence.start + document.prompt..sequence.end;
            let sum: f64 = logprobs_T[response.clone()].iter().map(|l| f64::from(*l)).sum();
            let mean = -sum / response.len() as f64;
            nll.push(Some(mean).filter(|mean| mean.is_finite()));
        }
    }
    Ok(nll)
}
