//! What the judge says of a response.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use strum::{EnumCount as _, VariantArray as _};

use super::fault::FaultKind;

/// The rules that decide.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Policy {
    /// The paper's definition (Section 2): every gold quantity is present with the correct parents and value, and the
    /// answer is correct. Arithmetic inside a step does not count.
    Paper,
    /// It accepts what `Paper` accepts. The process score is the published code's: one minus penalties for wrong
    /// values, wrong parents, missing and extra quantities and a wrong answer, over the number of quantities.
    Reference,
    /// It accepts what `Paper` accepts if every chain holds, no quantity is defined twice, none is used before it is
    /// defined, and every line of a reverse problem's equation follows.
    Strict,
}

impl Policy {
    /// Every policy, in order.
    pub const ALL: [Self; Self::COUNT] = *Self::VARIANTS.first_chunk().expect("there are COUNT variants");

    /// The name in files and tables.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// All that the judge found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent finding, not a state")]
#[non_exhaustive]
pub struct Verdict {
    /// The policy that decided.
    pub policy: Policy,
    /// The answer in its normal form; `None` when there is none, when it is not a number, or when several differ.
    pub answer: Option<String>,
    /// The answer equals the gold answer.
    #[serde(rename = "answer_right")]
    pub answer_correct: bool,
    /// The response is correct under the policy (`VerifiedCorrect` of the paper).
    pub verified: bool,
    /// Share of the process that is correct, in 0..=1 (`ProcessAcc` of the paper; `Policy::Reference` differs).
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
        self.nodes.iter().filter(|n| n.present && !n.value_correct).count()
    }

    /// Quantities that are present with wrong parents.
    pub fn wrong_parents(&self) -> usize {
        self.nodes.iter().filter(|n| n.present && !n.parents_correct).count()
    }

    /// One minus the published code's penalties over the number of quantities, at least 0.
    pub(crate) fn penalised(&self) -> f64 {
        let nodes = self.nodes.len().max(1);
        let penalty = self.wrong_values()
            + self.wrong_parents()
            + self.missing()
            + (self.extra as usize).min(nodes)
            + usize::from(!self.answer_correct);
        1.0 - penalty.min(nodes) as f64 / nodes as f64
    }
}

/// What became of one gold quantity. When it is defined more than once, the last step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeVerdict {
    /// A step defines it.
    pub present: bool,
    /// That step computes it from exactly the gold quantities.
    #[serde(rename = "parents_right")]
    pub parents_correct: bool,
    /// That step gives it the gold value.
    #[serde(rename = "value_right")]
    pub value_correct: bool,
}

impl NodeVerdict {
    /// `s(v)` of the paper.
    pub fn correct(self) -> bool {
        self.present && self.parents_correct && self.value_correct
    }
}

/// What the judge says of one step of the response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepVerdict {
    /// The step's bytes in the response.
    pub range: Range<usize>,
    /// The quantity's name as written; `equation` for the equation of a reverse problem.
    pub name: String,
    /// The step is correct under the policy.
    #[serde(rename = "right")]
    pub correct: bool,
    /// The first thing that is wrong with it, even where the policy accepts that.
    pub fault: Option<FaultKind>,
    /// The bytes that the fault is about.
    pub fault_range: Option<Range<usize>>,
    /// Where the value is wrong: what the step says, and what is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong_value: Option<WrongValue>,
    /// Quantities that the step should use and does not, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_parents: Vec<String>,
    /// Quantities that the step uses and should not, by name; [`OTHER`] stands for what the solution does not need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_parents: Vec<String>,
}

/// A value that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WrongValue {
    /// What the step says, e.g. `3*x + 1`; `None` where it says no value.
    pub says: Option<String>,
    /// What is true.
    pub is: String,
}

/// Among the extra parents: a quantity that the solution does not need, or a variable without a meaning.
pub const OTHER: &str = "something else";

/// The name that the equation of a reverse problem has among the steps.
pub const EQUATION: &str = "equation";
