//! The roofline of a training step: each operation's rate over what the matrix kernel reaches at best.

use std::time::Instant;

use anyhow::Result;
use tercet_engine::CpuFactory;

use crate::shapes;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// T, S or P
    #[arg(long, default_value = "T")]
    shape: String,
    /// Threads; all cores by default
    #[arg(long)]
    threads: Option<usize>,
    /// Steps to measure
    #[arg(long, default_value_t = 10)]
    steps: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let shape = shapes::shape(&args.shape)?;
    let mut batch = tercet_learner::Batch::default();
    for row in shapes::tokens(shape.train.rows, shape.train.length, shape.model.vocab()) {
        batch.push(&row);
    }
    let start = Instant::now();
    let now = || start.elapsed().as_secs_f64();
    let factory = CpuFactory::with_threads(args.threads);
    let config = shape.model.config(shape.train.length);
    let profile = tercet_engine::profile(factory, &config, &batch, args.steps, &now)?;
    let (giga, steps) = (1e-9, args.steps as f64);
    println!(
        "Shape {}, {} tokens a step, {}; ceiling of the matrix kernel {:.0} GFLOP/s\n",
        args.shape,
        batch.len(),
        tercet_engine::instruction_set(),
        profile.ceiling * giga
    );
    println!("| operation | ms a step | share | GFLOP/s | of the ceiling |");
    println!("|---|--:|--:|--:|--:|");
    let total = tercet_engine::Operation {
        name: "all",
        seconds: profile.seconds,
        flops: profile.operations.iter().map(|o| o.flops).sum(),
    };
    for o in profile.operations.iter().chain([&total]) {
        let rate = o.flops / o.seconds;
        let rates = if o.flops > 0.0 {
            format!("{:.0} | {:.0}%", rate * giga, 100.0 * rate / profile.ceiling)
        } else {
            "– | –".to_owned()
        };
        let share = 100.0 * o.seconds / profile.seconds;
        println!("| {} | {:.2} | {share:.0}% | {rates} |", o.name, o.seconds / steps * 1e3);
    }
    Ok(())
}
