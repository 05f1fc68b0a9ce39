//! `tercet compare`

mod difference;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use runs::files;
use runs::records::Manifest;

use crate::failure::Usage;
use crate::output::Output;

/// Compare two run folders byte by byte
///
/// The comparison covers everything that recipe and seed determine: the resolved recipe, the data, the results, and of
/// every stage its metrics, rollouts, checkpoints, evaluations and exposure. It never covers timings, event files,
/// report.html, the command that made the run, and which process made which stage. For each file that differs, the first difference is named: the step
/// and metric, the problem of an evaluation, the tensor of a checkpoint.
///
/// Two versions of the program can train equal models and describe them in other words. --leave-out tells which
/// descriptions may differ.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet compare runs/a runs/b
  tercet compare --assert-equal runs/a runs/b     exit code 1 if anything differs
  tercet compare --assert-equal --leave-out revision,report,results,figures runs/old runs/new
                                                  the same training by two versions of the program")]
pub(crate) struct Args {
    /// A run folder
    left: PathBuf,
    /// Another run folder
    right: PathBuf,
    /// Exit with 1 if the runs differ
    #[arg(long)]
    assert_equal: bool,
    /// Ignore what may differ between two versions of the program
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    leave_out: Vec<LeaveOut>,
}

/// What may differ between two versions of the program that train alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LeaveOut {
    /// The version of the program, wherever results name it
    Revision,
    /// The page of results, results.md
    Report,
    /// The table of results, results.json
    Results,
    /// The drawings and their numbers in figures/
    Figures,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (text, different, files) = compare(args)?;
    let mut output = Output::stdout();
    let written = output.write_all(text.as_bytes()).map_err(Into::into).and_then(|()| output.finish());
    // The verdict is the exit code, whoever reads the rest.
    if args.assert_equal && different > 0 {
        anyhow::bail!("{different} of {files} files differ");
    }
    written
}

/// The differences as text, how many files differ, and how many were compared.
fn compare(args: &Args) -> anyhow::Result<(String, usize, usize)> {
    let manifests = [manifest(&args.left)?, manifest(&args.right)?];
    let [a, b] = &manifests;
    let mut text = String::new();
    if a.recipe_hash != b.recipe_hash {
        writeln!(text, "recipes differ: {} and {}", short(&a.recipe_hash), short(&b.recipe_hash))?;
    }
    let runs = [&args.left, &args.right];
    let files: BTreeSet<PathBuf> = runs
        .into_iter()
        .map(|run| files(run, &args.leave_out))
        .collect::<Result<Vec<_>, _>>()?
        .concat()
        .into_iter()
        .collect();
    let mut files: Vec<PathBuf> = files.into_iter().collect();
    let stages: Vec<&String> = manifests.iter().flat_map(|m| &m.runs).flat_map(|r| &r.stages).collect();
    files.sort_by_key(|file| rank(file, &stages));

    let names = |file: &Path| file.starts_with("results.json") || file.starts_with("results.md");
    let mut different = 0;
    for file in &files {
        let revisions = args.leave_out.contains(&LeaveOut::Revision) && names(file);
        let revisions = revisions.then_some([a.revision.as_str(), b.revision.as_str()]);
        let [left, right] = runs.map(|run| run.join(file));
        if let Some(difference) = difference::first(&left, &right, revisions)? {
            different += 1;
            writeln!(text, "{}: {difference}", file.display())?;
        }
    }
    if different == 0 {
        writeln!(text, "equal: {} files", files.len())?;
    }
    Ok((text, different, files.len()))
}

fn manifest(run: &Path) -> anyhow::Result<Manifest> {
    let path = run.join("manifest.json");
    if !path.is_file() {
        return Err(Usage::error(format!("{} is no run folder: it has no manifest.json", run.display())));
    }
    Ok(files::read_json(&path)?)
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Whether a file, relative to its run, is left out: it depends on the clock, on who did the work or on how the run was
/// called, or the user says so.
fn is_left_out(file: &Path, leave_out: &[LeaveOut]) -> bool {
    let said = |what, name: &str| leave_out.contains(&what) && file.starts_with(name);
    file.file_name().is_some_and(|name| name == "timings.jsonl" || name == "maker.json")
        || ["manifest.json", "report.html", ".lock", ".locks", "tensorboard"]
            .iter()
            .any(|name| file.starts_with(name))
        || files::is_unfinished(file)
        || said(LeaveOut::Report, "results.md")
        || said(LeaveOut::Results, "results.json")
        || said(LeaveOut::Figures, "figures")
}

/// All files to compare, relative to the run.
fn files(run: &Path, leave_out: &[LeaveOut]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in files::list(&folder)? {
            let relative = path.strip_prefix(run)?.to_owned();
            if is_left_out(&relative, leave_out) {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
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
