//! The tokenizer of a recipe is trained on problems of its training split.

use std::collections::BTreeMap;

use problems::{Cell, SpecError, split::Split, stream::Stream};
use tokens::Tokenizer;

use super::generator::{generator, seed_of};
use crate::{
    error::RunError,
    recipe::{Recipe, TokenizerConfig, mix},
};

/// The cells that the tokenizer is trained on, with their weights: those of its mix, or of every stage of every arm.
pub(crate) fn tokenizer_cells(recipe: &Recipe) -> BTreeMap<Cell, f64> {
    let document = &recipe.document;
    let mix = document.tokenizer.as_ref().and_then(|config| document.mix.get(&config.mix));
    if let Some(parts) = mix {
        return mix::cells(parts).unwrap_or_default();
    }
    let mut cells = BTreeMap::new();
    let mut counted: Vec<&BTreeMap<Cell, f64>> = Vec::new();
    for stage in recipe.arms.iter().flat_map(|arm| &arm.stages) {
        if !counted.contains(&&stage.cells) {
            counted.push(&stage.cells);
            for (cell, weight) in &stage.cells {
                *cells.entry(cell.clone()).or_insert(0.0) += weight;
            }
        }
    }
    let sum: f64 = cells.values().sum();
    for weight in cells.values_mut() {
        *weight /= sum;
    }
    cells
}

/// The tokenizer of a recipe: that of the model that is given, or one that is trained on at most `problems` problems.
///
/// # Errors
/// If the world is impossible or the vocabulary is too small, or the given one cannot be read.
pub(crate) fn tokenizer(recipe: &Recipe, problems: u64) -> Result<Tokenizer, RunError> {
    match (recipe.given(), &recipe.document.tokenizer) {
        (Some(given), _) => Ok(given.tokenizer()?),
        (None, Some(config)) => train_tokenizer(recipe, config, config.problems.min(problems)),
        (None, None) => Err(RunError::Data("the recipe has no tokenizer".to_owned())),
    }
}

/// Trains a recipe's tokenizer on about `problems` problems, with at least one of every cell.
fn train_tokenizer(recipe: &Recipe, config: &TokenizerConfig, problems: u64) -> Result<Tokenizer, RunError> {
    let seed = seed_of(&Stream::root(config.seed).fork("tokenizer"));
    let generator = generator(recipe, seed, Split::Train)?;
    let sequence = |(cell, weight): (Cell, f64)| Ok((generator.sequence(&cell)?, weight));
    let sequences: Result<Vec<_>, SpecError> = tokenizer_cells(recipe).into_iter().map(sequence).collect();
    let sequences = sequences.map_err(|e| RunError::Data(format!("the tokenizer: {e}")))?;
    let texts = sequences.iter().flat_map(|(sequence, weight)| {
        let count = ((weight * problems as f64).round() as u64).max(1);
        (0..count).map(move |i| {
            let problem = sequence.problem(i);
            problem.prompt() + &problem.response()
        })
    });
    Ok(Tokenizer::train(texts, config.vocab)?)
}
