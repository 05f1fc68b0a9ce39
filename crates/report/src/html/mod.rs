//! The report: one HTML file that needs no network and says first what was found.

mod findings;
mod verdicts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{Environment, syntax::SyntaxConfig};
use problems::verify::FaultKind;
use runs::Metric;
use runs::records::{Manifest, StageDone, StageKind};
use serde::Serialize;

use crate::chart::{STYLE, number};
use crate::error::ReportError;
use crate::figures::{self, Figure};
use crate::markdown;
use crate::measure::Measure;
use crate::table::{self, Change, Row, Table};
use crate::transcripts::{self, Transcript};
use crate::words;
use crate::words::left_out_sentence;
use findings::{Finding, class, findings};
use runs::{Folder, Stage, files};
use verdicts::ClaimView;

/// Writes `report.html`, `results.json`, `results.md` and `figures/` into the run folder; returns the report's path.
/// The same folder gives the same bytes.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn write(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let folder = Folder::read(run_dir)?;
    let measure = Measure::new(&folder);
    let table = table::of_measure(&measure)?;
    let figures = figures::figures(&measure)?;
    let transcripts = transcripts::transcripts(&measure)?;
    let page = render(&measure, &table, &figures, transcripts)?;
    files::sweep_dead(run_dir)?;
    files::sweep_dead(&run_dir.join("figures"))?;
    table::write_results(run_dir, &table)?;
    let summary = markdown::render(&folder.manifest, &table, &figures);
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
    seeds: Vec<u64>,
    unfinished: Vec<&'a str>,
    left_out: String,
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
        drawing_css: STYLE,
        css: include_str!("../../templates/report.css"),
        script: include_str!("../../templates/report.js"),
        manifest: &folder.manifest,
        question: Question::of(&folder.manifest),
        seeds: seeds(folder),
        unfinished: names.map(String::as_str).collect(),
        left_out: left_out_sentence(&table.left_out),
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
    Ok(env.get_template(name)?.render(Serde(&Root { page: view }))?)
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

/// The rows of one suite.
#[derive(Serialize)]
struct SuiteView {
    name: String,
    k: u32,
    samples: u32,
    /// Names of the further measures, as columns.
    measures: Vec<String>,
    bands: Vec<BandView>,
}

#[derive(Serialize)]
struct BandView {
    name: String,
    ops: (u32, u32),
    context: Option<String>,
    problems: u32,
    rows: Vec<RowView>,
}

#[derive(Serialize)]
struct RowView {
    model: String,
    pass_1: String,
    pass_k: String,
    wrong_process: String,
    measures: Vec<String>,
    change_1: Option<ChangeView>,
    change_k: Option<ChangeView>,
}

#[derive(Serialize)]
struct ChangeView {
    points: String,
    word: &'static str,
    class: &'static str,
}

impl ChangeView {
    fn new(change: &Change) -> Self {
        Self {
            points: words::difference(Metric::PassAt(1), &change.difference),
            word: change.word.name(),
            class: class(change.word),
        }
    }
}

fn suites(table: &Table) -> Vec<SuiteView> {
    let mut suites: Vec<SuiteView> = Vec::new();
    for row in &table.rows {
        if suites.last().is_none_or(|s| s.name != row.suite) {
            suites.push(SuiteView {
                name: row.suite.clone(),
                k: row.k,
                samples: row.samples,
                measures: row.measures.iter().map(|m| m.metric.name()).collect(),
                bands: Vec::new(),
            });
        }
        let Some(suite) = suites.last_mut() else { continue };
        if suite.bands.last().is_none_or(|b| b.name != row.band || b.context != row.context) {
            suite.bands.push(BandView {
                name: row.band.clone(),
                ops: row.ops,
                context: row.context.clone(),
                problems: row.pass_1.problems,
                rows: Vec::new(),
            });
        }
        if let Some(band) = suite.bands.last_mut() {
            band.rows.push(RowView::new(row));
        }
    }
    suites
}

impl RowView {
    fn new(row: &Row) -> Self {
        Self {
            model: row.model.clone(),
            pass_1: words::estimate(Metric::PassAt(1), &row.pass_1),
            pass_k: words::estimate(Metric::PassAt(row.k), &row.pass_k),
            wrong_process: row
                .correct_by_wrong_process
                .as_ref()
                .map_or_else(|| "–".into(), |e| words::estimate(Metric::CorrectByWrongProcess, e)),
            measures: row.measures.iter().map(|m| words::estimate(m.metric, &m.estimate)).collect(),
            change_1: row.change_1.as_ref().map(ChangeView::new),
            change_k: row.change_k.as_ref().map(ChangeView::new),
        }
    }
}

#[derive(Serialize)]
struct FigureView {
    id: String,
    title: String,
    caption: String,
    panels: Vec<String>,
    drawings: Vec<String>,
    csv: String,
}

impl FigureView {
    fn new(figure: &Figure) -> Self {
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

#[derive(Serialize)]
struct CostView {
    model: String,
    folder: String,
    kind: &'static str,
    seed: u64,
    steps: String,
    parameters: String,
    trained: String,
    sampled: String,
    flops: String,
    seconds: String,
    weights: String,
}

fn costs(measure: &Measure) -> Vec<CostView> {
    let mut rows = Vec::new();
    for model in &measure.models {
        for ((seed, stage), (_, folder)) in measure.stages(model).zip(&model.folders) {
            rows.push(cost(&model.label, folder, seed, stage));
        }
    }
    rows
}

fn cost(model: &str, folder: &str, seed: u64, stage: &Stage) -> CostView {
    let spent = |f: fn(&StageDone) -> f64| stage.done.as_ref().map_or_else(|| "–".into(), |d| number(f(d)));
    let seconds: f64 = runs::series(&stage.timings, "timing_s/step").iter().map(|(_, s)| s).sum();
    CostView {
        model: model.to_owned(),
        folder: folder.to_owned(),
        kind: match stage.info.kind {
            StageKind::PreTraining => "pre-training",
            StageKind::MidTraining => "mid-training",
            StageKind::Rl => "reinforcement learning",
        },
        seed,
        steps: stage.done.as_ref().map_or_else(|| "running".into(), |d| d.steps.to_string()),
        parameters: number(stage.info.parameters as f64),
        trained: spent(|d| d.cost.trained_tokens as f64),
        sampled: spent(|d| d.cost.sampled_tokens as f64),
        flops: spent(|d| d.cost.flops),
        seconds: if seconds > 0.0 { format!("{seconds:.0}") } else { "–".into() },
        weights: stage.done.as_ref().map_or_else(String::new, |d| d.weights_hash.chars().take(12).collect()),
    }
}
