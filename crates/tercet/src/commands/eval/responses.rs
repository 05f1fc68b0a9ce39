//! `tercet eval --responses`

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use problems::Problem;
use problems::responses::{Given, Matcher, Pool};
use problems::verify::Policy;
use report::measure::value;
use report::stats::{Bootstrap, ks};
use report::words;
use runs::Metric;
use runs::records::{Band, EvalRow};
use train::eval::{Elsewhere, Origin, Suite};
use train::recipe::Recipe;

use super::super::responses::{matched, problems_in};
use super::super::{revision, run as run_command};
use super::Args;
use crate::failure::Usage;
use crate::output;
use crate::progress::{Progress, say};

/// Of more samples than these not every k is shown.
const EVERY_K: u32 = 16;

pub(super) fn run(
    path: &Path,
    args: &Args,
    recipe: Option<&Recipe>,
    called: &[OsString],
) -> anyhow::Result<()> {
    let suite = suite(args, recipe)?;
    let bands = recipe.map_or_else(|| by_op(&suite.problems), |r| r.document.evaluation.bands.clone());
    let given = collect(path, args, &suite.problems)?;
    let mut judged = Elsewhere::judge(suite, given)?;
    if judged.suite.config.k.is_empty() {
        judged.suite.config.k = shown_ks(judged.suite.config.samples);
    }
    if let Some(folder) = &args.out {
        let name = plain_name(path);
        let command = run_command::command(called);
        let origin = Origin { name, command, revision: revision(), bands: bands.clone() };
        judged.write(folder, &origin)?;
        let report = report::html::write(folder)?;
        say(report::table(folder)?.render().trim_end());
        say(&format!("report: {}", report.display()));
    } else {
        super::write_rows(judged.rows())?;
    }
    say(tables(judged.rows(), &bands).trim_end());
    if judged.silent > 0 {
        let all = judged.suite.problems.len();
        say(&format!("{} of {all} problems got no response, and count as wrong", judged.silent));
    }
    if judged.missing > 0 {
        let n = judged.suite.config.samples;
        say(&format!(
            "{} responses are missing to {n} for every problem, and count as wrong",
            judged.missing
        ));
    }
    Ok(())
}

/// The problems that are answered, and the rules that decide.
fn suite(args: &Args, recipe: Option<&Recipe>) -> anyhow::Result<Suite> {
    let ruled = recipe.map(|recipe| super::suite(recipe, args.suite.as_deref())).transpose()?;
    let mut suite = match (&args.problems, ruled) {
        (Some(path), ruled) => {
            let policy = ruled.map_or(Policy::Paper, |suite| suite.config.policy);
            Suite::of_problems(plain_name(path), distinct(path)?, policy)
        }
        (None, Some(ruled)) => ruled,
        (None, None) => return Err(Usage::error("name a --recipe or a file of --problems")),
    };
    suite.config.policy = args.policy.unwrap_or(suite.config.policy);
    Ok(suite)
}

/// The problems of a file, none of them twice: nobody could tell which of them a response is to.
fn distinct(path: &Path) -> anyhow::Result<Vec<Problem>> {
    let problems = problems_in(path)?;
    let mut known = BTreeMap::new();
    for (i, problem) in problems.iter().enumerate() {
        if let Some(first) = known.insert(&problem.id, i) {
            let (id, path) = (&problem.id, path.display());
            return Err(Usage::error(format!("{path} has the problem `{id}` twice, at {first} and {i}")));
        }
    }
    Ok(problems)
}

/// All responses, by the position of their problem.
fn collect(path: &Path, args: &Args, problems: &[Problem]) -> anyhow::Result<Vec<Vec<Given>>> {
    let positions: BTreeMap<&str, usize> =
        problems.iter().enumerate().map(|(i, p)| (p.id.as_str(), i)).collect();
    let mut matcher = Matcher::new(Some(Pool::new(problems.to_vec())), args.fields.fields());
    let mut given: Vec<Vec<Given>> = vec![Vec::new(); problems.len()];
    let mut progress = Progress::without_end("read", "responses");
    for line in output::lines(path)? {
        let line = line?;
        let Some(found) = matched(&mut matcher, &line, path)? else { continue };
        let position = found.position.or_else(|| positions.get(found.problem.id.as_str()).copied());
        let position = position
            .ok_or_else(|| Usage::error(format!("the problem `{}` is not of the suite", found.problem.id)))
            .with_context(|| output::place(&line, path))?;
        progress.add(found.responses.len() as u64);
        given[position].extend(found.responses);
    }
    Ok(given)
}

/// A file's name without its endings, of the characters that names of stages and suites have.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let name = name.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    if name.chars().any(|c| c.is_ascii_alphanumeric()) { name } else { "responses".to_owned() }
}

/// A band for each op.
fn by_op(problems: &[Problem]) -> Vec<Band> {
    let mut ops: Vec<u32> = problems.iter().map(|problem| problem.cell.op).collect();
    ops.sort_unstable();
    ops.dedup();
    ops.into_iter().map(|op| Band { name: format!("op {op}"), from: op, to: op }).collect()
}

/// Every k up to the number of samples; of many samples the powers of two.
fn shown_ks(samples: u32) -> Vec<u32> {
    if samples <= EVERY_K { (1..=samples).collect() } else { ks(samples) }
}

/// pass@k of every band, and what its wrong responses begin with.
fn tables(rows: &[EvalRow], bands: &[Band]) -> String {
    let samples = rows.iter().map(|row| row.n).min().unwrap_or(0);
    let bands: Vec<(String, Vec<&EvalRow>)> = bands
        .iter()
        .map(|band| {
            let of = rows.iter().filter(|row| (band.from..=band.to).contains(&row.op)).collect();
            (words::band_name(&band.name, (band.from, band.to)), of)
        })
        .filter(|(_, rows): &(String, Vec<_>)| !rows.is_empty())
        .collect();
    let bootstrap = Bootstrap::default();
    let mut lines: Vec<Vec<String>> = vec![vec![String::new()]];
    lines[0].extend(bands.iter().map(|(name, _)| name.clone()));
    for metric in shown_ks(samples).into_iter().map(Metric::PassAt) {
        let estimate = |rows: &[&EvalRow]| {
            let values: Vec<f64> = rows.iter().filter_map(|row| value(metric, row)).collect();
            let estimate = bootstrap.mean(&[values], Some((0.0, 1.0)));
            estimate.map_or_else(|| "–".to_owned(), |e| words::estimate(metric, &e))
        };
        let cells = bands.iter().map(|(_, rows)| estimate(rows));
        lines.push(std::iter::once(metric.name()).chain(cells).collect());
    }
    let mut text = report::columns(&lines, |_| true);
    text.push_str(
        "Percent, with 95% intervals (bootstrap by problem).\n\nFirst faults of the wrong responses\n",
    );
    for (name, rows) in &bands {
        let _ = writeln!(text, "{name}: {}", first_faults(rows));
    }
    text
}

/// The kinds of first faults, the most frequent first.
fn first_faults(rows: &[&EvalRow]) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (kind, n) in rows.iter().flat_map(|row| &row.first_faults) {
        *counts.entry(kind).or_default() += n;
    }
    let mut counts: Vec<(&str, u32)> = counts.into_iter().collect();
    counts.sort_by_key(|&(kind, n)| (std::cmp::Reverse(n), kind));
    let texts: Vec<String> = counts.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}
