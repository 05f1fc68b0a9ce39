//! The command line. Each command has one file under `commands`. This file calls them and hands their errors to the one
//! printer. Data goes to stdout, everything else to stderr.
//!
//! ```no_run
//! let code = tercet::main(["tercet", "plan", "recipes/quickstart.toml"]);
//! ```

mod commands;
mod engine;
mod failure;
mod formats;
mod handover;
mod interrupt;
mod output;
mod pieces;
mod progress;
mod threads;
mod written;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

pub use commands::revision;
pub use failure::sentence;
pub use written::{BLOCK, Written};

/// Runs the program with these arguments; the first is the program's own name. Call it once per process: it sets the
/// thread pool and the handler of Ctrl-C.
pub fn main(args: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let cli = match commands::Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version come here, too. A reader that has gone is no error.
            let _ = asked.print();
            return ExitCode::from(u8::try_from(asked.exit_code()).unwrap_or(2));
        }
    };
    match commands::run(cli, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
