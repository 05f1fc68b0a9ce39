//! `tercet ls`

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use runs::{Folder, Stage, checkpoints};

use crate::failure::Usage;
use crate::output::Output;

/// List the stages of a run with their arms, seeds and checkpoints
///
/// A checkpoint of step 100 is the folder stages/STAGE/checkpoints/step-000100 of the run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet ls runs/quickstart")]
pub(crate) struct Args {
    /// Run folder
    run: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.run.join("manifest.json").is_file() {
        return Err(Usage::error(format!(
            "{} is no run folder: it has no manifest.json",
            args.run.display()
        )));
    }
    let folder = Folder::read_training(&args.run)?;
    let mut rows =
        vec![["stage", "arms", "seed", "steps", "state", "checkpoints"].map(str::to_owned).to_vec()];
    for (name, (arms, seed)) in stages(&folder) {
        let stage = folder.stages.get(name);
        let checkpoints = checkpoints::list(&args.run.join("stages").join(name))?;
        let checkpoints: Vec<String> = checkpoints.iter().map(|(step, _)| step.to_string()).collect();
        let steps = stage.map_or_else(String::new, |stage| stage.info.steps.to_string());
        rows.push(vec![
            name.to_owned(),
            arms.join(", "),
            seed.to_string(),
            steps,
            state(stage),
            checkpoints.join(", "),
        ]);
    }
    let mut output = Output::stdout();
    output.write_all(report::columns(&rows, |column| matches!(column, 2 | 3)).as_bytes())?;
    output.finish()
}

/// The stages of the manifest in its order, each with its arms and its seed.
fn stages(folder: &Folder) -> Vec<(&str, (Vec<&str>, u64))> {
    let mut order = Vec::new();
    let mut known: BTreeMap<&str, (Vec<&str>, u64)> = BTreeMap::new();
    for run in &folder.manifest.runs {
        for name in &run.stages {
            let (arms, _) = known.entry(name).or_insert_with(|| {
                order.push(name.as_str());
                (Vec::new(), run.seed)
            });
            arms.push(&run.arm);
        }
    }
    order.into_iter().filter_map(|name| Some((name, known.remove(name)?))).collect()
}

fn state(stage: Option<&Stage>) -> String {
    match stage {
        None => "not started".to_owned(),
        Some(stage) if stage.done.is_some() => "finished".to_owned(),
        Some(stage) => format!("after step {}", stage.metrics.last().map_or(0, |row| row.step)),
    }
}
