//! The program as its users see it: what it prints, where, and how it ends.

mod cli;
mod compare;
mod problems;
mod tokenizer;
mod verify;

use std::path::Path;
use std::process::{Command, Output};

/// What a call of the program left: exit code, stdout, stderr.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// All of it, for snapshots.
    fn all(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tercet"));
    command.args(args).current_dir(dir).env("NO_COLOR", "1").env_remove("COLUMNS");
    command
}

fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `tercet args` in a folder.
fn tercet(dir: &Path, args: &[&str]) -> Ended {
    ended(&command(dir, args).output().expect("the program starts"))
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}
