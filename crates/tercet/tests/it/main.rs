//! The program as its users see it: what it prints, where, and how it ends.

mod architecture;
mod cases;
mod check;
mod cli;
mod compare;
mod elsewhere;
mod given;
mod golden;
mod problems;
mod run;
mod tables;
mod tokenizer;
mod tutorial;
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
    /// All of it, for snapshots; lists of what there is are cut, they grow elsewhere.
    fn all(&self) -> String {
        let all = format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr);
        let mut short = String::new();
        for line in all.lines() {
            let lists = ["expected one of ", "There are: ", "known are "];
            let end = lists.iter().find_map(|list| Some(line.find(list)? + list.len()));
            short.push_str(end.map_or(line, |end| &line[..end]).trim_end());
            short.push_str(if end.is_some() { " …\n" } else { "\n" });
        }
        short
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
