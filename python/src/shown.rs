//! What a notebook shows.

use std::fmt::Write as _;

use ::problems::verify as judged;
use report::chart::escape;

use crate::graph::Graph;

/// `1 cell`, `3 cells`.
pub(crate) fn named(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Colours that read on light and on dark pages.
const CORRECT: &str = "background:rgba(46,160,67,.18)";
const WRONG: &str = "background:rgba(229,83,75,.22)";

/// A problem: its text, its graph and its solution.
pub(crate) fn problem(problem: &::problems::Problem, graph: &Graph) -> String {
    format!(
        "<div><p>{} <b>{}</b></p>{}<p>{} <b>Answer: {}</b></p></div>",
        escape(problem.problem.trim()),
        escape(problem.question.trim()),
        graph.svg(),
        escape(problem.steps()),
        problem.answer
    )
}

/// A response with its steps coloured; what is wrong with a step stands behind it.
pub(crate) fn verdict(text: &str, verdict: &judged::Verdict, cut: bool) -> String {
    let word = if verdict.verified { "verified" } else { "not verified" };
    let answer = if verdict.answer_correct { "correct" } else { "wrong" };
    let cut = if cut { ", cut at the length limit" } else { "" };
    let mut page = format!(
        "<div><p><b>{word}</b> under <code>{}</code>: process {:.3}, answer {answer}{cut}</p><p style=\"white-space:pre-wrap\">",
        verdict.policy.name(),
        verdict.process_acc
    );
    let piece = |from: usize, to: usize| escape(text.get(from..to).unwrap_or_default());
    let mut at = 0;
    for step in &verdict.steps {
        let style = if step.correct { CORRECT } else { WRONG };
        let _ = write!(page, "{}<span style=\"{style}\">", piece(at, step.range.start));
        let _ = write!(page, "{}</span>", piece(step.range.start, step.range.end));
        if let Some(fault) = step.fault {
            let _ = write!(page, " <i>{}: {}</i>", fault.name(), fault.meaning());
        }
        at = step.range.end;
    }
    page.push_str(&piece(at, text.len()));
    if let Some((fault, _)) = &verdict.answer_fault {
        let _ = write!(page, " <i>{}: {}</i>", fault.name(), fault.meaning());
    }
    page.push_str("</p>");
    if verdict.missing() > 0 {
        let _ =
            write!(page, "<p>{} of {} quantities are missing</p>", verdict.missing(), verdict.nodes.len());
    }
    page.push_str("</div>");
    page
}
