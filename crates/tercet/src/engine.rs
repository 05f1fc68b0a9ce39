//! Which engine trains and samples: this program's own, or PyTorch workers.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use engine::CpuFactory;
use learner::LearnerFactory;
use remote::{Launch, Limits, RemoteFactory};
use runs::records::EngineInfo;

use crate::failure::Usage;
use crate::progress::say;

/// The environment variable that holds the token of a running worker.
const TOKEN: &str = "TERCET_TOKEN";

/// Flattened into every command that asks a model.
#[derive(Debug, Clone, Args)]
pub(crate) struct EngineArgs {
    /// Engine that trains and samples: `cpu`, `torch` (starts a PyTorch worker), or http://HOST:PORT (a running worker)
    #[arg(long, value_name = "ENGINE", default_value = "cpu")]
    engine: String,
    /// Start the worker with this launcher, e.g. "torchrun --nproc-per-node 8"
    #[arg(long, value_name = "COMMAND")]
    launch: Option<String>,
    /// Python interpreter of the worker; by default that of $VIRTUAL_ENV, or else python3
    #[arg(long, value_name = "FILE")]
    python: Option<String>,
    /// Arithmetic of the worker; f32 by default. Weights are f32 either way
    #[arg(long, value_name = "TYPE")]
    precision: Option<Precision>,
    /// File that holds the token of a running worker; by default the token is in $TERCET_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Precision {
    F32,
    Bf16,
}

/// An engine that is ready.
pub(crate) struct Engine {
    pub(crate) factory: Box<dyn LearnerFactory>,
    /// What it is, if it is not this program's own.
    pub(crate) info: Option<EngineInfo>,
    /// Bytes of memory of a worker's device.
    memory: Option<u64>,
}

impl Engine {
    /// One that is not asked: only its name counts, in the keys of stages.
    pub(crate) fn unused(cpu: CpuFactory, info: Option<EngineInfo>) -> Self {
        Self { factory: Box::new(cpu), info, memory: None }
    }

    /// Bytes of memory of a worker's device; `None` for this program's own engine.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.memory
    }
}

impl EngineArgs {
    /// Whether it is this program's own.
    pub(crate) fn is_cpu(&self) -> bool {
        self.engine == "cpu"
    }

    /// Starts the engine. `cpu` is this program's own, which also makes the fresh weights of all others.
    pub(crate) fn start(&self, cpu: CpuFactory) -> anyhow::Result<Engine> {
        let eos = cpu.eos;
        let mut remote = match self.engine.as_str() {
            "cpu" => {
                self.refuse("cpu", &["launch", "python", "precision", "token-file"])?;
                return Ok(Engine { factory: Box::new(cpu), info: None, memory: None });
            }
            "torch" => {
                self.refuse("torch", &["token-file"])?;
                let launch = self.launch(cpu.threads);
                say("starting the worker");
                RemoteFactory::launch(&launch, Limits::default(), Box::new(cpu))?
            }
            url if url.starts_with("http://") => {
                self.refuse("a running worker", &["launch", "python", "precision"])?;
                RemoteFactory::connect(url, &self.token()?, Limits::default(), Box::new(cpu))?
            }
            other => {
                return Err(Usage::error(format!(
                    "--engine is `{other}`, but must be `cpu`, `torch` or http://HOST:PORT"
                )));
            }
        };
        remote.eos = eos;
        let worker = remote.worker();
        let info = EngineInfo {
            name: "torch".to_owned(),
            precision: worker.precision.clone(),
            workers: worker.workers,
            device: worker.device.clone(),
            versions: worker.versions.clone(),
        };
        let memory = worker.memory;
        say(&format!("engine: {}", info.describe()));
        Ok(Engine { factory: Box::new(remote), info: Some(info), memory })
    }

    /// What the engine would be, as far as results depend on it, without starting it.
    pub(crate) fn planned(&self) -> anyhow::Result<Option<EngineInfo>> {
        match self.engine.as_str() {
            "cpu" => Ok(None),
            "torch" => {
                let precision = self.precision.unwrap_or(Precision::F32).to_possible_value();
                Ok(Some(EngineInfo {
                    name: "torch".to_owned(),
                    precision: precision.map_or_else(String::new, |p| p.get_name().to_owned()),
                    workers: 1,
                    device: String::new(),
                    versions: std::collections::BTreeMap::new(),
                }))
            }
            _ => Err(Usage::error("a running worker has to be asked: leave out --untimed")),
        }
    }

    /// The options as they were given.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let precision = self.precision.and_then(|p| p.to_possible_value()).map(|p| p.get_name().to_owned());
        let file = self.token_file.as_ref().map(|path| path.to_string_lossy().into_owned());
        let given = [
            ("--engine", Some(self.engine.clone()).filter(|engine| engine != "cpu")),
            ("--launch", self.launch.clone()),
            ("--python", self.python.clone()),
            ("--precision", precision),
            ("--token-file", file),
        ];
        let given = given.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value?]));
        given.flatten().collect()
    }

    /// Refuses options that this engine has no use for.
    fn refuse(&self, engine: &str, options: &[&str]) -> anyhow::Result<()> {
        let given = |option: &str| match option {
            "launch" => self.launch.is_some(),
            "python" => self.python.is_some(),
            "precision" => self.precision.is_some(),
            _ => self.token_file.is_some(),
        };
        match options.iter().find(|option| given(option)) {
            Some(option) => Err(Usage::error(format!("--{option} means nothing to the engine {engine}"))),
            None => Ok(()),
        }
    }

    fn launch(&self, threads: Option<usize>) -> Launch {
        let mut options = Vec::new();
        let precision = self.precision.and_then(|p| p.to_possible_value());
        if let Some(precision) = precision {
            options.extend(["--precision".to_owned(), precision.get_name().to_owned()]);
        }
        if let Some(threads) = threads {
            options.extend(["--threads".to_owned(), threads.to_string()]);
        }
        let words = self.launch.as_deref().unwrap_or_default().split_whitespace();
        Launch { python: self.interpreter(), launcher: words.map(str::to_owned).collect(), options }
    }

    /// `--python`, else that of the active virtual environment, else the first `python3` on the path.
    fn interpreter(&self) -> String {
        let active = || {
            let folder = PathBuf::from(std::env::var_os("VIRTUAL_ENV")?);
            let place = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
            Some(folder.join(place).to_string_lossy().into_owned())
        };
        self.python.clone().or_else(active).unwrap_or_else(|| "python3".to_owned())
    }

    /// The token of a running worker. It is never on the command line, which others on the machine can read.
    fn token(&self) -> anyhow::Result<String> {
        if let Some(path) = &self.token_file {
            let text = std::fs::read_to_string(path);
            return Ok(text.with_context(|| format!("cannot read {}", path.display()))?.trim().to_owned());
        }
        let missing =
            || Usage::error(format!("a running worker needs its token: set {TOKEN} or give --token-file"));
        std::env::var(TOKEN).map_err(|_| missing())
    }
}
