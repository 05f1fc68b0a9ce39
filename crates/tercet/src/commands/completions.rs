//! `tercet completions`

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::output::Output;

/// Print shell completions
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet completions bash > ~/.local/share/bash-completion/completions/tercet
  tercet completions zsh > ~/.zfunc/_tercet
  tercet completions fish > ~/.config/fish/completions/tercet.fish")]
pub(crate) struct Args {
    /// The shell to complete in
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // Into memory first: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "tercet", &mut script);
    let mut output = Output::stdout();
    output.write_all(&script)?;
    output.finish()
}
