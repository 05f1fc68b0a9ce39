//! Help, completions, usage errors.

use std::io::Read as _;
use std::process::Stdio;

use crate::{command, temporary, tercet};

#[test]
fn help_goes_to_stdout_and_names_every_command_with_examples() {
    let dir = temporary();
    let help = tercet(dir.path(), &["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.stderr.is_empty());
    assert!(help.stdout.contains("Examples:"));
    for name in commands() {
        let help = tercet(dir.path(), &[&name, "--help"]);
        assert_eq!(help.code, 0, "{name}");
        if !subcommands().iter().any(|(parent, _)| *parent == name) {
            assert!(help.stdout.contains("Examples:"), "{name} has no example:\n{}", help.stdout);
        }
    }
}

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = tercet(temporary().path(), &["--help"]).stdout;
    let list =
        help.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next()).unwrap_or_default();
    let name = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    list.lines().filter_map(name).filter(|name| !name.is_empty() && name != "help").collect()
}

/// Commands that have commands of their own.
fn subcommands() -> [(&'static str, &'static [&'static str]); 2] {
    [("tokenizer", &["train", "inspect"]), ("export", &["hf", "verl", "llama-factory", "trl"])]
}

/// `docs/cli.md` is `--help` of every command. `TERCET_UPDATE=1 cargo test -p tercet` rewrites it.
#[test]
fn the_reference_is_what_help_says() {
    use std::fmt::Write as _;
    let dir = temporary();
    let mut page = "# The command line\n\nWritten by `TERCET_UPDATE=1 cargo test -p tercet` from `--help`; \
                    a test compares.\n"
        .to_owned();
    let mut add = |args: &[&str]| {
        let help = tercet(dir.path(), &[args, &["--help"]].concat()).stdout;
        let title = [&["tercet"], args].concat().join(" ");
        let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        let _ = write!(page, "\n## {title}\n\n```text\n{}\n```\n", help.join("\n"));
    };
    add(&[]);
    for name in commands() {
        add(&[&name]);
        for (_, inner) in subcommands().iter().filter(|(parent, _)| *parent == name) {
            inner.iter().for_each(|inner| add(&[&name, inner]));
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    if std::env::var_os("TERCET_UPDATE").is_some() {
        std::fs::write(path, &page).expect("docs can be written");
    }
    let written = std::fs::read_to_string(path).expect("docs/cli.md exists");
    assert!(written == page, "docs/cli.md is out of date: run TERCET_UPDATE=1 cargo test -p tercet");
}

#[test]
fn bad_usage_ends_with_2_and_a_sentence() {
    let dir = temporary();
    insta::assert_snapshot!(tercet(dir.path(), &["compare", "a", "b"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: a is no run folder: it has no manifest.json
    ");
    assert_eq!(tercet(dir.path(), &["frobnicate"]).code, 2);
    assert_eq!(tercet(dir.path(), &["compare", "--nonsense"]).code, 2);
}

#[test]
fn completions_are_written_for_every_shell() {
    let dir = temporary();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = tercet(dir.path(), &["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(script.stdout.contains("assert-equal"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = temporary();
    let mut child = command(dir.path(), &["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    assert_eq!((child.wait().expect("it ends").code(), said.as_str()), (Some(0), ""));
}

#[test]
fn it_starts_at_once() {
    #[expect(clippy::disallowed_methods, reason = "the time to start is what is tested")]
    let start = std::time::Instant::now();
    tercet(temporary().path(), &["--version"]);
    // The promise is 0.2 s; a loaded machine gets ten times that before the test fails.
    assert!(start.elapsed().as_secs_f64() < 2.0);
}
