//! Rewards made from verdicts. Each returns its parts, so that a run can log them.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::grammar::solution_end;
use super::verify::{EQUATION, Verdict};
use crate::world::mode::Mode;

/// How a response is rewarded (paper, Sections 2 and 6).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reward {
    /// 1 for the correct answer.
    Outcome {},
    /// `alpha · outcome + (1 − alpha) · process`.
    Blend {
        /// Weight of the answer, 0 to 1.
        alpha: f64,
    },
    /// The outcome, if the response is verified under the verdict's policy; otherwise 0.
    Strict {},
    /// The published code's reward: `w · outcome + (1 − w) · process` where process is 1 minus its penalties, and 0
    /// altogether when the answer is wrong.
    Reference {
        /// Weight of the answer, 0 to 1.
        answer_weight: f64,
    },
}

/// A reward and what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RewardParts {
    /// What the policy gradient uses, 0 to 1.
    pub reward: f64,
    /// 1 if the answer is correct.
    pub outcome: f64,
    /// The process part: share of quantities that are correct, or the reference's penalty form.
    pub process: f64,
    /// 1 if the response is verified.
    pub verified: f64,
    /// 1 if the tags are as they should be.
    pub format: f64,
    /// 1 if the text stops before its answer.
    pub truncated: f64,
}

impl Reward {
    /// The reward of a judged response.
    pub fn score(&self, verdict: &Verdict) -> RewardParts {
        let flag = |b: bool| f64::from(u8::from(b));
        let outcome = flag(verdict.answer_correct);
        let mut process = verdict.process_acc;
        let reward = match *self {
            Self::Outcome {} => outcome,
            Self::Blend { alpha } => alpha * outcome + (1.0 - alpha) * process,
            Self::Strict {} => flag(verdict.verified),
            Self::Reference { answer_weight: w } => {
                process = verdict.penalised();
                outcome * (w * outcome + (1.0 - w) * process)
            }
        };
        RewardParts {
            reward,
            outcome,
            process,
            verified: flag(verdict.verified),
            format: flag(verdict.well_formed),
            truncated: flag(verdict.truncated),
        }
    }
}

/// The bytes of each step in the order of the text, and whether the step earns credit. A quantity that was correct once
/// earns nothing when it is said again: otherwise copies of a correct step would be paid for.
pub fn step_credit(verdict: &Verdict) -> Vec<(Range<usize>, bool)> {
    let mut earned = BTreeSet::new();
    let steps = verdict.steps.iter();
    steps.map(|step| (step.range.clone(), step.correct && earned.insert(step.name.as_str()))).collect()
}

/// The bytes of a solution's ending, and whether the ending is correct. Ending is a choice like a step, so it can carry
/// credit of its own. Its bytes go from the last step to the closing tag, or to the end of a response without one. It is
/// correct if the tag is there and no quantity is missing, and in a reverse problem no equation either.
pub fn ending_credit(verdict: &Verdict, response: &str, mode: Mode) -> (Range<usize>, bool) {
    let start = verdict.steps.last().map_or(0, |step| step.range.end);
    let closed = solution_end(response, start);
    let whole = mode == Mode::Forward || verdict.steps.iter().any(|step| step.name == EQUATION);
    let right = closed.is_some() && whole && verdict.missing() == 0;
    (start..closed.unwrap_or(response.len()), right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::gold::{Gold, GoldNode};
    use crate::judge::verify::{Policy, verify};
    use crate::world::linear::Linear;

    /// crow = 3, owl = crow.
    fn gold() -> Gold {
        let node = |name: &str, parents: &[u32]| GoldNode {
            name: name.to_owned(),
            parents: parents.to_vec(),
            value: Linear::number(3),
        };
        Gold {
            nodes: vec![node("crow", &[]), node("owl", &[0])],
            answer: 3,
            mode: Mode::Forward,
            modulus: None,
        }
    }

    const HALF: &str =
        "Define crow as a; so a = 3. Define owl as b; so b = 3. </solution> <answer> 3 </answer>";

    #[track_caller]
    fn rewards(response: &str) -> [f64; 4] {
        let verdict = verify(&gold(), response, Policy::Paper);
        let kinds = [
            Reward::Outcome {},
            Reward::Blend { alpha: 0.2 },
            Reward::Strict {},
            Reward::Reference { answer_weight: 0.2 },
        ];
        kinds.map(|kind| (kind.score(&verdict).reward * 1000.0).round() / 1000.0)
    }

    #[test]
    fn each_kind_weighs_answer_and_process_in_its_way() {
        assert_eq!(rewards(&HALF.replace("b = 3", "b = a = 3")), [1.0, 1.0, 1.0, 1.0]);
        assert_eq!(rewards(HALF), [1.0, 0.6, 0.0, 0.6]);
        assert_eq!(rewards(&HALF.replace("> 3", "> 4")), [0.0, 0.4, 0.0, 0.0]);
        assert_eq!(rewards(""), [0.0; 4]);
    }

    #[test]
    fn every_step_carries_its_own_credit() {
        let credit = step_credit(&verify(&gold(), HALF, Policy::Paper));
        let texts: Vec<_> = credit.into_iter().map(|(range, right)| (&HALF[range], right)).collect();
        assert_eq!(texts, [("Define crow as a; so a = 3.", true), ("Define owl as b; so b = 3.", false)]);
        let rights = |response: &str| -> Vec<bool> {
            let verdict = verify(&gold(), response, Policy::Paper);
            step_credit(&verdict).into_iter().map(|(_, right)| right).collect()
        };
        let crow = "Define crow as a; so a = 3. ";
        assert_eq!(rights(&format!("{crow}{crow}{crow}")), [true, false, false], "copies earn nothing");
        let corrected = format!("{}{crow}", crow.replace('3', "4"));
        assert_eq!(rights(&corrected), [false, true], "a correction does");
    }

    #[test]
    fn an_ending_is_right_when_nothing_is_missing() {
        let ending = |response: &str| {
            let verdict = verify(&gold(), response, Policy::Paper);
            let (range, right) = ending_credit(&verdict, response, Mode::Forward);
            (response[range].to_owned(), right)
        };
        assert_eq!(ending(HALF), (" </solution>".to_owned(), true), "a wrong step is there all the same");
        let short = "Define crow as a; so a = 3. </solution> <answer> 3 </answer>";
        assert_eq!(ending(short), (" </solution>".to_owned(), false));
        assert_eq!(ending("Define crow as a; so a = 3."), (String::new(), false));
        let unclosed = HALF.split(" </solution>").next().expect("a text");
        assert_eq!(ending(unclosed), (String::new(), false), "nothing is missing but the tag");
        assert_eq!(ending("</SOLUTION> 3"), ("</SOLUTION>".to_owned(), false));
    }
}
