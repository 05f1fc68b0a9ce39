//! `tercet export slurm`: job arrays whose tasks are the stages of a recipe, with the dependencies of its graph.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use runs::files;
use train::run::plan::{NodePlan, Plan, StageCost};

use super::super::plan::rates;
use super::super::recipe::RecipeArgs;
use super::super::{model, run::quoted};
use crate::engine::EngineArgs;
use crate::failure::Usage;
use crate::progress::{duration, say};
use crate::threads::Threads;

/// Write Slurm job arrays that run a recipe on a cluster
///
/// Every stage of every arm and seed is a task of a job array, and starts when the stage that it starts from is finished.
/// Time and memory are asked for by the estimate of `tercet plan`, with room to spare. All tasks work in one run folder on
/// a disk that all nodes see, and need no network. A task that is preempted or runs out of time saves, and goes on where
/// it was when it is queued again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet export slurm recipes/curriculum.toml --out /shared/runs/curriculum && sh slurm/curriculum/submit.sh
  tercet export slurm recipes/curriculum.toml --requeue --sbatch partition=short --sbatch cpus-per-task=8
  tercet export slurm recipes/curriculum.toml --engine torch --sbatch gpus-per-task=1 --untimed --sbatch time=4:00:00")]
pub(crate) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Run folder, on a disk that all nodes see; runs/NAME by default
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder to write the scripts to; slurm/NAME by default
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Option for every job, e.g. partition=short, account=me, gpus-per-task=1 (repeatable; it wins over what is planned)
    #[arg(long, value_name = "KEY=VALUE")]
    sbatch: Vec<String>,
    /// Queue a task again that was preempted or ran out of time
    #[arg(long)]
    requeue: bool,
    /// Work with leases, where locks of the shared disk do not reach other nodes (see `tercet run --lease`)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "60")]
    lease: Option<u32>,
    /// The program as the nodes call it
    #[arg(long, value_name = "COMMAND", default_value = "tercet")]
    program: String,
    /// Do not measure this machine, and ask for no time
    #[arg(long)]
    untimed: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    threads: Threads,
}

/// So many times what is planned is asked for: a plan is an estimate, and the nodes may be slower than this machine.
const SLACK: f64 = 2.0;
/// Never less time than this, in seconds, …
const LEAST_TIME: f64 = 600.0;
/// … and never less memory than this, in bytes.
const LEAST_MEMORY: u64 = 1 << 30;
/// Seconds before the end of its time that a task is told to save.
const NOTICE: u32 = 300;
/// Tasks of an array, at most: what Slurm takes if it was not told otherwise.
const ARRAY_MAX: usize = 1000;

/// Stages that wait for the same things, task by task.
struct Array<'p> {
    /// Which array the parents are in, and whether task i waits for task i of it or for all.
    parent: Option<(usize, bool)>,
    stages: Vec<&'p NodePlan>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    for option in &args.sbatch {
        let key = option.split_once('=').map_or(option.as_str(), |(key, _)| key);
        if key.is_empty() || key.starts_with('-') || option.contains(['\n', '\r']) {
            return Err(Usage::error(format!("--sbatch {option}: write KEY=VALUE, such as partition=short")));
        }
    }
    let threads = args.threads.apply()?;
    let recipe = args.recipe.open()?;
    let name = recipe.document.name.clone();
    let factory = model::factory(&recipe, threads)?;
    let (rates, engine) = if args.untimed {
        (None, args.engine.planned()?)
    } else {
        let engine = args.engine.start(factory)?;
        (Some(rates::measure(&recipe, &*engine.factory)?), engine.info)
    };
    let plan = Plan::on(&recipe, rates, engine.as_ref())?;
    let arrays = arrays(&plan.nodes);
    let to = args.to.clone().unwrap_or_else(|| PathBuf::from("slurm").join(&name));
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&name));
    files::make_folder(&to.join("logs"))?;
    let jobs = Jobs { args, name: &name, call: args.call(&out)?, out: absolute(&out)? };
    let write = |file: &str, text: String| files::write(&to.join(file), text.as_bytes());
    write("prepare.sbatch", jobs.prepare())?;
    for (i, array) in arrays.iter().enumerate() {
        write(&file(i, array), jobs.array(array))?;
    }
    write("report.sbatch", jobs.report())?;
    write("submit.sh", submit(&arrays))?;
    let stages: usize = arrays.iter().map(|array| array.stages.len()).sum();
    let time =
        plan.seconds.map_or_else(String::new, |seconds| format!(", {} on this machine", duration(seconds)));
    say(&format!("{stages} stages in {} arrays{time}: sh {}", arrays.len(), to.join("submit.sh").display()));
    Ok(())
}

/// The stages as arrays. Children of an array are arrays in step with it: the first children of all its tasks, the second,
/// and so on. All children of a single task are one array.
fn arrays(nodes: &[NodePlan]) -> Vec<Array<'_>> {
    let mut arrays: Vec<Array<'_>> = Vec::new();
    let mut place: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut children: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_origin: BTreeMap<(Option<usize>, usize), usize> = BTreeMap::new();
    for node in by_depth(nodes) {
        let parent = node.parents.first().and_then(|parent| place.get(parent.as_str())).copied();
        let number = match parent {
            Some((array, _)) if arrays[array].stages.len() > 1 => {
                let count = children.entry(&node.parents[0]).or_default();
                *count += 1;
                *count
            }
            _ => 0,
        };
        let origin = (parent.map(|(array, _)| array), number);
        let in_step =
            |array: &Array<'_>| parent.is_none_or(|(_, task)| number == 0 || array.stages.len() == task);
        let known = by_origin.get(&origin).copied();
        let has_room = |known: &usize| arrays[*known].stages.len() < ARRAY_MAX && in_step(&arrays[*known]);
        let array = known.filter(has_room).unwrap_or(arrays.len());
        if array == arrays.len() {
            let is_first = parent.is_none_or(|(_, task)| task == 0);
            let parent = parent.map(|(array, _)| (array, number > 0 && is_first));
            arrays.push(Array { parent, stages: Vec::new() });
            by_origin.insert(origin, array);
        }
        place.insert(&node.name, (array, arrays[array].stages.len()));
        arrays[array].stages.push(node);
    }
    arrays
}

/// The stages, all that start from nothing first, then those that start from these, and so on.
fn by_depth(nodes: &[NodePlan]) -> Vec<&NodePlan> {
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.stage.is_some()) {
        let parent = node.parents.first().and_then(|parent| depths.get(parent.as_str()));
        depths.insert(&node.name, parent.map_or(0, |depth| depth + 1));
    }
    let mut stages: Vec<&NodePlan> = nodes.iter().filter(|node| node.stage.is_some()).collect();
    stages.sort_by_key(|node| depths.get(node.name.as_str()));
    stages
}

/// The script of an array.
fn file(i: usize, array: &Array<'_>) -> String {
    let name =
        array.stages.first().and_then(|node| node.stage.as_ref()).map_or("", |stage| stage.name.as_str());
    format!("{:03}-{name}.sbatch", i + 1)
}

/// Hands in all jobs, each with what it waits for.
fn submit(arrays: &[Array<'_>]) -> String {
    let mut text = "#!/bin/sh\n# Hands in the jobs of a run. Handed in again, it does what is left to do.\nset -eu\ncd \"$(dirname \"$0\")\"\n\
        job() { id=$(sbatch --parsable \"$@\"); echo \"${id%%;*}\"; }\n\nprepare=$(job prepare.sbatch)\n"
        .to_owned();
    let mut all = String::new();
    for (i, array) in arrays.iter().enumerate() {
        let on = match array.parent {
            None => "afterok:$prepare".to_owned(),
            Some((parent, true)) => format!("aftercorr:$array{}", parent + 1),
            Some((parent, false)) => format!("afterok:$array{}", parent + 1),
        };
        let _ = writeln!(
            text,
            "array{}=$(job --dependency=\"{on}\" --kill-on-invalid-dep=yes {})",
            i + 1,
            file(i, array)
        );
        let _ = write!(all, ":$array{}", i + 1);
    }
    // The report is of what is there, whatever has failed.
    let _ = writeln!(text, "report=$(job --dependency=\"afterany{all}\" report.sbatch)");
    text.push_str("echo \"handed in: the report is job $report\"\n");
    text
}

struct Jobs<'a> {
    args: &'a Args,
    name: &'a str,
    /// `tercet run RECIPE …` without what is run.
    call: String,
    out: PathBuf,
}

impl Jobs<'_> {
    fn head(&self, job: &str, tasks: Option<&[&NodePlan]>) -> String {
        let mut options: Vec<(String, String)> = vec![
            ("job-name".into(), format!("{}-{job}", self.name)),
            ("output".into(), format!("logs/%x-{}.log", if tasks.is_some() { "%A_%a" } else { "%j" })),
            ("open-mode".into(), "append".into()),
            ("ntasks".into(), "1".into()),
        ];
        if let Some(tasks) = tasks {
            options.push(("array".into(), format!("0-{}", tasks.len() - 1)));
            let costs = || tasks.iter().filter_map(|node| node.stage.as_ref());
            let seconds = costs()
                .filter_map(|cost: &StageCost| cost.seconds)
                .fold(None, |most: Option<f64>, s| Some(most.map_or(s, |most| most.max(s))));
            if let Some(seconds) = seconds {
                let minutes = ((SLACK * seconds).max(LEAST_TIME) / 60.0).ceil();
                options.push(("time".into(), format!("{minutes:.0}")));
            }
            let memory = costs().map(|cost| cost.memory_bytes).max().unwrap_or(0);
            let memory = (memory as f64 * SLACK).max(LEAST_MEMORY as f64) / f64::from(1 << 20);
            options.push(("mem".into(), format!("{memory:.0}M")));
            options.push(("signal".into(), format!("B:TERM@{NOTICE}")));
            if self.args.requeue {
                options.push(("requeue".into(), String::new()));
            }
        }
        let mut text = "#!/bin/bash\n".to_owned();
        let given = self.args.sbatch.iter().map(|option| option.split_once('=').unwrap_or((option, "")));
        let given: Vec<(String, String)> = given.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        options.retain(|(key, _)| given.iter().all(|(known, _)| known != key));
        for (key, value) in options.into_iter().chain(given) {
            let equals = if value.is_empty() { "" } else { "=" };
            let _ = writeln!(text, "#SBATCH --{key}{equals}{value}");
        }
        text.push_str("set -u\n");
        text
    }

    fn prepare(&self) -> String {
        format!(
            "{}set -e\n{call} --stage tokenizer\n{call} --stage suites\n",
            self.head("prepare", None),
            call = self.call
        )
    }

    fn report(&self) -> String {
        let out = quoted(&self.out.to_string_lossy());
        format!("{}exec {} report {out}\n", self.head("report", None), self.args.program)
    }

    fn array(&self, array: &Array<'_>) -> String {
        let name =
            array.stages.first().and_then(|node| node.stage.as_ref()).map_or("", |stage| stage.name.as_str());
        let mut text = self.head(name, Some(&array.stages));
        text.push_str("stages=(\n");
        for node in &array.stages {
            let stage = node.stage.as_ref();
            let what = stage.map_or_else(String::new, |stage| {
                format!("  # seed {}, {}", stage.seed, stage.arms.join(", "))
            });
            // A name of an arm may hold anything but an end of line.
            let _ = writeln!(text, "  {}{}", node.key, what.replace(['\n', '\r'], " "));
        }
        text.push_str(")\n");
        let again = if self.args.requeue {
            "if [ -n \"$told\" ] && [ \"$code\" -ne 0 ]; then\n  exec scontrol requeue \"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\"\nfi\n"
        } else {
            ""
        };
        // The shell hears SIGTERM and passes it on: the program ends its step, saves, and ends with 1.
        let _ = write!(
            text,
            "told=\n{call} --threads \"${{SLURM_CPUS_PER_TASK:-1}}\" --stage \"${{stages[$SLURM_ARRAY_TASK_ID]}}\" &\npid=$!\n\
             trap 'told=1; kill -TERM \"$pid\" 2>/dev/null' TERM\nwait \"$pid\"; code=$?\n\
             while kill -0 \"$pid\" 2>/dev/null; do wait \"$pid\"; code=$?; done\n{again}exit \"$code\"\n",
            call = self.call,
        );
        text
    }
}

impl Args {
    /// The call that every task makes, without the part that it is about.
    fn call(&self, out: &Path) -> anyhow::Result<String> {
        let (recipe, changes) = self.recipe.parts();
        let mut words = vec!["run".to_owned(), absolute(recipe)?.to_string_lossy().into_owned()];
        words.extend(changes);
        words.extend(["--out".to_owned(), absolute(out)?.to_string_lossy().into_owned()]);
        words.extend(self.lease.map(|seconds| format!("--lease={seconds}")));
        words.extend(self.engine.arguments());
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        Ok(format!("{} {}", self.program, words.join(" ")))
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} has no absolute path", path.display()))
}
