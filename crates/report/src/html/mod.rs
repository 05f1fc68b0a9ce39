//! The report: one HTML file that needs no network and says first what was found.

mod arms;
mod bars;
mod costs;
mod question;
mod summary;
mod tables;
mod verdicts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{Environment, syntax::SyntaxConfig};
use problems::verify::FaultKind;
use runs::records::{Band, EngineInfo, Manifest};
use serde::Serialize;

use crate::chart::{Chart, Key, STYLE_SHEET};
use crate::error::ReportError;
use crate::figures::{self, Figure};
use crate::markdown;
use crate::measure::Measure;
use crate::table::{self, Table};
use crate::transcripts::{self, Transcript};
use crate::words::{lacking_sentence, left_out_sentence, skipped_sentence};
use arms::{ArmsView, arms};
use costs::{CostView, costs};
pub(crate) use question::Question;
use runs::{Folder, files};
use summary::Facts;
use tables::{SuiteView, suites};
use verdicts::{ClaimTable, claim_tables};

/// Writes `report.html`, `results.json`, `results.md` and `figures/` into the run folder; returns the report's path.
/// The same folder gives the same bytes.
///
/// # Errors
/// If the folder cannot be read or written, or nothing is there any more of what an earlier report shows. Then the earlier
/// report stays.
pub fn write(run_dir: &Path) -> Result<PathBuf, ReportError> {
    write_against(run_dir, None)
}

/// As [`write()`]; the arms are compared with the arm `base`, or with the first arm.
///
/// # Errors
/// As [`write()`], and if the run has no such arm.
pub fn write_against(run_dir: &Path, base: Option<&str>) -> Result<PathBuf, ReportError> {
    write_folder(run_dir, &Folder::read(run_dir)?, base)
}

/// Writes the report of a run, or of several as one, into a folder.
pub(crate) fn write_folder(
    run_dir: &Path,
    folder: &Folder,
    base: Option<&str>,
) -> Result<PathBuf, ReportError> {
    check_base(folder, base)?;
    let measure = Measure::new(folder);
    let table = table::of_measure(&measure, base)?;
    if table.rows.is_empty() && table::has_rows(run_dir) {
        return Err(ReportError::Gone { folder: run_dir.to_owned() });
    }
    let figures = figures::figures(&measure, base)?;
    let transcripts = transcripts::transcripts(&measure)?;
    let page = render(&measure, &table, &figures, transcripts)?;
    files::sweep_dead(run_dir)?;
    files::sweep_dead(&run_dir.join("figures"))?;
    table::write_results(run_dir, &table)?;
    let summary = markdown::render(folder, &table, &figures);
    files::write(&run_dir.join("results.md"), summary.as_bytes())?;
    figures::export(run_dir, &figures)?;
    let path = run_dir.join("report.html");
    files::write(&path, page.as_bytes())?;
    Ok(path)
}

fn check_base(folder: &Folder, base: Option<&str>) -> Result<(), ReportError> {
    let Some(base) = base else { return Ok(()) };
    let known: BTreeSet<&str> = folder.manifest.runs.iter().map(|run| run.arm.as_str()).collect();
    if known.contains(base) {
        return Ok(());
    }
    let known = known.into_iter().map(|arm| format!("`{arm}`")).collect::<Vec<_>>().join(", ");
    Err(ReportError::NoArm { arm: base.to_owned(), known })
}

/// Everything the template shows.
#[derive(Serialize)]
struct Page<'a> {
    drawing_css: &'static str,
    css: &'static str,
    script: &'static str,
    manifest: &'a Manifest,
    question: Question<'a>,
    engines: Vec<String>,
    summary: Vec<String>,
    facts: Facts,
    bands: String,
    seeds: Vec<u64>,
    unfinished: Vec<&'a str>,
    left_out: String,
    lacking: String,
    skipped: String,
    verdicts: String,
    claims: Vec<ClaimTable>,
    suites: Vec<SuiteView>,
    arms: Vec<ArmsView>,
    figures: Vec<FigureView>,
    filters: Filters,
    transcripts: Vec<Transcript>,
    fault_meanings: Vec<FaultView>,
    recipe: &'a str,
    stages: Vec<CostView>,
}

fn render(
    measure: &Measure,
    table: &Table,
    figures: &[Figure],
    transcripts: Vec<Transcript>,
) -> Result<String, ReportError> {
    let folder = measure.folder;
    let unfinished = |name: &&String| folder.stages.get(*name).is_none_or(|s| s.done.is_none());
    let names = folder.manifest.runs.iter().flat_map(|run| &run.stages).filter(unfinished);
    let page = Page {
        drawing_css: STYLE_SHEET,
        css: include_str!("../../templates/report.css"),
        script: include_str!("../../templates/report.js"),
        manifest: &folder.manifest,
        question: Question::of(&folder.manifest),
        engines: folder.manifest.engines.iter().map(EngineInfo::describe).collect(),
        summary: summary::sentences(measure, table),
        facts: Facts::of(measure),
        bands: bands(folder),
        seeds: seeds(folder),
        unfinished: names.map(String::as_str).collect(),
        left_out: left_out_sentence(&table.left_out),
        lacking: lacking_sentence(folder),
        skipped: skipped_sentence(folder),
        verdicts: verdicts::summary(&table.claims),
        claims: claim_tables(&table.claims),
        suites: suites(table),
        arms: arms(table, figures),
        figures: beside(figures),
        filters: Filters::of(&transcripts),
        fault_meanings: FaultKind::ALL.into_iter().map(FaultView::new).collect(),
        transcripts,
        recipe: &folder.recipe.text,
        stages: costs(measure),
    };
    fragment("report.html", include_str!("../../templates/report.html"), &page)
}

/// Renders a template with its view as `page`; the shared parts are at hand.
pub(crate) fn fragment<T: Serialize>(
    name: &'static str,
    template: &'static str,
    view: &T,
) -> Result<String, ReportError> {
    #[derive(Serialize)]
    struct Root<'a, T> {
        page: &'a T,
    }
    let mut env = Environment::new();
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    env.add_template("parts.html", include_str!("../../templates/parts.html"))?;
    env.add_template(name, template)?;
    Ok(without_controls(env.get_template(name)?.render(Serde(&Root { page: view }))?))
}

/// A page without control characters, which HTML does not allow: an untrained model writes any byte.
fn without_controls(page: String) -> String {
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if page.contains(bad) { page.replace(bad, "\u{fffd}") } else { page }
}

/// What the evaluations say: changes, figures and table, as a piece of a page.
#[cfg(feature = "serve")]
pub(crate) fn evaluation(
    measure: &Measure,
    table: &Table,
    figures: &[Figure],
) -> Result<String, ReportError> {
    #[derive(Serialize)]
    struct View {
        summary: Vec<String>,
        bands: String,
        seeds: Vec<u64>,
        left_out: String,
        suites: Vec<SuiteView>,
        arms: Vec<ArmsView>,
        figures: Vec<FigureView>,
    }
    let view = View {
        summary: summary::sentences(measure, table),
        bands: bands(measure.folder),
        seeds: seeds(measure.folder),
        left_out: left_out_sentence(&table.left_out),
        suites: suites(table),
        arms: arms(table, figures),
        figures: beside(figures),
    };
    fragment("live_evaluation.html", include_str!("../../templates/live_evaluation.html"), &view)
}

/// The figures that do not stand in a section of their own.
fn beside(figures: &[Figure]) -> Vec<FigureView> {
    figures.iter().filter(|f| !f.id.starts_with("differences")).map(FigureView::new).collect()
}

/// The bands with their ops; “ID” is spelled out.
fn bands(folder: &Folder) -> String {
    let name = |band: &Band| {
        let spelled = if band.name == "ID" { "ID (in distribution)" } else { band.name.as_str() };
        format!("{spelled}: {}", tables::ops((band.from, band.to)))
    };
    folder.manifest.bands.iter().map(name).collect::<Vec<_>>().join("; ")
}

/// What the transcripts can be filtered by.
#[derive(Serialize)]
struct Filters {
    stages: Vec<String>,
    ops: BTreeSet<u32>,
    contexts: BTreeSet<String>,
    modes: BTreeSet<&'static str>,
    faults: BTreeSet<String>,
}

impl Filters {
    fn of(transcripts: &[Transcript]) -> Self {
        let mut stages: Vec<String> = Vec::new();
        for t in transcripts {
            if !stages.contains(&t.stage) {
                stages.push(t.stage.clone());
            }
        }
        Self {
            stages,
            ops: transcripts.iter().map(|t| t.op).collect(),
            contexts: transcripts.iter().map(|t| t.context.clone()).collect(),
            modes: transcripts.iter().map(|t| t.mode).collect(),
            faults: transcripts.iter().flat_map(|t| t.faults.split_whitespace()).map(str::to_owned).collect(),
        }
    }
}

#[derive(Serialize)]
struct FaultView {
    name: &'static str,
    meaning: &'static str,
}

impl FaultView {
    fn new(kind: FaultKind) -> Self {
        Self { name: kind.name(), meaning: kind.meaning() }
    }
}

fn seeds(folder: &Folder) -> Vec<u64> {
    let mut seeds: Vec<u64> = folder.manifest.runs.iter().map(|r| r.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}

/// A figure as pages show it.
#[derive(Serialize)]
pub(crate) struct FigureView {
    id: String,
    title: String,
    caption: String,
    /// How many cells the last row leaves for the caption, of three and of two columns.
    free: [usize; 2],
    keys: Vec<KeyView>,
    panels: Vec<String>,
    drawings: Vec<String>,
    csv: String,
}

#[derive(Serialize)]
struct KeyView {
    sign: String,
    name: String,
}

impl FigureView {
    pub(crate) fn new(figure: &Figure) -> Self {
        let count = figure.panels.len();
        let draw = if count == 1 { Chart::untitled_svg } else { Chart::svg };
        let key = |key: Key| KeyView { sign: key.svg(), name: key.name };
        Self {
            id: figure.id.clone(),
            title: figure.title.clone(),
            caption: figure.caption.clone(),
            free: [(3 - count % 3) % 3, count % 2],
            keys: figure.keys().into_iter().map(key).collect(),
            panels: figure.panels.iter().map(draw).collect(),
            drawings: figure.drawings(),
            csv: figure.csv(),
        }
    }
}
