//! `tercet plan`

pub(super) mod rates;

use std::io::Write as _;
use std::path::PathBuf;

use runs::MatchedBy;
use runs::records::Cost;
use train::recipe::Recipe;
use train::run::plan::{ArmPlan, Plan, Rates, StagePlan};

use super::model;
use super::recipe::RecipeArgs;
use crate::engine::{Engine, EngineArgs};
use crate::failure::printable;
use crate::output::Output;
use crate::progress::{duration, say};
use crate::threads::Threads;

/// Estimate what a recipe costs, without running it
///
/// Prints the stages with their steps, tokens and floating-point operations, then time, memory and disk. `nominal`
/// counts the paper's token equivalents, which charge every rollout for its full length. `real` counts the tokens that
/// are processed if responses are as long as gold solutions and all of them are trained on. (Without a KL term, groups
/// with equal rewards are skipped, and reinforcement learning costs less.) The time is an estimate from one second of
/// training and sampling on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet plan recipes/quickstart.toml
  tercet plan recipes/quickstart.toml --set stage.pre.tokens=60e6 --untimed
  tercet plan recipes/quickstart.toml --json | jq '.nodes[] | {name, parents, state}'")]
pub(crate) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Do not measure this machine, and print no time
    #[arg(long)]
    untimed: bool,
    /// Print the plan as JSON. Its `nodes` are the graph of the run: every stage of every arm and seed once
    #[arg(long)]
    json: bool,
    /// Run folder to look into: how far is each stage? By default runs/NAME
    #[arg(long, value_name = "DIR", requires = "json")]
    out: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    threads: Threads,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let threads = args.threads.apply()?;
    let recipe = args.recipe.open()?;
    let factory = model::factory(&recipe, threads)?;
    // Without a measurement only this program's own engine can be asked what it can open.
    let started =
        if args.untimed && !args.engine.is_cpu() { None } else { Some(args.engine.start(factory)?) };
    if let Some(engine) = &started {
        train::run::check_models(&recipe, &*engine.factory)?;
    }
    let timed = started.as_ref().filter(|_| !args.untimed);
    let rates = timed.map(|engine| rates::measure(&recipe, &*engine.factory)).transpose()?;
    let device = started.as_ref().and_then(Engine::memory);
    let engine = match started {
        Some(engine) => engine.info,
        None => args.engine.planned()?,
    };
    let mut plan = Plan::on(&recipe, rates, engine.as_ref())?;
    for warning in &plan.warnings {
        say(&format!("warning: {warning}"));
    }
    let mut output = Output::stdout();
    if args.json {
        let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&recipe.document.name));
        plan.look(&recipe, engine.as_ref(), &folder)?;
        serde_json::to_writer_pretty(&mut output, &plan)?;
        writeln!(output)?;
    } else {
        write(&mut output, &recipe, &plan, rates, device)?;
    }
    output.finish()
}

fn write(
    output: &mut Output,
    recipe: &Recipe,
    plan: &Plan,
    rates: Option<Rates>,
    device: Option<u64>,
) -> anyhow::Result<()> {
    let question = recipe.document.question.split("\n\n").next().unwrap_or_default();
    writeln!(output, "{}: {}\n", recipe.document.name, printable(&question.replace('\n', " ")))?;
    for arm in &plan.arms {
        writeln!(output, "arm {}, {:.2} M parameters", arm.name, arm.parameters as f64 / 1e6)?;
        let header = [
            "stage",
            "steps",
            "trained",
            "sampled",
            "nominal",
            "real",
            "PFLOP",
            "share",
            "evaluated",
            "time",
        ];
        let mut rows = vec![header.map(str::to_owned)];
        rows.extend(arm.stages.iter().map(|stage| row(stage, &arm.total)));
        rows.push(total_row(arm));
        for line in report::columns(&rows, |column| column > 0).lines() {
            writeln!(output, "  {line}")?;
        }
        writeln!(output)?;
    }
    writeln!(output, "all {} seed(s), shared stages once: {}", plan.seeds, cost(&plan.total))?;
    writeln!(output, "tokens sampled for evaluation: {}", count(plan.evaluation_tokens))?;
    for check in &plan.matched {
        let word = if check.matches { "match" } else { "do NOT match" };
        let by = match check.by {
            MatchedBy::NominalTokens => "nominal tokens",
            MatchedBy::Flops => "operations",
        };
        let (arms, apart) = (check.arms.join(", "), 100.0 * check.difference);
        writeln!(output, "{arms} {word}: {apart:.2}% apart in {by}")?;
    }
    let of = device.map_or_else(String::new, |has| format!(" (each device has {})", bytes(has)));
    writeln!(output, "memory up to {}{of}, disk {}", bytes(plan.memory_bytes), bytes(plan.disk_bytes))?;
    if let (Some(seconds), Some(rates)) = (plan.seconds, rates) {
        writeln!(
            output,
            "time about {} at {} tokens/s trained and {} sampled, measured just now",
            duration(seconds),
            count(rates.train_tokens_per_second as u64),
            count(rates.sample_tokens_per_second as u64),
        )?;
    }
    Ok(())
}

fn row(stage: &StagePlan, arm: &Cost) -> [String; 10] {
    let name = if stage.shared { format!("{} (shared)", stage.name) } else { stage.name.clone() };
    let evaluated = count(stage.evaluation_tokens);
    let time = stage.seconds.map_or_else(|| "–".to_owned(), duration);
    cells(name, stage.steps, &stage.cost, arm, evaluated, time)
}

fn total_row(arm: &ArmPlan) -> [String; 10] {
    let steps = arm.stages.iter().map(|stage| stage.steps).sum();
    let evaluated = arm.stages.iter().map(|stage| stage.evaluation_tokens).sum();
    let seconds: Option<f64> = arm.stages.iter().map(|stage| stage.seconds).sum();
    let time = seconds.map_or_else(|| "–".to_owned(), duration);
    cells("together".to_owned(), steps, &arm.total, &arm.total, count(evaluated), time)
}

fn cells(name: String, steps: u64, cost: &Cost, arm: &Cost, evaluated: String, time: String) -> [String; 10] {
    [
        name,
        steps.to_string(),
        count(cost.trained_tokens),
        count(cost.sampled_tokens),
        count(cost.nominal_tokens as u64),
        count(cost.real_tokens as u64),
        format!("{:.3}", cost.flops / 1e15),
        format!("{:.1}%", 100.0 * cost.flops / arm.flops),
        evaluated,
        time,
    ]
}

fn cost(cost: &Cost) -> String {
    format!(
        "{} tokens trained, {} sampled, {:.3} PFLOP, {} tokens nominal, {} real",
        count(cost.trained_tokens),
        count(cost.sampled_tokens),
        cost.flops / 1e15,
        count(cost.nominal_tokens as u64),
        count(cost.real_tokens as u64),
    )
}

/// 1234567 as `1.23 M`.
fn count(n: u64) -> String {
    let n = n as f64;
    match n {
        _ if n >= 1e9 => format!("{:.2} G", n / 1e9),
        _ if n >= 1e6 => format!("{:.2} M", n / 1e6),
        _ if n >= 1e4 => format!("{:.1} k", n / 1e3),
        _ => format!("{n}"),
    }
}

fn bytes(n: u64) -> String {
    let n = n as f64;
    if n >= 1e9 { format!("{:.2} GB", n / 1e9) } else { format!("{:.1} MB", n / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            [999, 12_345, 1_234_567, 9_999_999_999].map(count),
            ["999", "12.3 k", "1.23 M", "10.00 G"]
        );
        assert_eq!([1_500_000, 2_000_000_000].map(bytes), ["1.5 MB", "2.00 GB"]);
    }
}
