//! `tercet export verl`, `llama-factory` and `trl`

use std::path::PathBuf;

use tokens::Tokenizer;
use train::recipe::{Arm, ArmStage, Recipe};

use super::super::model;
use super::super::recipe::RecipeArgs;
use super::hf;
use crate::failure::Usage;
use crate::handover::{Handover, Trainer};
use crate::progress::say;

/// Hand a stage of reinforcement learning over to verl
///
/// The folder holds the model, the problems, a reward module, verl's configuration filled from the recipe, pinned
/// requirements, a launch script for one node or several, and a README. What verl cannot express is refused. Token ids and
/// rewards are checked here, and the launch script checks them again in verl's own environment.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet export verl recipes/extrapolation.toml --scale paper --arm edge --model my-base-model --out hand-over
  tercet export verl recipes/quickstart.toml --model runs/quickstart:mid --problems 2000 --out hand-over")]
pub(crate) struct VerlArgs {
    #[command(flatten)]
    pub(crate) stage: Args,
}

/// Hand a stage of pre- or mid-training over to LLaMA-Factory
///
/// The folder holds the model, the problems as text, LLaMA-Factory's configuration filled from the recipe, pinned
/// requirements, a launch script for one node or several, and a README. Documents are neither packed nor cut. What
/// LLaMA-Factory cannot express is refused. Token ids are checked here, and the launch script checks them again.
///
/// If the stage is the arm's first and its model has fresh weights, only the shape and the tokenizer of the model are used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet export llama-factory recipes/extrapolation.toml --scale paper --model my-base-model --out hand-over
  tercet export llama-factory recipes/quickstart.toml --stage mid --set stage.mid.prompt_loss_weight=1
      --model runs/quickstart:pre --out hand-over")]
pub(crate) struct LlamaFactoryArgs {
    #[command(flatten)]
    pub(crate) stage: Args,
}

/// Hand a stage of reinforcement learning over to TRL
///
/// The folder holds the model, the problems, a training script with the reward, its configuration filled from the recipe,
/// pinned requirements, a launch script for one node or several, and a README. What TRL cannot express is refused. Token
/// ids and rewards are checked here, and the launch script checks them again in TRL's own environment.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet export trl recipes/quickstart.toml --model runs/quickstart:mid --out hand-over
  tercet export trl recipes/extrapolation.toml --scale paper --arm edge --model my-base-model --out hand-over")]
pub(crate) struct TrlArgs {
    #[command(flatten)]
    pub(crate) stage: Args,
}

/// What is handed over.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Model that training starts from: its folder, or RUN:STAGE (RUN:ARM/SEED/STAGE where there are several)
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Arm of the recipe; the first by default
    #[arg(long, value_name = "NAME")]
    arm: Option<String>,
    /// Stage of the arm; by default its last that the other program can train
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Model seed, which names the problems; the recipe's first by default
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Number of problems; by default as many as the stage reads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    problems: Option<u64>,
    /// Folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(trainer: Trainer, args: &Args) -> anyhow::Result<()> {
    let recipe = args.recipe.open()?;
    let (arm, stage) = args.stage_of(&recipe, trainer)?;
    let model = model::folder(&args.model)?;
    if args.out.exists() {
        return Err(Usage::error(format!("{} exists already", args.out.display())));
    }
    let tokenizer = Tokenizer::open_any(&model)?;
    let context = hf::context(&model.join("config.json"))?;
    let seed = args.seed.or(recipe.document.seeds.first().copied()).unwrap_or(1);
    let handover = Handover { trainer, recipe: &recipe, arm, stage, seed, tokenizer: &tokenizer, context };
    let written =
        handover.write(args.problems, &args.out, |folder| hf::fill(&model, folder, &tokenizer, context))?;
    say(&format!("stage {} with {written} problems, in {}", stage.stage.name, args.out.display()));
    Ok(())
}

impl Args {
    /// The stage that is meant: the one that is named, or the last of its arm that the trainer can take.
    fn stage_of<'r>(&self, recipe: &'r Recipe, trainer: Trainer) -> anyhow::Result<(&'r Arm, &'r ArmStage)> {
        let arm = match &self.arm {
            Some(name) => recipe.arms.iter().find(|arm| arm.name == *name),
            None => recipe.arms.first(),
        };
        let Some(arm) = arm else {
            let name = self.arm.as_deref().unwrap_or_default();
            return Err(Usage::error(format!("the recipe has no arm `{name}`")));
        };
        let fits = |stage: &&ArmStage| trainer.takes(stage.stage.kind);
        let stage = match &self.stage {
            Some(name) => arm.stages.iter().find(|stage| stage.stage.name == *name),
            None => arm.stages.iter().rfind(fits),
        };
        match stage.filter(fits) {
            Some(stage) => Ok((arm, stage)),
            None => Err(Usage::error(format!(
                "the arm `{}` has no {} that {} can train",
                arm.name,
                self.stage.as_ref().map_or("stage".to_owned(), |name| format!("stage `{name}`")),
                trainer.name()
            ))),
        }
    }
}
