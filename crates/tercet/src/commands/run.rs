//! `tercet run`

pub(super) mod watch;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use engine::CpuFactory;
use train::recipe::Recipe;
use train::run::{Options, Outcome, Run};
#[cfg(feature = "tensorboard")]
use train::tensorboard::TensorBoard;

use super::model;
use super::recipe::RecipeArgs;
use crate::engine::{Engine, EngineArgs};
use crate::failure::Usage;
use crate::interrupt;
use crate::output::Output;
use crate::progress::say;
use crate::threads::Threads;

/// Run a recipe: problems, tokenizer, training, evaluation, report
///
/// All files go to one folder. Stages that are finished there are not run again. The same command resumes where it
/// stopped, after Ctrl-C or a crash. Several of these commands in one folder, on one machine or on several, help each
/// other. The result is the same to the byte, at any number of threads and processes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet run recipes/quickstart.toml
  tercet run recipes/quickstart.toml --scale tiny --out /tmp/tiny      every part once, in seconds
  tercet run recipes/quickstart.toml --set stage.rl.steps=200 --out runs/longer
  tercet run recipes/process-rewards.toml --reuse runs/extrapolation   the same base model, trained once
  tercet run recipes/curriculum.toml --jobs 4                          independent stages side by side
  tercet run recipes/quickstart.toml --out runs/q --stage rl-0123456789    one stage, as `tercet plan --json` names it
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
    /// Run only this stage, by its folder name or key (or `tokenizer`, `suites`, `report`)
    #[arg(long, value_name = "KEY", conflicts_with_all = ["arm", "seed", "jobs"])]
    stage: Option<String>,
    /// Run up to N independent stages side by side and share the cores out to them
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Work with leases instead of locks, on file systems whose locks do not reach other machines. A process that is not
    /// heard of for SECONDS is taken to be gone
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "60")]
    lease: Option<u32>,
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
    check(args)?;
    let recipe = args.recipe.open()?;
    let stop = interrupt::listen(interrupt::SAVING)?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&recipe.document.name));
    let whole = args.stage.as_deref().is_none_or(|stage| stage == "report");
    let options = Options {
        command: command(&whole_run(called)),
        revision: super::revision(),
        arm: args.arm.clone(),
        seed: args.seed,
        reuse: args.reuse.clone(),
        engine: None,
        stage: args.stage.clone(),
        lease: args.lease.map(|seconds| Duration::from_secs(seconds.into())),
    };
    let work = Work { args, recipe: &recipe, folder: &folder, options: &options, stop: &stop };
    let outcome = if args.jobs > 1 {
        work.side_by_side(threads)?
    } else {
        work.alone(None, threads, |run| if whole { report(run) } else { Ok(()) })?
    };
    if outcome == Outcome::Stopped {
        anyhow::bail!("stopped early, and everything so far is saved: resume with `{}`", command(called));
    }
    if !whole {
        say(&format!("{} is finished", args.stage.as_deref().unwrap_or_default()));
        return Ok(());
    }
    let mut output = Output::stdout();
    write!(output, "{}", report::table(&folder)?.render())?;
    output.finish()?;
    say(&format!("report: {}", folder.join("report.html").display()));
    Ok(())
}

/// Refuses what does not go together.
fn check(args: &Args) -> anyhow::Result<()> {
    for other in &args.reuse {
        if !other.join("manifest.json").is_file() {
            return Err(Usage::error(format!(
                "{} is no run folder: it has no manifest.json",
                other.display()
            )));
        }
    }
    let refuse = |what: &str| Err(Usage::error(format!("--jobs and {what} do not go together")));
    match args.jobs {
        0 => Err(Usage::error("--jobs must be at least 1")),
        1 => Ok(()),
        _ if args.pin => refuse("--pin"),
        #[cfg(feature = "tensorboard")]
        _ if args.tensorboard => refuse("--tensorboard"),
        _ => Ok(()),
    }
}

/// The last process that works on a run makes its report.
fn report(run: &Run<'_>) -> anyhow::Result<()> {
    run.report(|folder| report::html::write(folder).map(drop).map_err(Into::into)).map(drop)
}

/// A run as it was asked for.
#[derive(Clone, Copy)]
struct Work<'a> {
    args: &'a Args,
    recipe: &'a Recipe,
    folder: &'a Path,
    options: &'a Options,
    stop: &'a AtomicBool,
}

impl Work<'_> {
    /// Does what is left to do, then `end`, with so many threads.
    fn alone(
        self,
        job: Option<usize>,
        threads: Option<usize>,
        end: impl FnOnce(&Run<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        let factory = CpuFactory { pin: self.args.pin, ..model::factory(self.recipe, threads)? };
        let engine = if matches!(self.args.stage.as_deref(), Some("tokenizer" | "suites" | "report")) {
            // No model is asked: the engine is only part of the stages' names.
            Engine::unused(factory, self.args.engine.planned()?)
        } else {
            self.args.engine.start(factory)?
        };
        let options = Options { engine: engine.info, ..self.options.clone() };
        let run = Run::open(self.recipe.clone(), self.folder, &*engine.factory, options)?;
        let outcome = self.execute(&run, job)?;
        if outcome != Outcome::Stopped {
            end(&run)?;
        }
        Ok(outcome)
    }

    /// Several workers in one process help each other as several processes do. Each has its share of the cores.
    fn side_by_side(self, threads: Option<usize>) -> anyhow::Result<Outcome> {
        let jobs = self.args.jobs;
        let cores = threads.or_else(|| Some(std::thread::available_parallelism().ok()?.get())).unwrap_or(1);
        let share = |job: usize| (cores / jobs + usize::from(job <= cores % jobs)).max(1);
        let ended: Vec<anyhow::Result<Outcome>> = std::thread::scope(|scope| {
            let work = |job| move || self.alone(Some(job), Some(share(job)), report);
            let started: Vec<_> = (1..=jobs).map(|job| scope.spawn(work(job))).collect();
            let joined = started.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let mut all = Outcome::Finished(());
        for outcome in ended {
            if outcome? == Outcome::Stopped {
                all = Outcome::Stopped;
            }
        }
        Ok(all)
    }

    fn execute(self, run: &Run<'_>, job: Option<usize>) -> anyhow::Result<Outcome> {
        let mut terminal = watch::Terminal::new(!self.args.reuse.is_empty(), job);
        #[cfg(feature = "tensorboard")]
        if self.args.tensorboard {
            let mut board = TensorBoard::new(run.folder(), &mut terminal);
            let outcome = run.execute(&mut board, self.stop)?;
            if let Err(error) = board.finish() {
                say(&format!("the event files for TensorBoard are incomplete: {error}"));
            }
            return Ok(outcome);
        }
        Ok(run.execute(&mut terminal, self.stop)?)
    }
}

/// The call without the stage that it was about: the command that makes the whole run.
fn whole_run(called: &[OsString]) -> Vec<OsString> {
    let mut words = called.iter();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word.to_string_lossy() {
            option if option == "--stage" => drop(words.next()),
            option if option.starts_with("--stage=") => {}
            _ => kept.push(word.clone()),
        }
    }
    kept
}

/// The command as it was called.
pub(super) fn command(called: &[OsString]) -> String {
    let args = called.iter().skip(1).map(|arg| quoted(&arg.to_string_lossy()));
    std::iter::once("tercet".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
