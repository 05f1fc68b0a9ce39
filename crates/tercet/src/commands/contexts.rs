//! `tercet contexts`

use std::io::Write as _;

use problems::Contexts;

use crate::failure::Usage;
use crate::output::Output;

/// List the built-in contexts, or print the file of one
///
/// A context is the story that problems are told in: names and phrases in a TOML file. The file of a built-in context is
/// a good start for one of your own, which --context-file reads.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet contexts
  tercet contexts --print zoo > garage.toml
  tercet problems --context-file garage.toml -n 3 --format text")]
pub(crate) struct Args {
    /// Print the TOML file of this context
    #[arg(long, value_name = "NAME")]
    print: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let contexts = Contexts::builtin();
    let mut output = Output::stdout();
    match &args.print {
        Some(name) => {
            let text = Contexts::builtin_file(name).ok_or_else(|| {
                let known = contexts.names().collect::<Vec<_>>().join(", ");
                Usage::error(format!("there is no context `{name}`; known are {known}"))
            })?;
            output.write_all(text.as_bytes())?;
        }
        None => {
            for name in contexts.names() {
                writeln!(output, "{name}")?;
            }
        }
    }
    output.finish()
}
