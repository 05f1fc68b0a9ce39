//! Starting a worker on this machine, alone or by a launcher.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
#[cfg(unix)]
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use learner::LearnerError;

/// The module that a worker is.
const MODULE: &str = "tercet.torch";

/// What a worker prints when it can be asked.
const LISTENS: &str = "tercet.torch listens at ";

/// Lines of a worker's stderr that are kept for its obituary.
const LINES: usize = 12;

/// How a worker is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// The Python interpreter.
    pub python: String,
    /// A launcher, in words: `torchrun --nproc-per-node 8`, `srun -n 8`. If it names `tercet.torch`, it is the whole
    /// command. Empty for one process.
    pub launcher: Vec<String>,
    /// Options of the worker.
    pub options: Vec<String>,
}

impl Launch {
    /// The command: program and arguments.
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        match self.launcher.first() {
            Some(first) if first == "torchrun" => {
                // The interpreter's own torchrun, which need not be on the PATH.
                words.extend([&self.python, "-m", "torch.distributed.run"].map(str::to_owned));
                words.extend_from_slice(&self.launcher[1..]);
            }
            _ => words.extend_from_slice(&self.launcher),
        }
        if !words.iter().any(|word| word == MODULE) {
            if !words.iter().any(|word| word == "torch.distributed.run" || word.ends_with("torchrun")) {
                words.push(self.python.clone());
            }
            words.extend(["-m", MODULE].map(str::to_owned));
        }
        words.push("--with-parent".to_owned());
        words.extend_from_slice(&self.options);
        words
    }

    /// Starts the worker and waits for its address.
    pub(crate) fn start(&self, token: &str, limit: Duration) -> Result<(Process, String), LearnerError> {
        let words = self.words();
        let lost = |why: String| LearnerError::Lost(format!("the worker `{}`: {why}", words.join(" ")));
        let mut command = Command::new(&words[0]);
        // Ctrl-C is for this process, which lets the step end and saves; the worker must live on until then.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command
            .args(&words[1..])
            .env("TERCET_TOKEN", token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| lost(format!("it cannot be started: {e}")))?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stderr) = child.stderr.take() {
            let said = Arc::clone(&said);
            thread::spawn(move || keep_last(stderr, &said));
        }
        let (sender, address) = channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in lines(stdout) {
                    if let Some(at) = line.find(LISTENS) {
                        let _ = sender.send(line[at + LISTENS.len()..].trim().to_owned());
                    }
                }
            });
        }
        let process = Process { stdin: child.stdin.take(), child: Mutex::new(child), said };
        match address.recv_timeout(limit) {
            Ok(url) => Ok((process, url)),
            Err(RecvTimeoutError::Timeout) => {
                Err(lost(format!("it did not begin to listen within {} s", limit.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => {
                // It has closed its output, so it ends, or has.
                process.wait(Duration::from_secs(2));
                let hint = if process.said_anything_like("No module named") {
                    " (is `tercet[torch]` installed for this interpreter?)"
                } else {
                    ""
                };
                Err(lost(format!("it ended before it listened{hint}{}", process.last_words())))
            }
        }
    }
}

/// Lines of a stream; bytes that are no text are replaced.
fn lines(stream: impl Read) -> impl Iterator<Item = String> {
    let read = BufReader::new(stream).split(b'\n').map_while(Result::ok);
    read.map(|line| String::from_utf8_lossy(&line).into_owned())
}

fn keep_last(stream: impl Read, said: &Mutex<VecDeque<String>>) {
    for line in lines(stream) {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == LINES {
            said.pop_front();
        }
        said.push_back(line);
    }
}

/// A worker that this process started. It ends when its standard input does, so also when this process is killed.
pub(crate) struct Process {
    stdin: Option<ChildStdin>,
    child: Mutex<Child>,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// How it ended, if it has, and the last that it wrote to stderr.
    pub(crate) fn last_words(&self) -> String {
        // Time for the last lines to arrive.
        self.wait(Duration::from_millis(500));
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
        let mut text = match status {
            Ok(Some(status)) => format!("; it ended with {status}"),
            _ => String::new(),
        };
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_empty() {
            text += "; its last lines:\n  ";
            text += &said.iter().map(String::as_str).collect::<Vec<_>>().join("\n  ");
        }
        text
    }

    fn said_anything_like(&self, text: &str) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|line| line.contains(text))
    }

    /// Waits until it ends, for so long at most; whether it did.
    fn wait(&self, limit: Duration) -> bool {
        const NAP: Duration = Duration::from_millis(10);
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..limit.as_millis() / NAP.as_millis() {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return true;
            }
            thread::sleep(NAP);
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        if !self.wait(Duration::from_secs(5)) {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(launcher: &str, options: &[&str]) -> String {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let options = options.iter().map(|o| (*o).to_owned()).collect();
        Launch { python: "py".to_owned(), launcher: words(launcher), options }.words().join(" ")
    }

    #[test]
    fn launchers_end_with_the_module() {
        assert_eq!(command("", &["--threads", "2"]), "py -m tercet.torch --with-parent --threads 2");
        let torchrun = command("torchrun --nproc-per-node 8", &[]);
        assert_eq!(torchrun, "py -m torch.distributed.run --nproc-per-node 8 -m tercet.torch --with-parent");
        let path = command("/opt/bin/torchrun -n 2", &[]);
        assert_eq!(path, "/opt/bin/torchrun -n 2 -m tercet.torch --with-parent");
        assert_eq!(command("srun -n 4", &[]), "srun -n 4 py -m tercet.torch --with-parent");
        let whole = command("srun -n 4 python3 -m tercet.torch --host node1", &["--precision", "bf16"]);
        assert_eq!(whole, "srun -n 4 python3 -m tercet.torch --host node1 --with-parent --precision bf16");
    }
}
