//! `tercet compare`

mod difference;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use runs::records::Manifest;

use crate::failure::Usage;
use crate::output::Output;

/// Compare two run folders, byte by byte
///
/// Everything that is a function of recipe and seed is compared: the resolved recipe, the data, and of every
/// stage its metrics, rollouts, checkpoints, evaluations and exposure. Timings, the report and the command
/// line that made the run are not. For each file that differs it says what differs first: the step and the
/// metric, the problem of an evaluation, the tensor of a checkpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet compare runs/a runs/b
  tercet compare --assert-equal runs/a runs/b     exit code 1 if anything differs")]
pub(crate) struct Args {
    /// A run folder
    left: PathBuf,
    /// Another
    right: PathBuf,
    /// Fail if the runs differ
    #[arg(long)]
    assert_equal: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let manifests = [manifest(&args.left)?, manifest(&args.right)?];
    let mut output = Output::stdout();
    let [a, b] = &manifests;
    if a.recipe_hash != b.recipe_hash {
        writeln!(output, "recipes differ: {} and {}", short(&a.recipe_hash), short(&b.recipe_hash))?;
    }
    let files: BTreeSet<PathBuf> = [&args.left, &args.right]
        .into_iter()
        .map(|run| files(run))
        .collect::<Result<Vec<_>, _>>()?
        .concat()
        .into_iter()
        .collect();
    let mut files: Vec<PathBuf> = files.into_iter().collect();
    let stages: Vec<&String> = manifests.iter().flat_map(|m| &m.runs).flat_map(|r| &r.stages).collect();
    files.sort_by_key(|file| rank(file, &stages));

    let mut different = 0;
    for file in &files {
        let [left, right] = [&args.left, &args.right].map(|run| run.join(file));
        if let Some(difference) = difference::first(&left, &right)? {
            different += 1;
            writeln!(output, "{}: {difference}", file.display())?;
        }
    }
    if different == 0 {
        writeln!(output, "equal: {} files", files.len())?;
    }
    output.finish()?;
    if args.assert_equal && different > 0 {
        anyhow::bail!("{different} of {} files differ", files.len());
    }
    Ok(())
}

fn manifest(run: &Path) -> anyhow::Result<Manifest> {
    let path = run.join("manifest.json");
    if !path.is_file() {
        return Err(Usage::error(format!("{} is no run folder: it has no manifest.json", run.display())));
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// What a run folder holds that does depend on the clock or on how it was called.
fn irreproducible(name: &str) -> bool {
    matches!(name, "timings.jsonl" | "manifest.json" | "report.html" | ".lock")
}

/// All files to compare, relative to the run.
fn files(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = run.join(&folder);
        let entries = fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
            let relative = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(relative);
            } else if !irreproducible(&entry.file_name().to_string_lossy()) {
                found.push(relative);
            }
        }
    }
    Ok(found)
}

/// Causes before effects: the recipe, the data, then the stages in their order, each from its description
/// over its metrics to its evaluations.
fn rank(file: &Path, stages: &[&String]) -> (usize, usize, usize, PathBuf) {
    let parts: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let place = match parts.first().map(String::as_str) {
        // Contexts of the recipe's own are TOML as well.
        _ if file.extension().is_some_and(|extension| extension == "toml") => 0,
        Some("data") => 1,
        Some("stages") => 2,
        _ => 3,
    };
    let stage = parts.get(1).and_then(|name| stages.iter().position(|stage| *stage == name));
    let order =
        ["stage.json", "metrics.jsonl", "rollouts", "checkpoints", "evals", "exposure.json", "done.json"];
    let within = parts.get(2).and_then(|name| order.iter().position(|known| known == name));
    (place, stage.unwrap_or(usize::MAX), within.unwrap_or(order.len()), file.to_owned())
}
