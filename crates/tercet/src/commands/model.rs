//! A model on disk with its tokenizer.

use std::path::Path;

use anyhow::Context as _;
use engine::CpuFactory;
use learner::Learner;
use runs::records::EngineInfo;
use tokens::Tokenizer;

use crate::engine::EngineArgs;
use crate::failure::Usage;

/// Opens a checkpoint to ask it: a Hugging Face directory with config.json, model.safetensors and tokenizer.json, of
/// this program or of another maker. Also says what engine it is on, if it is not this program's own.
pub(crate) fn open(
    dir: &Path,
    engine: &EngineArgs,
    threads: Option<usize>,
) -> anyhow::Result<(Box<dyn Learner>, Tokenizer, Option<EngineInfo>)> {
    if !dir.join("config.json").is_file() {
        return Err(Usage::error(format!("{} is no model: it has no config.json", dir.display())));
    }
    let tokenizer = Tokenizer::open_any(dir)?;
    let failed = || format!("cannot open the model in {}", dir.display());
    let factory = CpuFactory { eos: Some(tokenizer.eos()), ..CpuFactory::with_threads(threads) };
    let engine = engine.start(factory)?;
    let learner = engine.factory.open(dir).with_context(failed)?;
    Ok((learner, tokenizer, engine.info))
}
