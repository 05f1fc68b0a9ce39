//! `tercet serve`

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::failure::Usage;
use crate::interrupt;
use crate::progress::say;

/// Serve a live page of runs
///
/// One page shows all runs of a folder with their curves, results and samples as they appear. It only reads.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet serve runs
  tercet serve runs --port 8000 --address 0.0.0.0      reachable from other machines")]
pub(crate) struct Args {
    /// Folder that holds the run folders
    #[arg(default_value = "runs")]
    runs: PathBuf,
    /// Port to listen on; 0 picks a free one
    #[arg(long, value_name = "N", default_value_t = 7070)]
    port: u16,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.runs.is_dir() {
        return Err(Usage::error(format!("there is no folder {}", args.runs.display())));
    }
    if args.runs.join("manifest.json").is_file() {
        let run = args.runs.display();
        return Err(Usage::error(format!("{run} is a run folder: serve the folder that it lies in")));
    }
    let stop = interrupt::listen("closing the page")?;
    let ready = |address: SocketAddr| say(&format!("http://{address}/   (Ctrl-C ends)"));
    report::serve::serve(&args.runs, SocketAddr::new(args.address, args.port), &stop, ready)?;
    Ok(())
}
