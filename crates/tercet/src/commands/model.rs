//! A model on disk with its tokenizer.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use engine::CpuFactory;
use learner::{Learner, LearnerFactory as _};
use tokens::Tokenizer;

use train::recipe::{GivenModel, Recipe};
use train::run::check_weights;

use crate::failure::Usage;

/// The folder of a model that was named on the command line: a path, or `RUN:STAGE`. What is known of its weights must
/// be true: a checkpoint that was damaged is not used.
pub(crate) fn folder(named: &Path) -> anyhow::Result<PathBuf> {
    let dir = runs::named(named).map_err(Usage::error)?;
    if !dir.join("config.json").is_file() {
        return Err(Usage::error(format!("{} is no model: it has no config.json", dir.display())));
    }
    check_weights(&dir)?;
    Ok(dir)
}

/// Makes the models of a recipe. The configuration of a model that is given may name an end token that its tokenizer does
/// not have: then the tokenizer's counts.
pub(crate) fn factory(recipe: &Recipe, threads: Option<usize>) -> anyhow::Result<CpuFactory> {
    let tokenizer = recipe.given().map(GivenModel::tokenizer).transpose()?;
    let eos = tokenizer.map(|tokenizer| tokenizer.eos());
    Ok(CpuFactory { eos, ..CpuFactory::with_threads(threads) })
}

/// Opens a checkpoint to ask it: a Hugging Face directory with config.json, model.safetensors and tokenizer.json, of
/// this program or of another maker.
pub(crate) fn open(dir: &Path, threads: Option<usize>) -> anyhow::Result<(Box<dyn Learner>, Tokenizer)> {
    let tokenizer = Tokenizer::open_any(dir)?;
    let failed = || format!("cannot open the model in {}", dir.display());
    let factory = CpuFactory { eos: Some(tokenizer.eos()), ..CpuFactory::with_threads(threads) };
    let learner = factory.open(dir).with_context(failed)?;
    Ok((learner, tokenizer))
}
