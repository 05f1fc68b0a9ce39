//! The report: one HTML file that needs no network and says first what was found.

mod costs;
mod findings;
mod tables;
mod verdicts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{Environment, syntax::SyntaxConfig};
use problems::verify::FaultKind;
use runs::records::{EngineInfo, Manifest};
use serde::Serialize;

use crate::chart::STYLE_SHEET;
use crate::error::ReportError;
use crate::figures::{self, Figure};
use crate::markdown;
use crate::measure::Measure;
use crate::table::{self, Table};
use crate::transcripts::{self, Transcript};
use crate::words::{lacking_sentence, left_out_sentence, skipped_sentence};
use costs::{CostView, costs};
use findings::{Finding, findings};
use runs::{Folder, files};
use tables::{SuiteView, suites};
use verdicts::ClaimView;

/// Writes `report.html`, `results.json`, `results.md` and `figures/` into the run folder; returns the report's path.
/// The same folder gives the same bytes.
///
/// # Errors
/// If the folder cannot be read or written, or nothing is there any more of what an earlier report shows. Then the earlier
/// report stays.
pub fn write(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let folder = Folder::read(run_dir)?;
    let measure = Measure::new(&folder);
    let table = table::of_measure(&measure)?;
    if table.rows.is_empty() && table::has_rows(run_dir) {
        return Err(ReportError::Gone { folder: run_dir.to_owned() });
    }
    let figures = figures::figures(&measure)?;
    let transcripts = transcripts::transcripts(&measure)?;
    let page = render(&measure, &table, &figures, transcripts)?;
    files::sweep_dead(run_dir)?;
    files::sweep_dead(&run_dir.join("figures"))?;
    table::write_results(run_dir, &table)?;
    let summary = markdown::render(&folder, &table, &figures);
    files::write(&run_dir.join("results.md"), summary.as_bytes())?;
    figures::export(run_dir, &figures)?;
    let path = run_dir.join("report.html");
    files::write(&path, page.as_bytes())?;
    Ok(path)
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
    seeds: Vec<u64>,
    unfinished: Vec<&'a str>,
    left_out: String,
    lacking: String,
    skipped: String,
    verdicts: String,
    claims: Vec<ClaimView>,
    findings: Vec<Finding>,
    suites: Vec<SuiteView>,
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
        seeds: seeds(folder),
        unfinished: names.map(String::as_str).collect(),
        left_out: left_out_sentence(&table.left_out),
        lacking: lacking_sentence(folder),
        skipped: skipped_sentence(folder),
        verdicts: verdicts::summary(&table.claims),
        claims: table.claims.iter().map(ClaimView::new).collect(),
        findings: findings(table),
        suites: suites(table),
        figures: figures.iter().map(FigureView::new).collect(),
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
        seeds: Vec<u64>,
        left_out: String,
        findings: Vec<Finding>,
        suites: Vec<SuiteView>,
        figures: Vec<FigureView>,
    }
    let view = View {
        seeds: seeds(measure.folder),
        left_out: left_out_sentence(&table.left_out),
        findings: findings(table),
        suites: suites(table),
        figures: figures.iter().map(FigureView::new).collect(),
    };
    fragment("live_evaluation.html", include_str!("../../templates/live_evaluation.html"), &view)
}

/// A recipe's opening comment: its first line is the question.
#[derive(Serialize)]
pub(crate) struct Question<'a> {
    first: &'a str,
    rest: Vec<&'a str>,
}

impl<'a> Question<'a> {
    pub(crate) fn of(manifest: &'a Manifest) -> Self {
        let (first, rest) = manifest.question.split_once('\n').unwrap_or((&manifest.question, ""));
        let rest = rest.split("\n\n").map(str::trim).filter(|p| !p.is_empty()).collect();
        Self { first, rest }
    }
}

/// What the transcripts can be filtered by.
#[derive(Serialize)]
struct Filters {
    stages: Vec<String>,
    ops: BTreeSet<u32>,
    contexts: BTreeSet<String>,
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
    panels: Vec<String>,
    drawings: Vec<String>,
    csv: String,
}

impl FigureView {
    pub(crate) fn new(figure: &Figure) -> Self {
        Self {
            id: figure.id.clone(),
            title: figure.title.clone(),
            caption: figure.caption.clone(),
            panels: figure.panels.iter().map(crate::chart::Chart::svg).collect(),
            drawings: figure.drawings(),
            csv: figure.csv(),
        }
    }
}
