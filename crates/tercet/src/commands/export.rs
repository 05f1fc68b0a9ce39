//! `tercet export`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokens::Tokenizer;

use crate::failure::Usage;
use crate::progress::say;

/// Hand a model over to other programs
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Hf(HfArgs),
}

/// Write a model's weights, configuration and tokenizer as a clean Hugging Face directory
///
/// A checkpoint of a run is one already; this leaves out the optimizer's and the loop's state, and names the
/// model's context length in the tokenizer's configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet export hf runs/quickstart/stages/rl-1a2b/checkpoints/step-000100 --out my-model")]
pub(crate) struct HfArgs {
    /// A checkpoint
    model: PathBuf,
    /// The folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What a checkpoint has that a model needs; weights may be in several files.
fn belongs(name: &str) -> bool {
    matches!(name, "config.json" | "generation_config.json" | "model.safetensors.index.json")
        || (name.starts_with("model") && name.ends_with("safetensors"))
}

pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Hf(args) => hf(args),
    }
}

fn hf(args: &HfArgs) -> anyhow::Result<()> {
    let config = args.model.join("config.json");
    if !config.is_file() {
        return Err(Usage::error(format!("{} is no model: it has no config.json", args.model.display())));
    }
    if args.out.exists() {
        return Err(Usage::error(format!("{} exists already", args.out.display())));
    }
    let tokenizer = Tokenizer::open(&args.model)?;
    let context = context(&config)?;
    let mut partial = args.out.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    fill(&args.model, &partial, &tokenizer, context).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&partial);
    })?;
    fs::rename(&partial, &args.out).with_context(|| format!("cannot write {}", args.out.display()))?;
    say(&format!("{} tokens of context, in {}", context, args.out.display()));
    Ok(())
}

fn fill(model: &Path, out: &Path, tokenizer: &Tokenizer, context: usize) -> anyhow::Result<()> {
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
fn context(config: &Path) -> anyhow::Result<usize> {
    let damaged = || format!("{} is damaged", config.display());
    let text = fs::read_to_string(config).with_context(damaged)?;
    let config: serde_json::Value = serde_json::from_str(&text).with_context(damaged)?;
    let length = config.get("max_position_embeddings").and_then(serde_json::Value::as_u64);
    Ok(length.with_context(damaged)? as usize)
}
