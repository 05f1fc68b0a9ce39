//! The judge: a response against the graph it should show.
//!
//! Independent by design: it reads text with [`crate::grammar`] and compares with a [`Gold`]; it never
//! calls the generator or the renderer. The rules are written for a reader in `docs/verifier.md`.

pub(crate) mod chain;
mod explain;
mod fault;
mod scope;
mod steps;
mod summary;
mod tail;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::gold::{Gold, Mode};
pub use crate::grammar::normalise_answer;
use crate::grammar::{self, Answer, Tags};
pub use explain::explain;
pub use fault::FaultKind;
pub use summary::{Counts, Row, Summary};

/// Which rules decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The paper's definition (Section 2): every gold quantity present with the right parents and value, the
    /// answer right. Arithmetic inside a step is not looked at.
    Paper,
    /// Accepts what `Paper` accepts; the process score is the published code's: one minus penalties for wrong
    /// values, wrong parents, missing and extra quantities and a wrong answer, over the number of quantities.
    Reference,
    /// `Paper`, and every chain holds, no quantity is defined twice, none is used before it is defined, and
    /// every line of a reverse problem's equation follows.
    Strict,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Paper, Self::Reference, Self::Strict];

    /// The name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Reference => "reference",
            Self::Strict => "strict",
        }
    }
}

/// All that the judge found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent finding, not a state")]
pub struct Verdict {
    /// The policy that decided.
    pub policy: Policy,
    /// The answer in its normal form; `None` when there is none, it is no number, or several differ.
    pub answer: Option<String>,
    /// The answer equals the gold answer.
    pub answer_right: bool,
    /// The response is right under the policy (`VerifiedCorrect` of the paper).
    pub verified: bool,
    /// Share of the process that is right, in 0..=1 (`ProcessAcc` of the paper; `Policy::Reference` differs).
    pub process_acc: f64,
    /// One for each gold quantity, in the gold order.
    pub nodes: Vec<NodeVerdict>,
    /// One for each step of the response, in the order of the text; the equation of a reverse problem is one too.
    pub steps: Vec<StepVerdict>,
    /// Every chain of every step holds, and so does every line of the equation.
    pub arithmetic_sound: bool,
    /// Steps that define quantities which the solution does not need.
    pub extra: u32,
    /// Steps that repeat an earlier step.
    pub duplicate: u32,
    /// Steps that define a quantity again, differently.
    pub redefined: u32,
    /// Uses of a variable before its step.
    pub used_before_defined: u32,
    /// Steps that use the quantity that they define.
    pub self_reference: u32,
    /// The first fault in the text, and where.
    pub first_fault: Option<(FaultKind, Range<usize>)>,
    /// What is wrong with the answer, and where.
    pub answer_fault: Option<(FaultKind, Range<usize>)>,
    /// The tags are exactly `… </solution> <answer> n </answer>`.
    pub well_formed: bool,
    /// The text stops before it gives an answer.
    pub truncated: bool,
}

impl Verdict {
    /// Gold quantities that no step defines.
    pub fn missing(&self) -> usize {
        self.nodes.iter().filter(|n| !n.present).count()
    }

    /// Quantities that are present with a wrong value.
    pub fn wrong_values(&self) -> usize {
        self.nodes.iter().filter(|n| n.present && !n.value_right).count()
    }

    /// Quantities that are present with wrong parents.
    pub fn wrong_parents(&self) -> usize {
        self.nodes.iter().filter(|n| n.present && !n.parents_right).count()
    }
}

/// What became of one gold quantity. When it is defined more than once, the last step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeVerdict {
    /// A step defines it.
    pub present: bool,
    /// That step computes it from exactly the right quantities.
    pub parents_right: bool,
    /// That step gives it the right value.
    pub value_right: bool,
}

impl NodeVerdict {
    /// `s(v)` of the paper.
    pub fn right(self) -> bool {
        self.present && self.parents_right && self.value_right
    }
}

/// What the judge says of one step of the response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepVerdict {
    /// The step's bytes in the response.
    pub range: Range<usize>,
    /// The quantity's name as written; `equation` for the equation of a reverse problem.
    pub name: String,
    /// The step is right under the policy.
    pub right: bool,
    /// The first thing that is wrong with it, whether or not the policy minds.
    pub fault: Option<FaultKind>,
    /// The bytes that the fault is about.
    pub fault_range: Option<Range<usize>>,
}

/// The name that the equation of a reverse problem has among the steps.
pub const EQUATION: &str = "equation";

/// Judges a response: the text after `<solution>`, without the end-of-text token.
///
/// Total and deterministic: any text gives a verdict, in time linear in its length.
pub fn verify(gold: &Gold, response: &str, policy: Policy) -> Verdict {
    let solution = grammar::parse(response);
    let tags = &solution.tags;
    let (answer, answer_fault) = judge_answer(gold, tags, response.len().min(grammar::TEXT_MAX));
    let answer_right = answer_fault.is_none();
    let mut walk = steps::Walk::new(gold, &solution, policy);
    walk.run();
    let mut found = walk.finish();

    let clean = found.arithmetic_sound
        && found.redefined + found.duplicate + found.used_before_defined + found.self_reference == 0
        && (gold.mode == Mode::Forward || found.equation_right);
    let all_right = found.nodes.iter().all(|n| n.right());
    let verified = all_right && answer_right && (policy != Policy::Strict || clean);
    if let Some(fault) = &answer_fault
        && found.first_fault.is_none()
    {
        found.first_fault = Some(fault.clone());
    }
    let mut verdict = Verdict {
        policy,
        truncated: response.len() > grammar::TEXT_MAX || (tags.answers.is_empty() && !tags.closed),
        well_formed: tags.well_formed,
        answer,
        answer_right,
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

/// As [`verify`], from bytes: what is no UTF-8 becomes U+FFFD first. Ranges are those of the decoded text.
pub fn verify_bytes(gold: &Gold, response: &[u8], policy: Policy) -> Verdict {
    verify(gold, &String::from_utf8_lossy(response), policy)
}

fn process_acc(verdict: &Verdict) -> f64 {
    let nodes = verdict.nodes.len().max(1);
    if verdict.policy != Policy::Reference {
        return verdict.nodes.iter().filter(|n| n.right()).count() as f64 / nodes as f64;
    }
    crate::reward::penalised(verdict)
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
