//! One solution with marks at the characters that are wrong.

use std::fmt::Write as _;
use std::ops::Range;

use super::fault::FaultKind;
use super::verdict::Verdict;

/// The response, a step a line, with `^^^` under what is wrong and the reason behind it.
pub fn explain(response: &str, verdict: &Verdict) -> String {
    let mut out = String::new();
    let mut at = 0;
    for step in &verdict.steps {
        line(&mut out, response, at..step.range.start, ' ', None);
        let sign = if step.correct { '+' } else { '-' };
        let fault = step.fault.zip(step.fault_range.clone());
        line(&mut out, response, step.range.clone(), sign, fault);
        at = step.range.end;
    }
    let end = verdict.answer_fault.clone();
    line(&mut out, response, at..response.len(), ' ', end);
    let missing = verdict.missing();
    if missing > 0 {
        let _ = writeln!(out, "- {missing} of {} quantities are missing", verdict.nodes.len());
    }
    let _ = writeln!(
        out,
        "{} under `{}`: process {:.3}, answer {}",
        if verdict.verified { "right" } else { "wrong" },
        verdict.policy.name(),
        verdict.process_acc,
        if verdict.answer_correct { "right" } else { "wrong" },
    );
    out
}

/// One line of text, and one with marks where there is a fault. Control characters are shown as blanks.
fn line(
    out: &mut String,
    text: &str,
    range: Range<usize>,
    sign: char,
    fault: Option<(FaultKind, Range<usize>)>,
) {
    let Some(shown) = text.get(range.clone()) else { return };
    if shown.trim().is_empty() && fault.is_none() {
        return;
    }
    let clean: String = shown.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let skipped = clean.len() - clean.trim_start().len();
    let _ = writeln!(out, "{sign} {}", clean.trim_start());
    let Some((kind, place)) = fault else { return };
    let start = range.start + skipped;
    let columns = |from: usize, to: usize| text.get(from..to).map_or(0, |t| t.chars().count());
    let before = columns(start, place.start.max(start));
    let width = columns(place.start.max(start), place.end).max(1);
    let _ =
        writeln!(out, "  {}{} {}: {}", " ".repeat(before), "^".repeat(width), kind.name(), kind.meaning());
}
