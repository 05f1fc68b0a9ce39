//! The command line. One file per command under `commands`; here is only how they are called and how their
//! errors are printed. Data goes to stdout, everything else to stderr.

mod commands;
mod failure;
mod interrupt;
mod output;
mod pieces;
mod progress;
mod threads;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
