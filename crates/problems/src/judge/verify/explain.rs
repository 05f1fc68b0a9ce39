//! One solution with marks at the characters that are wrong.

use std::fmt::Write as _;
use std::ops::Range;

use super::fault::FaultKind;
use super::verdict::{StepVerdict, Verdict};

/// The response, a step a line, with `^^^` under what is wrong and the reason behind it.
pub fn explain(response: &str, verdict: &Verdict) -> String {
    let mut out = String::new();
    let mut at = 0;
    for step in &verdict.steps {
        line(&mut out, response, at..step.range.start, ' ', None);
        let sign = if step.correct { '+' } else { '-' };
        let fault = step.fault.zip(step.fault_range.clone());
        let fault = fault.map(|(kind, place)| {
            let details = step.details().map_or_else(String::new, |details| format!(" ({details})"));
            (reason(kind) + &details, place)
        });
        line(&mut out, response, step.range.clone(), sign, fault);
        at = step.range.end;
    }
    let end = verdict.answer_fault.clone().map(|(kind, place)| (reason(kind), place));
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

fn reason(kind: FaultKind) -> String {
    format!("{}: {}", kind.name(), kind.meaning())
}

impl StepVerdict {
    /// What the step says and what is true, where its fault is a value or its parents: `says 2, is 6`,
    /// `missing: adult owl in Oak Hill; too many: something else`.
    pub fn details(&self) -> Option<String> {
        match (self.fault?, &self.wrong_value) {
            (FaultKind::WrongValue | FaultKind::CarriedValue, Some(value)) => {
                Some(format!("says {}, is {}", value.says.as_deref().unwrap_or("nothing"), value.is))
            }
            (FaultKind::WrongParents, _) => {
                let list = |what: &str, names: &[String]| {
                    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
                };
                let lists = [list("missing", &self.missing_parents), list("too many", &self.extra_parents)];
                let text = lists.into_iter().flatten().collect::<Vec<_>>().join("; ");
                Some(text).filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }
}

/// One line of text, and one with marks where there is a fault. Control characters are shown as blanks.
fn line(
    out: &mut String,
    text: &str,
    range: Range<usize>,
    sign: char,
    fault: Option<(String, Range<usize>)>,
) {
    let Some(shown) = text.get(range.clone()) else { return };
    if shown.trim().is_empty() && fault.is_none() {
        return;
    }
    let clean: String = shown.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let skipped = clean.len() - clean.trim_start().len();
    let _ = writeln!(out, "{sign} {}", clean.trim_start());
    let Some((reason, place)) = fault else { return };
    let start = range.start + skipped;
    let columns = |from: usize, to: usize| text.get(from..to).map_or(0, |t| t.chars().count());
    let before = columns(start, place.start.max(start));
    let width = columns(place.start.max(start), place.end).max(1);
    let _ = writeln!(out, "  {}{} {reason}", " ".repeat(before), "^".repeat(width));
}
