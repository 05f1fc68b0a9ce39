//! The commands, in the order in which `--help` lists them.

mod check;
mod choice;
mod compare;
mod completions;
mod contexts;
mod eval;
mod export;
mod ls;
mod model;
mod plan;
mod problems;
mod recipe;
mod report;
mod responses;
mod run;
mod sample;
#[cfg(feature = "serve")]
mod serve;
mod show;
mod tokenizer;
mod verify;
mod world;

use std::ffi::OsString;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default())
    .usage(AnsiColor::Yellow.on_default())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// A laboratory for how pre-training, mid-training and reinforcement learning shape a small language model
///
/// Tercet generates problems, trains models, verifies every step of every solution, and reports with intervals what
/// each stage changed. A recipe asks one question. `tercet run` answers it and writes a report.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, styles = STYLES, propagate_version = true)]
#[command(after_help = "Exit codes: 0 success, 1 failure, 2 wrong usage or a wrong recipe.

Examples:
  tercet run recipes/quickstart.toml       problems, tokenizer, three stages, evaluation, report
  tercet plan recipes/quickstart.toml      the cost of that run
  tercet show --op 4 --context zoo         one problem with its graph and its solution")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Plan(plan::Args),
    Problems(problems::Args),
    Contexts(contexts::Args),
    Show(show::Args),
    Verify(verify::Args),
    Sample(sample::Args),
    Eval(eval::Args),
    Ls(ls::Args),
    Check(check::Args),
    Report(report::Args),
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    #[command(subcommand)]
    Export(export::Command),
    Compare(compare::Args),
    #[command(subcommand)]
    Tokenizer(tokenizer::Command),
    Completions(completions::Args),
}

/// Runs what was asked for. `called` is the whole command line.
pub(crate) fn run(cli: Cli, called: &[OsString]) -> anyhow::Result<()> {
    match cli.command {
        Command::Run(args) => run::run(&args, called),
        Command::Plan(args) => plan::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Eval(args) => eval::run(&args, called),
        Command::Ls(args) => ls::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Problems(args) => problems::run(&args),
        Command::Contexts(args) => contexts::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Export(command) => export::run(&command),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Tokenizer(command) => tokenizer::run(&command),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Version of the program, with the source revision if it was built from a checkout.
pub fn revision() -> String {
    match option_env!("TERCET_REVISION") {
        Some(revision) => format!("{} ({revision})", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    }
}
