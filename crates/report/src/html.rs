//! The report: one HTML file that needs no network and says first what was found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{Environment, syntax::SyntaxConfig};
use problems::verify::FaultKind;
use serde::Serialize;
use train::records::{Manifest, StageDone, StageKind};

use crate::chart::{STYLE, number};
use crate::claims::{Ruling, Verdict};
use crate::error::ReportError;
use crate::figures::{self, Figure};
use crate::folder::{Folder, Stage, write_atomically};
use crate::measure::{Measure, Metric};
use crate::stats::Estimate;
use crate::table::{self, Change, Measured, Row, Table, Word, percent, points};
use crate::transcripts::{self, Transcript};

/// Writes `report.html`, `results.json` and `figures/` into the run folder; returns the report's path.
/// The same folder gives the same bytes.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn write(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let folder = Folder::read(run_dir)?;
    let measure = Measure::new(&folder);
    let table = table::of_measure(&measure)?;
    let figures = figures::figures(&measure);
    let transcripts = transcripts::transcripts(&measure)?;
    let page = render(&measure, &table, &figures, transcripts)?;
    table::write_results(run_dir, &table)?;
    figures::export(run_dir, &figures)?;
    let path = run_dir.join("report.html");
    write_atomically(&path, page.as_bytes())?;
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
        css: include_str!("../templates/report.css"),
        script: include_str!("../templates/report.js"),
        manifest: &folder.manifest,
        question: Question::of(&folder.manifest),
        seeds: seeds(folder),
        unfinished: names.map(String::as_str).collect(),
        verdicts: verdicts(&table.claims),
        claims: table.claims.iter().map(ClaimView::new).collect(),
        findings: findings(table),
        suites: suites(table),
        figures: figures.iter().map(FigureView::new).collect(),
        filters: Filters::of(&transcripts),
        fault_meanings: FaultKind::ALL.into_iter().map(FaultView::new).collect(),
        transcripts,
        recipe: &folder.recipe,
        stages: costs(measure),
    };
    fragment("report.html", include_str!("../templates/report.html"), &page)
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
    env.add_template("parts.html", include_str!("../templates/parts.html"))?;
    env.add_template(name, template)?;
    Ok(env.get_template(name)?.render(Serde(&Root { page: view }))?)
}

/// What the evaluations say: changes, figures and table, as a piece of a page.
pub(crate) fn evaluation(
    measure: &Measure,
    table: &Table,
    figures: &[Figure],
) -> Result<String, ReportError> {
    #[derive(Serialize)]
    struct View {
        seeds: Vec<u64>,
        findings: Vec<Finding>,
        suites: Vec<SuiteView>,
        figures: Vec<FigureView>,
    }
    let view = View {
        seeds: seeds(measure.folder),
        findings: findings(table),
        suites: suites(table),
        figures: figures.iter().map(FigureView::new).collect(),
    };
    fragment("live_evaluation.html", include_str!("../templates/live_evaluation.html"), &view)
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

/// How many claims got which verdict, in words.
fn verdicts(rulings: &[Ruling]) -> String {
    let count = |verdict| rulings.iter().filter(|r| r.verdict == verdict).count();
    let claims = if rulings.len() == 1 { "claim" } else { "claims" };
    format!(
        "Of {} {claims}, {} held, {} failed and {} could not be decided at this scale.",
        rulings.len(),
        count(Verdict::Holds),
        count(Verdict::Fails),
        count(Verdict::Inconclusive)
    )
}

#[derive(Serialize)]
struct ClaimView {
    text: String,
    verdict: &'static str,
    effect: String,
    bar: String,
    basis: String,
    paper: String,
    power: String,
}

impl ClaimView {
    fn new(ruling: &Ruling) -> Self {
        let claim = &ruling.claim;
        let basis = ruling.effect.map_or_else(
            || "the two models were not evaluated on the same problems".to_owned(),
            |e| {
                format!(
                    "{} on {} problems, {} seed{}",
                    claim.metric.name(),
                    e.problems,
                    e.seeds,
                    if e.seeds == 1 { "" } else { "s" }
                )
            },
        );
        let wanted = claim.paper.or(ruling.effect.map(|e| e.value)).unwrap_or(0.0).abs() * 100.0;
        let power = ruling.power.as_ref().map_or_else(String::new, |p| {
            let needed = p.problems_needed.map_or_else(String::new, |n| {
                format!("; one of {wanted:.1} points takes about {n} problems to see")
            });
            format!("this scale sees differences from {:.1} points{needed}", p.detectable * 100.0)
        });
        Self {
            text: claim.text.clone(),
            verdict: ruling.verdict.name(),
            effect: ruling.effect.as_ref().map_or_else(|| "–".into(), points),
            bar: ruling.effect.as_ref().map_or_else(String::new, |e| bar(e, e.high.abs().max(e.low.abs()))),
            basis,
            paper: claim
                .paper
                .map_or_else(String::new, |p| format!("{:+.1} points", p * 100.0).replace('-', "−")),
            power,
        }
    }
}

/// One sentence for each model that has a parent: what it changed in each band.
#[derive(Serialize)]
struct Finding {
    model: String,
    parent: String,
    suite: String,
    bands: Vec<BandChange>,
}

#[derive(Serialize)]
struct BandChange {
    band: String,
    ops: (u32, u32),
    metric: String,
    before: String,
    after: String,
    points: String,
    word: &'static str,
    class: &'static str,
    bar: String,
}

fn findings(table: &Table) -> Vec<Finding> {
    let pooled = || table.rows.iter().filter(|r| r.context.is_none());
    let changes = || pooled().flat_map(|r| [&r.change_1, &r.change_k]).flatten();
    let widest = changes().map(|c| c.difference.low.abs().max(c.difference.high.abs())).fold(0.0, f64::max);
    let mut findings: Vec<Finding> = Vec::new();
    for row in pooled() {
        let Some(parent) = &row.parent else { continue };
        let before = pooled().find(|r| r.suite == row.suite && r.band == row.band && r.model == *parent);
        let at =
            findings.iter().position(|f| f.model == row.model && f.suite == row.suite).unwrap_or_else(|| {
                findings.push(Finding {
                    model: row.model.clone(),
                    parent: parent.clone(),
                    suite: row.suite.clone(),
                    bands: Vec::new(),
                });
                findings.len() - 1
            });
        let parts = [
            ("pass@1".to_owned(), &row.change_1, row.pass_1, before.map(|b| b.pass_1)),
            (format!("pass@{}", row.k), &row.change_k, row.pass_k, before.map(|b| b.pass_k)),
        ];
        for (metric, change, after, before) in parts {
            if let Some(change) = change {
                findings[at].bands.push(BandChange {
                    band: row.band.clone(),
                    ops: row.ops,
                    metric,
                    before: before.map_or_else(String::new, |b| format!("{:.1}%", b.value * 100.0)),
                    after: format!("{:.1}%", after.value * 100.0),
                    points: points(&change.difference),
                    word: change.word.name(),
                    class: class(change.word),
                    bar: bar(&change.difference, widest),
                });
            }
        }
    }
    findings
}

fn class(word: Word) -> &'static str {
    match word {
        Word::Up => "up",
        Word::Down => "down",
        Word::WithinNoise => "noise",
    }
}

/// A difference as a dot with its interval on an axis from −`widest` to +`widest`.
fn bar(e: &Estimate, widest: f64) -> String {
    let at = |v: f64| 80.0 + 74.0 * v / widest.max(1e-9);
    let class = class(Word::of(e));
    format!(
        r#"<svg class="bar {class}" viewBox="0 0 160 18" aria-hidden="true"><path class="zero" d="M80 1V17"/><path class="span" d="M{:.1} 9H{:.1}M{:.1} 5v8M{:.1} 5v8"/><circle cx="{:.1}" cy="9" r="4"/></svg>"#,
        at(e.low),
        at(e.high),
        at(e.low),
        at(e.high),
        at(e.value)
    )
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
        Self { points: points(&change.difference), word: change.word.name(), class: class(change.word) }
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
            pass_1: percent(&row.pass_1),
            pass_k: percent(&row.pass_k),
            wrong_process: row.right_wrong_process.as_ref().map_or_else(|| "–".into(), percent),
            measures: row.measures.iter().map(measured).collect(),
            change_1: row.change_1.as_ref().map(ChangeView::new),
            change_k: row.change_k.as_ref().map(ChangeView::new),
        }
    }
}

/// A further measure: rates as percent, others as they are.
fn measured(m: &Measured) -> String {
    match m.metric {
        Metric::Tokens | Metric::GoldNll => {
            format!("{} [{}, {}]", number(m.estimate.value), number(m.estimate.low), number(m.estimate.high))
        }
        _ => percent(&m.estimate),
    }
}

#[derive(Serialize)]
struct FigureView {
    id: String,
    title: String,
    caption: String,
    panels: Vec<String>,
    csv: String,
}

impl FigureView {
    fn new(figure: &Figure) -> Self {
        Self {
            id: figure.id.clone(),
            title: figure.title.clone(),
            caption: figure.caption.clone(),
            panels: figure.panels.iter().map(crate::chart::Chart::svg).collect(),
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
    let seconds: f64 = crate::folder::series(&stage.timings, "time/step").iter().map(|(_, s)| s).sum();
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
