//! The engine beside its peers. See `docs/performance.md` for the commands and what they printed.

mod child;
mod interchange;
mod memory;
mod operations;
mod ours;
mod peers;
mod shapes;
mod stats;
mod table;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The engine beside PyTorch and transformers")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Speed, memory and start-up of ours and theirs, in turn on this machine
    Peers(peers::Args),
    /// Write a checkpoint with what Tercet computes for it, for bench/peers/check_*.py to compare
    Interchange(interchange::Args),
    /// Where a training step's time goes, against the matrix kernel's ceiling
    Operations(operations::Args),
    /// What one core's multiply-adds reach at best, in f32 and in bf16
    Units,
    /// One side of a comparison: speaks the protocol of bench/peers/peer.py
    #[command(hide = true)]
    Ours(ours::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Peers(args) => peers::run(&args),
        Command::Interchange(args) => interchange::run(&args),
        Command::Operations(args) => operations::run(&args),
        Command::Units => {
            units::run();
            Ok(())
        }
        Command::Ours(args) => ours::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
