//! A response in pieces, with what is wrong in it marked.

use std::ops::Range;

use problems::verify::{FaultKind, Verdict};
use serde::Serialize;

/// A piece of a response, with what is wrong in it marked.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Piece {
    pub(crate) class: &'static str,
    pub(crate) sign: &'static str,
    pub(crate) word: &'static str,
    pub(crate) before: String,
    pub(crate) marked: String,
    pub(crate) after: String,
    pub(crate) fault: &'static str,
    /// What the fault is, with what the step says and what is true.
    pub(crate) meaning: String,
    /// Whether it is the response's first fault.
    pub(crate) first: bool,
}

/// The response in pieces: its steps, and what stands between and after them.
pub(super) fn pieces(text: &str, verdict: &Verdict) -> Vec<Piece> {
    let first = verdict.first_fault.as_ref().map(|(_, range)| range.start);
    let mut out = Vec::new();
    let mut at = 0;
    for step in &verdict.steps {
        plain(&mut out, text, at..step.range.start, None, first);
        let (class, sign, word) =
            if step.correct { ("right", "✓", "correct") } else { ("wrong", "✗", "wrong") };
        let fault = step.fault.filter(|_| !step.correct).map(|kind| (kind, step.fault_range.clone()));
        let mut marked = piece(text, step.range.clone(), (class, sign, word), fault.as_ref(), first);
        if let Some(details) = step.details().filter(|_| fault.is_some()) {
            marked.meaning = format!("{} ({details})", marked.meaning);
        }
        out.push(marked);
        at = step.range.end.max(at);
    }
    let fault = verdict.answer_fault.clone().map(|(kind, range)| (kind, Some(range)));
    plain(&mut out, text, at..text.len(), fault.as_ref(), first);
    out
}

fn plain(
    out: &mut Vec<Piece>,
    text: &str,
    range: Range<usize>,
    fault: Option<&(FaultKind, Option<Range<usize>>)>,
    first: Option<usize>,
) {
    let blank = text.get(range.clone()).is_none_or(|t| t.trim().is_empty());
    if blank && fault.is_none() {
        return;
    }
    let style = if fault.is_some() { ("wrong", "✗", "wrong") } else { ("plain", "", "text") };
    out.push(piece(text, range, style, fault, first));
}

fn piece(
    text: &str,
    range: Range<usize>,
    (class, sign, word): (&'static str, &'static str, &'static str),
    fault: Option<&(FaultKind, Option<Range<usize>>)>,
    first: Option<usize>,
) -> Piece {
    let marked = fault
        .and_then(|(_, r)| r.clone())
        .filter(|r| range.start <= r.start && r.start < r.end && r.end <= range.end);
    let cut = marked.clone().unwrap_or(range.end..range.end);
    let part = |r: Range<usize>| text.get(r).unwrap_or_default().to_owned();
    let empty = text.get(range.clone()).is_none_or(|t| t.trim().is_empty());
    let start = fault.and_then(|(_, r)| r.as_ref()).map(|r| r.start);
    Piece {
        class,
        sign,
        word,
        before: if empty {
            "(the text ends)".into()
        } else {
            part(range.start..cut.start).trim_start().to_owned()
        },
        marked: part(cut.clone()),
        after: part(cut.end..range.end).trim_end().to_owned(),
        fault: fault.map_or("", |(kind, _)| kind.name()),
        meaning: fault.map_or("", |(kind, _)| kind.meaning()).to_owned(),
        first: start.is_some() && start == first,
    }
}
