//! Several runs as one: runs of one recipe are pooled over their seeds, runs of different recipes stand beside each other
//! as arms.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use runs::records::Manifest;
use runs::{Folder, RecipeFile, Stage, files};

use crate::error::ReportError;
use crate::html;
use crate::table::{self, Table};

/// Writes one report of several runs into the folder `out`: `report.html`, `results.json`, `results.md`, `recipe.toml`
/// and `figures/`, as [`html::write()`] does for one run. Returns the report's path and its table.
///
/// Runs are of one recipe if their resolved recipes differ in nothing but the seeds. Claims are decided where all runs are
/// of one recipe; otherwise each run's own report has its verdicts.
///
/// # Errors
/// If a run cannot be read, the folder cannot be written, or there is no arm `base` (arms of several recipes are called
/// `RUN` or `RUN: ARM`).
pub fn write(runs: &[PathBuf], out: &Path, base: Option<&str>) -> Result<(PathBuf, Table), ReportError> {
    let folder = read(runs)?;
    files::make_folder(out)?;
    files::write(&out.join("recipe.toml"), folder.recipe.text.as_bytes())?;
    let path = html::write_folder(out, &folder, base)?;
    Ok((path, table::of_measure(&crate::measure::Measure::new(&folder), base)?))
}

/// The runs of one recipe.
struct Group {
    name: String,
    folders: Vec<Folder>,
}

fn read(runs: &[PathBuf]) -> Result<Folder, ReportError> {
    let mut groups: Vec<(String, Group)> = Vec::new();
    for run in runs {
        let folder = Folder::read(run)?;
        let name =
            run.file_name().map_or_else(|| folder.manifest.name.clone(), |n| n.to_string_lossy().into());
        let recipe = without_seeds(&folder.recipe.text).unwrap_or_else(|| run.display().to_string());
        match groups.iter_mut().find(|(known, _)| *known == recipe) {
            Some((_, group)) => group.folders.push(folder),
            None => groups.push((recipe, Group { name, folders: vec![folder] })),
        }
    }
    let mut groups: Vec<Group> = groups.into_iter().map(|(_, group)| group).collect();
    for group in groups.iter_mut().filter(|group| group.folders.len() > 1) {
        group.name.clone_from(&group.folders[0].manifest.name);
    }
    name_apart(&mut groups);
    joined(groups)
}

/// The recipe as one text, whatever its seeds are; `None` if there is none.
fn without_seeds(text: &str) -> Option<String> {
    let mut recipe: toml::Table = text.parse().ok()?;
    recipe.remove("seeds");
    (!recipe.is_empty()).then(|| recipe.to_string())
}

/// Groups of the same name are numbered.
fn name_apart(groups: &mut [Group]) {
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    for (i, group) in groups.iter_mut().enumerate() {
        if names.iter().filter(|name| **name == group.name).count() > 1 {
            let which = names[..=i].iter().filter(|name| **name == group.name).count();
            group.name = format!("{} {which}", group.name);
        }
    }
}

fn joined(groups: Vec<Group>) -> Result<Folder, ReportError> {
    let several = groups.len() > 1;
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let mut parts: Vec<Folder> = Vec::new();
    let mut suites: BTreeMap<String, String> = BTreeMap::new();
    for group in groups {
        for mut folder in group.folders {
            if several {
                rename_arms(&mut folder.manifest, &group.name);
                tell_suites_apart(&mut folder, &group.name, &mut suites);
                folder.recipe.claims.clear();
            }
            parts.push(folder);
        }
    }
    let mut parts = parts.into_iter();
    let Some(mut all) = parts.next() else { return Err(ReportError::NoRuns) };
    if several {
        all.manifest.question = format!("{} on one page\n\n{}", names.join(", "), all.manifest.question);
        all.recipe.text = format!("# {}\n{}", names[0], all.recipe.text);
    }
    for part in parts {
        add(&mut all, part, several);
    }
    all.manifest.name = if several { names.join(", ") } else { all.manifest.name };
    Ok(all)
}

/// Arms are called by their run; by run and arm where the run has several.
fn rename_arms(manifest: &mut Manifest, run: &str) {
    let first = manifest.runs.first().map(|r| r.arm.clone());
    let one = manifest.runs.iter().all(|r| Some(&r.arm) == first.as_ref());
    for r in &mut manifest.runs {
        r.arm = if one { run.to_owned() } else { format!("{run}: {}", r.arm) };
    }
}

/// A suite of the same name with other problems or other sampling gets the run's name: the two are not compared.
fn tell_suites_apart(folder: &mut Folder, run: &str, known: &mut BTreeMap<String, String>) {
    for suite in folder.suites() {
        let config = folder.recipe.evaluation.suites.iter().find(|config| config.name == suite);
        let problems = std::fs::read_to_string(folder.path.join(format!("data/suites/{suite}.jsonl")));
        let what = format!("{config:?} {}", problems.unwrap_or_else(|_| folder.path.display().to_string()));
        let before = known.entry(suite.clone()).or_insert_with(|| what.clone());
        if *before == what {
            continue;
        }
        let renamed = format!("{suite} ({run})");
        for stage in folder.stages.values_mut() {
            if let Some(rows) = stage.evals.remove(&suite) {
                stage.evals.insert(renamed.clone(), rows);
            }
            if let Some(steps) = stage.milestones.remove(&suite) {
                stage.milestones.insert(renamed.clone(), steps);
            }
        }
        for config in folder.recipe.evaluation.suites.iter_mut().filter(|config| config.name == suite) {
            config.name.clone_from(&renamed);
        }
    }
}

fn add(all: &mut Folder, part: Folder, several: bool) {
    for run in part.manifest.runs {
        if !all.manifest.runs.iter().any(|known| known.arm == run.arm && known.seed == run.seed) {
            all.manifest.runs.push(run);
        }
    }
    for band in part.manifest.bands {
        if !all.manifest.bands.contains(&band) {
            all.manifest.bands.push(band);
        }
    }
    for (name, stage) in part.stages {
        match all.stages.get_mut(&name) {
            Some(known) => merge(known, stage),
            None => drop(all.stages.insert(name, stage)),
        }
    }
    all.left_out.extend(part.left_out);
    let RecipeFile { text, evaluation, .. } = part.recipe;
    for suite in evaluation.suites {
        if !all.recipe.evaluation.suites.iter().any(|known| known.name == suite.name) {
            all.recipe.evaluation.suites.push(suite);
        }
    }
    if several {
        let _ = write!(all.recipe.text, "\n# {}\n{text}", part.manifest.name);
        let _ = write!(all.manifest.question, "\n\n{}", part.manifest.question);
        all.manifest.recipe_hash += &part.manifest.recipe_hash;
    }
    if all.manifest.command != part.manifest.command {
        let _ = write!(all.manifest.command, "; {}", part.manifest.command);
    }
    if all.manifest.revision != part.manifest.revision {
        let _ = write!(all.manifest.revision, ", {}", part.manifest.revision);
    }
}

/// The same stage in two runs: what the finished one says, and the evaluations of both.
fn merge(known: &mut Stage, mut other: Stage) {
    if known.done.is_none() && other.done.is_some() {
        std::mem::swap(known, &mut other);
    }
    for (suite, rows) in other.evals {
        known.evals.entry(suite).or_insert(rows);
    }
    for (suite, steps) in other.milestones {
        known.milestones.entry(suite).or_insert(steps);
    }
}
