//! `tercet run`

pub(super) mod watch;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use engine::CpuFactory;
use train::run::{Options, Outcome, Run};
#[cfg(feature = "tensorboard")]
use train::tensorboard::TensorBoard;

use super::model;
use super::recipe::RecipeArgs;
use crate::engine::EngineArgs;
use crate::failure::Usage;
use crate::interrupt;
use crate::output::Output;
use crate::progress::say;
use crate::threads::Threads;

/// Run a recipe: problems, tokenizer, training, evaluation, report
///
/// All files go to one folder. Stages that are finished there are not run again. The same command resumes where it
/// stopped, after Ctrl-C or a crash. The result is the same to the byte, at any number of threads.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet run recipes/quickstart.toml
  tercet run recipes/quickstart.toml --scale tiny --out /tmp/tiny      every part once, in seconds
  tercet run recipes/quickstart.toml --set stage.rl.steps=200 --out runs/longer
  tercet run recipes/process-rewards.toml --reuse runs/extrapolation   the same base model, trained once
  tercet run recipes/quickstart.toml --engine torch --launch 'torchrun --nproc-per-node 8'
  tercet run recipes/quickstart.toml --tensorboard && tensorboard --logdir runs/quickstart/tensorboard")]
pub(crate) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Folder to write the run to; runs/NAME by default
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run only this arm
    #[arg(long, value_name = "NAME")]
    arm: Option<String>,
    /// Run only this seed of the recipe
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Reuse identical finished stages from this run folder (repeatable)
    #[arg(long, value_name = "DIR")]
    reuse: Vec<PathBuf>,
    /// Also write event files for TensorBoard, to DIR/tensorboard
    #[cfg(feature = "tensorboard")]
    #[arg(long)]
    tensorboard: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    threads: Threads,
    /// Pin each thread of the engine to its own processor
    #[arg(long)]
    pin: bool,
}

pub(crate) fn run(args: &Args, called: &[OsString]) -> anyhow::Result<()> {
    let threads = args.threads.apply()?;
    let recipe = args.recipe.open()?;
    let factory = CpuFactory { pin: args.pin, ..model::factory(&recipe, threads)? };
    let stop = interrupt::listen(interrupt::SAVING)?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&recipe.document.name));
    for other in &args.reuse {
        if !other.join("manifest.json").is_file() {
            return Err(Usage::error(format!(
                "{} is no run folder: it has no manifest.json",
                other.display()
            )));
        }
    }
    let engine = args.engine.start(factory)?;
    let options = Options {
        command: command(called),
        revision: super::revision(),
        arm: args.arm.clone(),
        seed: args.seed,
        reuse: args.reuse.clone(),
        engine: engine.info,
    };
    let run = Run::open(recipe, &folder, &*engine.factory, options)?;
    let outcome = execute(&run, &stop, args)?;
    if outcome == Outcome::Stopped {
        anyhow::bail!("stopped early, and everything so far is saved: resume with `{}`", command(called));
    }
    let report = report::html::write(&folder)?;
    let mut output = Output::stdout();
    write!(output, "{}", report::table(&folder)?.render())?;
    output.finish()?;
    say(&format!("report: {}", report.display()));
    Ok(())
}

fn execute(run: &Run<'_>, stop: &AtomicBool, args: &Args) -> anyhow::Result<Outcome> {
    let mut terminal = watch::Terminal::new(!args.reuse.is_empty());
    #[cfg(feature = "tensorboard")]
    if args.tensorboard {
        let mut board = TensorBoard::new(run.folder(), &mut terminal);
        let outcome = run.execute(&mut board, stop)?;
        if let Err(error) = board.finish() {
            say(&format!("the event files for TensorBoard are incomplete: {error}"));
        }
        return Ok(outcome);
    }
    Ok(run.execute(&mut terminal, stop)?)
}

/// The command as it was called.
pub(super) fn command(called: &[OsString]) -> String {
    let quoted = |arg: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+".contains(c);
        if arg.chars().all(plain) { arg } else { format!("'{}'", arg.replace('\'', r"'\''")) }
    };
    let args = called.iter().skip(1).map(|arg| quoted(arg.to_string_lossy().into_owned()));
    std::iter::once("tercet".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}
