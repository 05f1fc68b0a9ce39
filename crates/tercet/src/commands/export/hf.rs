//! `tercet export hf`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use runs::files;
use tokens::Tokenizer;

use super::super::model;
use crate::failure::Usage;
use crate::progress::say;

/// Write weights, configuration and tokenizer of a model as a Hugging Face directory
///
/// A checkpoint of a run already is such a directory. The export leaves out the state of the optimizer and of the loop.
/// The tokenizer of another maker is copied as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet export hf runs/quickstart:rl --out my-model
  tercet export hf runs/quickstart/stages/rl-1a2b/checkpoints/step-000100 --out my-model")]
pub(crate) struct Args {
    /// Checkpoint to export: its folder, or RUN:STAGE (RUN:ARM/SEED/STAGE where there are several)
    model: PathBuf,
    /// Folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What a checkpoint has that a model needs; weights may be in several files.
fn belongs(name: &str) -> bool {
    matches!(name, "config.json" | "generation_config.json" | "model.safetensors.index.json")
        || (name.starts_with("model") && name.ends_with("safetensors"))
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let model = model::folder(&args.model)?;
    if args.out.exists() {
        return Err(Usage::error(format!("{} exists already", args.out.display())));
    }
    let tokenizer = Tokenizer::open_any(&model)?;
    let context = context(&model.join("config.json"))?;
    let partial = files::begin_folder(&args.out)?;
    let written = fill(&model, &partial, &tokenizer, context);
    let written = written.and_then(|()| Ok(files::publish(&partial, &args.out)?));
    written.inspect_err(|_| {
        // The first error is the one to tell.
        let _ = files::remove_folder(&partial);
    })?;
    say(&format!("{} tokens of context, in {}", context, args.out.display()));
    Ok(())
}

/// Writes what belongs to the model.
pub(super) fn fill(model: &Path, out: &Path, tokenizer: &Tokenizer, context: usize) -> anyhow::Result<()> {
    tokenizer.save_for(out, context)?;
    for entry in fs::read_dir(model).with_context(|| format!("cannot read {}", model.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if belongs(&name.to_string_lossy()) {
            fs::copy(entry.path(), out.join(&name))
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// The model's context length.
pub(super) fn context(config: &Path) -> anyhow::Result<usize> {
    let damaged = || format!("{} is damaged", config.display());
    let text = fs::read_to_string(config).with_context(damaged)?;
    let config: serde_json::Value = serde_json::from_str(&text).with_context(damaged)?;
    let length = config.get("max_position_embeddings").and_then(serde_json::Value::as_u64);
    Ok(length.with_context(damaged)? as usize)
}
