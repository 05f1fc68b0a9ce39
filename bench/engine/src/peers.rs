//! Ours and theirs in turn: every side lives in its own process, is warmed up once, and then works round by
//! round, so that what disturbs the machine disturbs all of them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use crate::child::Side;
use crate::shapes::{Work, shape};
use crate::stats::Summary;
use crate::table;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Python with bench/peers/requirements.txt installed
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Where peer.py lies
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../peers"))]
    scripts: PathBuf,
    /// Shapes to measure, of T, S and P; P takes minutes, and about 25 GB with all variants
    #[arg(long, value_delimiter = ',', default_value = "T,S")]
    shapes: Vec<String>,
    /// What to measure
    #[arg(long, value_delimiter = ',', default_value = "train,sample,group")]
    work: Vec<Work>,
    /// Only these of their variants, e.g. eager-bf16,compile-f32,generate-bf16; all if not given
    #[arg(long, value_delimiter = ',')]
    variants: Vec<String>,
    /// Rounds; each side works once a round
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Least seconds of work in a round; always at least one step
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Steps of each side before the first round
    #[arg(long, default_value_t = 2)]
    warm_up: usize,
    /// Threads of each side
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A program whose start-up is timed too (`PROGRAM --version`)
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Write everything measured to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Everything measured, with the machine it was measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) revision: String,
    pub(crate) threads: usize,
    pub(crate) rounds: usize,
    /// Processors that others kept busy just before the bench began.
    pub(crate) load: Option<f64>,
    pub(crate) startup: Option<Startup>,
    pub(crate) parts: Vec<Part>,
}

/// How long a program takes to start and end.
#[derive(Debug, Serialize)]
pub(crate) struct Startup {
    pub(crate) program: String,
    pub(crate) seconds: Summary,
}

/// One shape and work.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) shape: String,
    pub(crate) work: Work,
    pub(crate) parameters: usize,
    /// Multiplications and additions that a token of training takes in matrix products.
    pub(crate) flops: Option<f64>,
    /// Ours first.
    pub(crate) sides: Vec<Measured>,
}

/// What one side did.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) ours: bool,
    pub(crate) versions: String,
    pub(crate) startup_seconds: f64,
    pub(crate) warm_up_seconds: f64,
    /// Resident bytes before the model was made.
    pub(crate) base_bytes: Option<u64>,
    /// Highest resident bytes after warm-up.
    pub(crate) peak_bytes: Option<u64>,
    /// Tokens per second of each round.
    pub(crate) rates: Vec<f64>,
    /// Tokens per second of processor time, over all threads, of each round that took enough of it.
    pub(crate) core_rates: Vec<f64>,
    /// What our matrix kernel reached beside each round, in operations per second (ours only).
    pub(crate) ceilings: Vec<f64>,
}

impl Measured {
    /// What model, optimizer and step need: the peak above the process before the model was made.
    pub(crate) fn step_bytes(&self) -> Option<u64> {
        Some(self.peak_bytes?.saturating_sub(self.base_bytes?))
    }
}

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.rounds > 0, "there must be at least one round");
    let known = |name: &str| TRAINING.contains(&name) || SAMPLING.contains(&name);
    if let Some(name) = args.variants.iter().find(|name| !known(name)) {
        bail!("there is no variant `{name}`; there are {} and {}", TRAINING.join(", "), SAMPLING[2..].join(", "));
    }
    let load = load();
    if load.is_some_and(|load| load > 0.2) {
        eprintln!("warning: others keep {:.1} processors busy; expect noise", load.unwrap_or_default());
    }
    let mut report = Report {
        machine: machine(),
        revision: revision(),
        threads: args.threads,
        rounds: args.rounds,
        load,
        startup: args.binary.as_ref().map(startup).transpose()?,
        parts: Vec::new(),
    };
    print!("{}", table::head(&report));
    for name in &args.shapes {
        for &work in &args.work {
            let part = measure(args, name, work)?;
            print!("{}", table::part(&part));
            report.parts.push(part);
            // After each part: a long run that is cut short leaves what it has.
            if let Some(path) = &args.json {
                let text = serde_json::to_string_pretty(&report)? + "\n";
                fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Their variants in training.
const TRAINING: [&str; 9] = [
    "eager-f32",
    "eager-bf16",
    "eager-bf16pure",
    "compile-f32",
    "compile-bf16",
    "compile-bf16pure",
    "hub-f32",
    "hub-bf16",
    "hub-bf16pure",
];

/// Their variants in sampling.
const SAMPLING: [&str; 4] = ["eager-f32", "eager-bf16", "generate-f32", "generate-bf16"];

/// Those of their variants that were asked for and do this work.
fn variants(args: &Args, work: Work) -> impl Iterator<Item = &'static str> {
    let all: &[&str] = if work == Work::Train { &TRAINING } else { &SAMPLING };
    all.iter().copied().filter(|v| args.variants.is_empty() || args.variants.iter().any(|w| w == v))
}

fn measure(args: &Args, name: &str, work: Work) -> Result<Part> {
    let shape = shape(name)?;
    let mut sides = vec![start_ours(args, name, work)?];
    for variant in variants(args, work) {
        sides.push(start_theirs(args, name, work, variant)?);
    }
    let parameters = sides[0].0.built.parameters;
    for (side, _) in &sides {
        if side.built.parameters != parameters {
            bail!("{} has {} parameters, ours {parameters}", side.name, side.built.parameters);
        }
    }
    let mut measured: Vec<Measured> = sides
        .iter()
        .enumerate()
        .map(|(i, (side, warm_up_seconds))| Measured {
            name: side.name.clone(),
            ours: i == 0,
            versions: side.built.versions.clone(),
            startup_seconds: side.startup_seconds,
            warm_up_seconds: *warm_up_seconds,
            base_bytes: side.built.base,
            peak_bytes: None,
            rates: Vec::new(),
            core_rates: Vec::new(),
            ceilings: Vec::new(),
        })
        .collect();
    for round in 0..args.rounds {
        eprintln!("{name} {work:?}: round {} of {}", round + 1, args.rounds);
        for ((side, _), measured) in sides.iter_mut().zip(&mut measured) {
            let done = side.round(args.seconds)?;
            measured.rates.push(done.tokens as f64 / done.seconds);
            // The clock of processor time ticks in hundredths.
            let busy = done.core_seconds.filter(|busy| *busy >= 0.05);
            measured.core_rates.extend(busy.map(|busy| done.tokens as f64 / busy));
            measured.ceilings.extend(done.ceiling);
            measured.peak_bytes = measured.peak_bytes.max(done.peak);
        }
    }
    let flops = (work == Work::Train).then(|| shape.training_flops());
    Ok(Part { shape: name.to_owned(), work, parameters, flops, sides: measured })
}

fn start_ours(args: &Args, name: &str, work: Work) -> Result<(Side, f64)> {
    let mut command = Command::new(std::env::current_exe()?);
    let work = match work {
        Work::Train => "train",
        Work::Sample => "sample",
        Work::Group => "group",
    };
    command.args(["ours", "--shape", name, "--work", work]);
    start(args, "ours f32", command)
}

fn start_theirs(args: &Args, name: &str, work: Work, variant: &str) -> Result<(Side, f64)> {
    let mut command = Command::new(&args.python);
    command.arg(args.scripts.join("peer.py")).args(["--shape", name, "--variant", variant]);
    command.args(["--work", if work == Work::Train { "train" } else { "sample" }]);
    command.args(["--group", &work.group().to_string()]);
    start(args, variant, command)
}

/// Starts and warms up one side while no other works.
fn start(args: &Args, name: &str, mut command: Command) -> Result<(Side, f64)> {
    command.args(["--threads", &args.threads.to_string(), "--warm-up", &args.warm_up.to_string()]);
    eprintln!("starting {name}");
    let mut side = Side::start(name, command)?;
    let warm = side.warm()?;
    Ok((side, warm.warm_up_seconds))
}

fn startup(program: &PathBuf) -> Result<Startup> {
    let mut seconds = Vec::new();
    for _ in 0..11 {
        let start = Instant::now();
        let output = Command::new(program).arg("--version").output();
        let output = output.with_context(|| format!("{} cannot be started", program.display()))?;
        ensure!(output.status.success(), "{} --version failed: {}", program.display(), output.status);
        seconds.push(start.elapsed().as_secs_f64());
    }
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    Ok(Startup { program: name, seconds: Summary::of(&seconds).context("no run was timed")? })
}

/// Processors busy over two seconds in which this process sleeps.
fn load() -> Option<f64> {
    // The first line of /proc/stat: hundredths of a second by kind; the fourth and fifth are idle.
    let busy = || -> Option<u64> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let kinds = text.lines().next()?.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = kinds.map_while(|kind| kind.parse().ok()).collect();
        Some(ticks.iter().sum::<u64>() - ticks.get(3)? - ticks.get(4)?)
    };
    let (start, before) = (Instant::now(), busy()?);
    thread::sleep(Duration::from_secs(2));
    Some((busy()? - before) as f64 / 100.0 / start.elapsed().as_secs_f64())
}

/// The processor's name, cores and the units that decide what bf16 is worth.
fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    let flags: Vec<&str> = field("flags").unwrap_or_default().split(' ').collect();
    let units: Vec<&str> = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"]
        .into_iter()
        .filter(|unit| flags.contains(unit))
        .collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let name = field("model name").unwrap_or("unknown processor");
    format!("{name} (model {}), {cores} cores, {}", field("model\t").unwrap_or("?"), units.join(" "))
}

fn revision() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} with changes"),
    }
}
