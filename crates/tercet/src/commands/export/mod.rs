//! `tercet export`

mod hf;
mod trainer;

use crate::handover::Trainer;

/// Export a model, or a whole stage of a recipe, for other programs
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Hf(hf::Args),
    Verl(trainer::VerlArgs),
    LlamaFactory(trainer::LlamaFactoryArgs),
    Trl(trainer::TrlArgs),
}

pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Hf(args) => hf::run(args),
        Command::Verl(args) => trainer::run(Trainer::Verl, &args.stage),
        Command::LlamaFactory(args) => trainer::run(Trainer::LlamaFactory, &args.stage),
        Command::Trl(args) => trainer::run(Trainer::Trl, &args.stage),
    }
}
