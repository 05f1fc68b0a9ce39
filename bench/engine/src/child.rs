//! A side of the comparison in a process of its own, and the lines it speaks (see `bench/peers/peer.py`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The model stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Built {
    /// Trainable parameters.
    pub(crate) parameters: usize,
    /// Resident bytes before the model was made.
    pub(crate) base: Option<u64>,
    /// What runs there.
    pub(crate) versions: String,
}

/// The first steps are done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Warm {
    /// How long warm-up took, compilation included.
    pub(crate) warm_up_seconds: f64,
    /// Loss of the last step, if it has one.
    pub(crate) loss: Option<f64>,
}

/// One round.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) seconds: f64,
    /// Of all threads together.
    pub(crate) core_seconds: Option<f64>,
    pub(crate) tokens: usize,
    /// What our matrix kernel reaches just then, in operations per second.
    #[serde(default)]
    pub(crate) ceiling: Option<f64>,
    /// Highest resident bytes since warm-up.
    pub(crate) peak: Option<u64>,
}

/// A running side.
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) built: Built,
    /// From the start of the process until the model stood.
    pub(crate) startup_seconds: f64,
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Side {
    /// Starts a side and waits until its model stands.
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Side> {
        let start = Instant::now();
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().to_string_lossy()))?;
        let to = process.stdin.take();
        let from = process.stdout.take().map(BufReader::new).context("no pipe from the process")?;
        let built = Built { parameters: 0, base: None, versions: String::new() };
        let mut side = Side { name: name.to_owned(), built, startup_seconds: 0.0, process, to, from };
        side.built = side.line()?;
        side.startup_seconds = start.elapsed().as_secs_f64();
        Ok(side)
    }

    /// Waits until the side is warm.
    pub(crate) fn warm(&mut self) -> Result<Warm> {
        let warm: Warm = self.line()?;
        if warm.loss.is_some_and(|loss| !loss.is_finite()) {
            bail!("{}: the loss is {:?} after warm-up", self.name, warm.loss);
        }
        Ok(warm)
    }

    /// Has it work for at least so many seconds.
    pub(crate) fn round(&mut self, seconds: f64) -> Result<Round> {
        let to = self.to.as_mut().context("the process is closed")?;
        writeln!(to, "{seconds}").with_context(|| format!("{} does not listen", self.name))?;
        to.flush()?;
        self.line()
    }

    fn line<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        if line.is_empty() {
            let status = self.process.wait()?;
            bail!("{} ended ({status}) before it answered", self.name);
        }
        serde_json::from_str(&line).with_context(|| format!("{} answered {line:?}", self.name))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // End of input ends a side in good order; one that failed is gone already.
        drop(self.to.take());
        let _ = self.process.wait();
    }
}
