//! What the live page shows.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::{Html, IntoResponse};
use runs::records::{Manifest, Response as Rollout};
use serde::Serialize;

use super::place::Place;
use super::progress::{Branch, StageProgress, branches, overall, progress, time_left};
use crate::chart::{STYLE_SHEET, escape, number};
use crate::error::ReportError;
use crate::figures;
use crate::html;
use crate::measure::Measure;
use crate::table;
use crate::transcripts::{self, Transcript};
use runs::{
    Folder, Stage,
    error::{damaged, failed},
    files,
    files::list as list_folder,
    lines, series,
};

/// The last evaluation part of each run, with what it was drawn from.
pub(super) type Cache = BTreeMap<String, (Vec<Seen>, String)>;

/// A file as it was when it was read: its path, size and time of change.
type Seen = (PathBuf, u64, Option<SystemTime>);

/// Rollouts shown.
const ROLLOUTS: usize = 8;

/// A page that keeps asking for the newest of what it shows.
pub(super) fn shell(title: &str, source: &str) -> Html<String> {
    let css = include_str!("../../templates/report.css");
    let (title, source) = (escape(title), escape(source));
    Html(format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>{title} – Tercet</title><link rel="icon" href="data:,"><style>{STYLE_SHEET}</style><style>{css}</style></head>
<body><header><p class="brand"><a href="/">Tercet runs</a></p></header>
<main id="live" data-source="{source}"><p class="soft">Reading …</p></main>
<footer><p id="state" role="status" aria-live="polite"></p><label><input type="checkbox" id="follow" checked> follow</label></footer>
<script src="/live.js"></script><script src="/report.js"></script></body></html>
"#
    ))
}

/// A name as part of an address.
pub(super) fn encode(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => {
                let _ = std::fmt::Write::write_fmt(&mut out, format_args!("%{byte:02X}"));
            }
        }
    }
    out
}

#[derive(Serialize)]
struct RunRow {
    name: String,
    href: String,
    question: String,
    state: String,
    left: String,
    headline: String,
    share: f64,
    report: bool,
    #[serde(skip)]
    changed: Option<SystemTime>,
}

/// When a run last wrote something.
fn changed(path: &Path) -> Option<SystemTime> {
    let stages = list_folder(&path.join("stages")).unwrap_or_default().into_iter();
    let files = stages.flat_map(|stage| ["metrics.jsonl", "done.json"].map(|file| stage.join(file)));
    let times = files.chain([path.join("manifest.json")]);
    times.filter_map(|file| fs::metadata(file).ok()?.modified().ok()).max()
}

/// The last model's numbers in each band, from the results that the report wrote.
fn headline(path: &Path) -> String {
    let table: Result<table::Table, _> = files::read_json(&path.join("results.json"));
    let Ok(table) = table else { return String::new() };
    let whole = || table.rows.iter().filter(|row| row.level().is_none());
    let Some(last) = whole().next_back().map(|row| row.model.clone()) else { return String::new() };
    let number = |value: f64| format!("{:.1}", value * 100.0);
    let of = |row: &table::Row| {
        format!("{} {} → {}", row.band, number(row.pass_1.value), number(row.pass_k.value))
    };
    let bands: Vec<String> = whole().filter(|row| row.model == last).map(of).collect();
    let k = whole().next_back().map_or(1, |row| row.k);
    format!("{last}, pass@1 → pass@{k} in percent: {}", bands.join(", "))
}

/// The list of runs, the newest first. What was kept of runs that are gone is given up.
pub(super) fn list(place: &Place, cache: &Mutex<Cache>) -> Response<Body> {
    let runs = place.runs();
    if let Ok(mut cache) = cache.lock() {
        cache.retain(|name, _| runs.iter().any(|(known, found)| known == name && found.is_ok()));
    }
    let mut runs: Vec<RunRow> = runs.into_iter().map(|(name, found)| run_row(name, found)).collect();
    // A stable sort leaves runs of the same moment by name.
    runs.sort_by_key(|run| std::cmp::Reverse(run.changed));
    fragment("live_list.html", include_str!("../../templates/live_list.html"), &runs)
}

fn run_row(name: String, found: Result<PathBuf, String>) -> RunRow {
    let mut row = RunRow {
        href: format!("/run/{}", encode(&name)),
        name,
        question: String::new(),
        state: String::new(),
        left: String::new(),
        headline: String::new(),
        share: 0.0,
        report: false,
        changed: None,
    };
    let path = match found {
        Ok(path) => path,
        Err(reason) => {
            row.href = String::new();
            row.state = format!("is not shown: {reason}");
            return row;
        }
    };
    row.headline = headline(&path);
    row.changed = changed(&path);
    row.report = path.join("report.html").is_file();
    match progress_only(&path) {
        Ok((manifest, progress)) => {
            manifest.question.lines().next().unwrap_or_default().clone_into(&mut row.question);
            row.share = overall(&progress);
            row.left = time_left(&progress);
            let running = progress.iter().find(|p| !p.done);
            row.state = running.map_or_else(|| "finished".into(), |p| format!("{}: {}", p.stage, p.text));
        }
        Err(e) => row.state = format!("cannot be read just now: {e}"),
    }
    row
}

/// Manifest and progress, without reading evaluations.
fn progress_only(path: &Path) -> Result<(Manifest, Vec<StageProgress>), ReportError> {
    let folder = Folder::read_training(path)?;
    let progress = progress(&folder);
    Ok((folder.manifest, progress))
}

#[derive(Serialize)]
struct RunView<'a> {
    name: &'a str,
    manifest: &'a Manifest,
    question: html::Question<'a>,
    left: String,
    branches: Vec<Branch<'a>>,
    share: f64,
    finished: bool,
    report: bool,
    report_href: String,
    latest: Vec<(String, String)>,
    training: Vec<html::FigureView>,
    evaluation: String,
    rollouts: Vec<Transcript>,
}

/// One run as it is now.
pub(super) fn follow(name: &str, path: &Path, cache: &Mutex<Cache>) -> Response<Body> {
    match try_follow(name, path, cache) {
        Ok(response) => response,
        Err(e) => {
            let text = escape(&e.to_string());
            Html(format!(r#"<h1>{}</h1><p class="warn">The run cannot be read just now: {text}. The page keeps trying.</p>"#, escape(name)))
                .into_response()
        }
    }
}

fn try_follow(name: &str, path: &Path, cache: &Mutex<Cache>) -> Result<Response<Body>, ReportError> {
    let folder = Folder::read_training(path)?;
    let measure = Measure::new(&folder);
    let progress = progress(&folder);
    let view = RunView {
        name,
        manifest: &folder.manifest,
        question: html::Question::of(&folder.manifest),
        share: overall(&progress),
        finished: progress.iter().all(|p| p.done),
        left: time_left(&progress),
        branches: branches(&progress),
        report: path.join("report.html").is_file(),
        report_href: format!("/run/{}/report.html", encode(name)),
        latest: latest(&folder),
        training: figures::of_training(&measure).iter().map(html::FigureView::new).collect(),
        evaluation: evaluation(name, path, cache)?,
        rollouts: rollouts(&folder),
    };
    Ok(fragment("live_run.html", include_str!("../../templates/live_run.html"), &view))
}

/// The newest numbers of the stage that runs, or of the last one.
fn latest(folder: &Folder) -> Vec<(String, String)> {
    let order = folder.manifest.runs.iter().flat_map(|run| &run.stages);
    let stages: Vec<&Stage> = order.filter_map(|name| folder.stages.get(name)).collect();
    let Some(stage) = stages.iter().find(|s| s.done.is_none()).or(stages.last()) else { return Vec::new() };
    let mut rows = vec![("stage".to_owned(), stage.info.name.clone())];
    for (metric, label) in [
        ("loss", "loss"),
        ("loss/response", "loss on solutions"),
        ("critic/rewards/mean", "reward"),
        ("verified/mean", "correct in every step"),
        ("groups/mixed", "prompts with a learning signal"),
        ("learning_rate", "learning rate"),
    ] {
        if let Some((_, value)) = stage.series(metric).last() {
            rows.push((label.to_owned(), number(*value)));
        }
    }
    for metric in ["tokens_per_second/train", "tokens_per_second/sample"] {
        if let Some((_, value)) = series(&stage.timings, metric).last() {
            let label = metric.replace("tokens_per_second/", "tokens per second, ");
            rows.push((label, number(*value)));
        }
    }
    rows
}

/// The evaluation's figures and table, drawn anew only when a file of it has changed.
fn evaluation(name: &str, path: &Path, cache: &Mutex<Cache>) -> Result<String, ReportError> {
    let seen = fingerprint(path);
    if seen.is_empty() {
        return Ok(String::new());
    }
    if let Ok(cache) = cache.lock()
        && let Some((known, html)) = cache.get(name)
        && *known == seen
    {
        return Ok(html.clone());
    }
    within_bounds(&seen)?;
    let folder = Folder::read(path)?;
    let measure = Measure::new(&folder);
    let table = table::of_measure(&measure, None)?;
    let html = html::evaluation(&measure, &table, &figures::of_evaluation(&measure, None))?;
    if let Ok(mut cache) = cache.lock() {
        cache.insert(name.to_owned(), (seen, html.clone()));
    }
    Ok(html)
}

/// All evaluation files, with what says which suite they are of, and the recipe, whose claims and suites say what is
/// made of them.
fn fingerprint(path: &Path) -> Vec<Seen> {
    let mut files = Vec::new();
    for stage in list_folder(&path.join("stages")).unwrap_or_default() {
        let evaluations = list_folder(&stage.join("evals")).unwrap_or_default();
        for milestone in evaluations.iter().filter(|path| path.is_dir()) {
            files.extend(list_folder(milestone).unwrap_or_default());
        }
        files.extend(evaluations);
    }
    files.retain(|file| {
        file.to_string_lossy().ends_with(".jsonl.gz") || file.extension().is_some_and(|e| e == "json")
    });
    if !files.is_empty() {
        files.push(path.join("recipe.toml"));
    }
    let seen = |file: PathBuf| {
        let meta = fs::metadata(&file).ok();
        let (size, time) = (meta.as_ref().map_or(0, fs::Metadata::len), meta.and_then(|m| m.modified().ok()));
        (file, size, time)
    };
    files.into_iter().map(seen).collect()
}

/// Largest evaluation that the page reads, and how far it looks into a file of rollouts, in bytes without compression.
const EVALUATION_MAX: u64 = 1 << 28;
const ROLLOUTS_MAX: u64 = 1 << 26;

/// Refuses evaluations that are larger than the page reads: a small compressed file may be of any size without compression.
fn within_bounds(files: &[Seen]) -> Result<(), ReportError> {
    let rows = |path: &Path| {
        let name = path.to_string_lossy();
        name.ends_with(".jsonl.gz") && !name.ends_with(".responses.jsonl.gz")
    };
    for (path, _, _) in files.iter().filter(|(path, ..)| rows(path)) {
        let file = fs::File::open(path).map_err(failed(path, "read"))?;
        let mut content = lines::Packing::of(path).reader(BufReader::new(file)).take(EVALUATION_MAX + 1);
        let size = io::copy(&mut content, &mut io::sink()).map_err(failed(path, "read"))?;
        if size > EVALUATION_MAX {
            return Err(damaged(path, &format!("it has more than {EVALUATION_MAX} bytes")).into());
        }
    }
    Ok(())
}

/// The lines of a file that the page looks into, as far as it does.
fn first_lines(path: &Path) -> impl Iterator<Item = String> + use<> {
    let file = fs::File::open(path).ok();
    let reader = file.map(|file| lines::Packing::of(path).reader(BufReader::new(file)).take(ROLLOUTS_MAX));
    reader.into_iter().flat_map(BufRead::lines).map_while(Result::ok)
}

/// Some of the newest rollouts.
fn rollouts(folder: &Folder) -> Vec<Transcript> {
    let order: Vec<&String> = folder.manifest.runs.iter().flat_map(|run| &run.stages).collect();
    let newest = |stage: &Stage| list_folder(&stage.path.join("rollouts")).unwrap_or_default().pop();
    let mut stages = order.iter().rev().filter_map(|name| folder.stages.get(*name));
    let Some((stage, file)) = stages.find_map(|s| Some((s, newest(s)?))) else { return Vec::new() };
    let mut chosen: Vec<Rollout> = Vec::new();
    // A file that is half written or gone is none: the next look will see it.
    for line in first_lines(&file) {
        let Ok(rollout) = serde_json::from_str::<Rollout>(&line) else { break };
        let fresh = chosen.iter().all(|c| c.problem != rollout.problem || c.verified != rollout.verified);
        if fresh && rollout.record.is_some() {
            chosen.push(rollout);
        }
        if chosen.len() == ROLLOUTS {
            break;
        }
    }
    let label = format!(
        "{} {}",
        stage.info.name,
        file.file_name().map_or_else(String::new, |n| n.to_string_lossy().replace(".jsonl.gz", ""))
    );
    chosen.iter().filter_map(|rollout| transcripts::of_rollout(rollout, &label)).collect()
}

fn fragment<T: Serialize>(name: &'static str, template: &'static str, view: &T) -> Response<Body> {
    match html::fragment(name, template, view) {
        Ok(text) => Html(text).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_run_that_is_gone_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Mutex::new(Cache::from([("gone".to_owned(), (Vec::new(), "figures".to_owned()))]));
        list(&Place::new(dir.path()).unwrap(), &cache);
        assert!(cache.lock().unwrap().is_empty());
    }
}
