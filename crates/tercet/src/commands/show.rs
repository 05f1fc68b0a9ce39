//! `tercet show`

use std::cmp::Ordering;
use std::io::Write as _;
use std::path::PathBuf;

use problems::Problem;
use problems::verify::{Policy, explain, verify};

use super::choice;
use super::responses::problem_on;
use super::world::{Asked, Retelling, WorldArgs};
use crate::failure::Usage;
use crate::output::{self, Output};

/// Show one problem with its graph and its solution
///
/// The problem is generated, or read from a file that `tercet problems` wrote. With --response, every step of the
/// response is marked correct or wrong, and the first fault is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet show --op 5 --context zoo
  tercet show --op 5 --context zoo --in school        the same problem, told in another context
  tercet show --op 5 --context zoo --svg graph.svg    its graph as a picture
  tercet show --from edge.jsonl --line 3
  tercet show --op 2 --context terse --response ' crow zoo: j =3. </solution> <answer> 3 </answer>'")]
pub(crate) struct Args {
    #[command(flatten)]
    world: WorldArgs,
    /// Index of the problem in its cell
    #[arg(short = 'i', long, value_name = "I", default_value_t = 0)]
    index: u64,
    /// Read the problem from this JSONL file instead
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Line of that file, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1, requires = "from")]
    line: usize,
    #[command(flatten)]
    retelling: Retelling,
    /// Write the graph to this file as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// A response to judge: the text after `<solution>`
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    response: Option<String>,
    /// Rules that decide whether a response is correct
    #[arg(long, default_value = "paper", value_parser = choice::policy())]
    policy: Policy,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (world, contexts) = args.world.world()?;
    let problem = args.retelling.apply(find(args)?, &world, &contexts)?;
    if let Some(path) = &args.svg {
        runs::files::write(path, report::draw::svg(&report::draw::Dag::of_problem(&problem)).as_bytes())?;
    }
    let mut output = Output::stdout();
    describe(&mut output, &problem)?;
    if let Some(response) = &args.response {
        let verdict = verify(&problem.gold(), response, args.policy);
        writeln!(output, "\nResponse\n{}", explain(response, &verdict).trim_end())?;
    }
    output.finish()
}

fn find(args: &Args) -> anyhow::Result<Problem> {
    let Some(path) = &args.from else {
        let Asked { sequences, .. } = args.world.open()?;
        let sequence = sequences.first().ok_or_else(|| Usage::error("no op is named"))?;
        return Ok(sequence.problem(args.index));
    };
    if args.line == 0 {
        return Err(Usage::error("lines are counted from 1"));
    }
    for line in output::lines(path)? {
        let line = line?;
        match line.number.cmp(&args.line) {
            Ordering::Less => {}
            Ordering::Equal => return problem_on(&line, path),
            Ordering::Greater => {
                return Err(Usage::error(format!("line {} of {} is blank", args.line, path.display())));
            }
        }
    }
    Err(Usage::error(format!("{} has no line {}", path.display(), args.line)))
}

fn describe(output: &mut Output, problem: &Problem) -> anyhow::Result<()> {
    let stats = problem.stats();
    writeln!(
        output,
        "Problem {} · {} · depth {}, width {}, {} arithmetic operations, {} distractors",
        problem.id, problem.cell, stats.depth, stats.width, stats.arithmetic_operations, stats.distractors
    )?;
    writeln!(output, "\n{} {}", problem.problem.trim(), problem.question.trim())?;
    writeln!(output, "\nGraph\n{}", report::draw::text(&report::draw::Dag::of_problem(problem)).trim_end())?;
    writeln!(output, "Solution\n{}", problem.solution.trim())?;
    Ok(())
}
