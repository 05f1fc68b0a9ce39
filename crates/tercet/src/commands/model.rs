//! A model on disk with its tokenizer.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use engine::CpuFactory;
use learner::Learner;
use runs::records::EngineInfo;
use tokens::Tokenizer;

use train::recipe::{GivenModel, Recipe};
use train::run::check_weights;

use crate::engine::EngineArgs;
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
/// this program or of another maker. Also says what engine it is on, if it is not this program's own.
pub(crate) fn open(
    dir: &Path,
    engine: &EngineArgs,
    threads: Option<usize>,
) -> anyhow::Result<(Box<dyn Learner>, Tokenizer, Option<EngineInfo>)> {
    let tokenizer = Tokenizer::open_any(dir)?;
    let failed = || format!("cannot open the model in {}", dir.display());
    let factory = CpuFactory { eos: Some(tokenizer.eos()), ..CpuFactory::with_threads(threads) };
    let engine = engine.start(factory)?;
    let learner = engine.factory.open(dir).with_context(failed)?;
    Ok((learner, tokenizer, engine.info))
}
