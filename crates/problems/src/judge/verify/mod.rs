//! The judge: a response against the graph it should show.
//!
//! The judge is independent by design. It reads text with the module `grammar` and compares it with a
//! [`Gold`](super::gold::Gold). It never calls the generator or the renderer. `docs/verifier.md` explains its rules.

pub(crate) mod chain;
mod explain;
mod fault;
mod scope;
mod steps;
mod summary;
mod tail;
mod verdict;

use std::ops::Range;

use super::gold::Gold;
use super::grammar::{self, Answer, Tags};
use crate::world::mode::Mode;

pub use super::grammar::{TEXT_MAX, normalise_answer};
pub use explain::explain;
pub use fault::FaultKind;
pub use summary::{Counts, Row, Summary};
pub use verdict::{EQUATION, NodeVerdict, OTHER, Policy, StepVerdict, Verdict, WrongValue};

/// Goes up whenever a response can get another verdict. Results that rest on verdicts carry it in their keys: models that
/// were rewarded, and evaluations.
///
/// - 2: signs of any script and digits are no part of a remark, answer lines conflict wherever they stand, a step that gives
///   its quantity two values is a redefinition, a plus sign is read where a minus sign is, gold names are folded too.
pub const JUDGE_VERSION: u32 = 2;

/// Judges a response: the text after `<solution>`, without the end-of-text token.
///
/// The judge is deterministic. Any text gets a verdict, in time linear in its length.
pub fn verify(gold: &Gold, response: &str, policy: Policy) -> Verdict {
    let solution = grammar::parse(response);
    let tags = &solution.tags;
    let (answer, answer_fault) = judge_answer(gold, tags, response.len().min(TEXT_MAX));
    let answer_correct = answer_fault.is_none();
    let mut walk = steps::Walk::new(gold, &solution, policy);
    walk.run();
    let mut found = walk.finish();

    let clean = found.arithmetic_sound
        && found.redefined + found.duplicate + found.used_before_defined + found.self_reference == 0
        && (gold.mode == Mode::Forward || found.equation_correct);
    let all_right = found.nodes.iter().all(|n| n.correct());
    let verified = all_right && answer_correct && (policy != Policy::Strict || clean);
    if let Some(fault) = &answer_fault
        && found.first_fault.is_none()
    {
        found.first_fault = Some(fault.clone());
    }
    let mut verdict = Verdict {
        policy,
        truncated: response.len() > TEXT_MAX || (tags.answers.is_empty() && !tags.closed),
        well_formed: tags.well_formed,
        answer,
        answer_correct,
        verified,
        process_acc: 0.0,
        nodes: found.nodes,
        steps: found.steps,
        arithmetic_sound: found.arithmetic_sound,
        extra: found.extra,
        duplicate: found.duplicate,
        redefined: found.redefined,
        used_before_defined: found.used_before_defined,
        self_reference: found.self_reference,
        first_fault: found.first_fault,
        answer_fault,
    };
    verdict.process_acc = process_acc(&verdict);
    verdict
}

/// As [`verify`], from bytes. Bytes that are not UTF-8 become U+FFFD first, and ranges are those of the decoded text.
pub fn verify_bytes(gold: &Gold, response: &[u8], policy: Policy) -> Verdict {
    verify(gold, &String::from_utf8_lossy(response), policy)
}

fn process_acc(verdict: &Verdict) -> f64 {
    let nodes = verdict.nodes.len().max(1);
    if verdict.policy != Policy::Reference {
        return verdict.nodes.iter().filter(|n| n.correct()).count() as f64 / nodes as f64;
    }
    verdict.penalised()
}

type Located = (FaultKind, Range<usize>);

/// The answer, and what is wrong with it. All answers that are given have to agree.
fn judge_answer(gold: &Gold, tags: &Tags, end: usize) -> (Option<String>, Option<Located>) {
    let range = |answer: &Answer| answer.span.range();
    let Some(first) = tags.answers.first() else {
        return (None, Some((FaultKind::MissingAnswer, end..end)));
    };
    if let Some(unread) = tags.answers.iter().find(|a| a.value.is_none()) {
        return (None, Some((FaultKind::MalformedAnswer, range(unread))));
    }
    if let Some(other) = tags.answers.iter().find(|a| a.value != first.value) {
        return (None, Some((FaultKind::ConflictingAnswers, range(other))));
    }
    let answer = first.value.clone();
    let right = answer.as_deref().and_then(|a| a.parse().ok()) == Some(gold.answer);
    let fault = (!right).then(|| (FaultKind::WrongAnswer, range(first)));
    (answer, fault)
}

#[cfg(test)]
mod tests;
