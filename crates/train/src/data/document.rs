//! A problem as tokens.

use learner::Batch;
use problems::Problem;
use tokens::Tokenizer;

/// A problem with its gold solution as tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// Prompt, response and end token.
    pub(crate) tokens: Vec<u32>,
    /// How many of them are the prompt.
    pub(crate) prompt: usize,
}

impl Document {
    /// The tokens of a problem and its gold solution.
    pub(crate) fn of(problem: &Problem, tokenizer: &Tokenizer) -> Self {
        let mut tokens = tokenizer.encode(&problem.prompt());
        let prompt = tokens.len();
        tokens.extend(tokenizer.encode(&problem.response()));
        tokens.push(tokenizer.eos());
        Self { tokens, prompt }
    }
}

/// The documents as one batch, in order.
pub(crate) fn batch_of(documents: &[Document]) -> Batch {
    let mut batch = Batch::default();
    for document in documents {
        batch.push(&document.tokens);
    }
    batch
}
