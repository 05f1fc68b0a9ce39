//! Rewards made from verdicts.

use ::problems::reward as rewards;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors::refused;
use crate::given;
use crate::judge::judge;
use crate::problem::Problem;

/// A reward and what it is made of (paper, Sections 2 and 6); `float()` gives the reward.
#[pyclass(frozen, eq, module = "tercet", get_all)]
#[derive(Clone, PartialEq)]
#[expect(
    clippy::struct_field_names,
    reason = "the part that counts has the name of the whole, as in the crate"
)]
pub(crate) struct Reward {
    /// What the policy gradient uses, 0 to 1. A response that was cut earns 0.
    reward: f64,
    /// 1 if the answer is correct.
    outcome: f64,
    /// The process part, 0 to 1: share of quantities that are correct, or the published code's penalty form.
    process: f64,
    /// 1 if the response is verified under the policy.
    verified: f64,
    /// 1 if the tags are as they should be.
    format: f64,
    /// 1 if the text stops before its answer.
    truncated: f64,
}

#[pymethods]
impl Reward {
    fn __float__(&self) -> f64 {
        self.reward
    }

    fn __repr__(&self) -> String {
        let Self { reward, outcome, process, verified, .. } = self;
        format!("Reward({reward}, outcome={outcome}, process={process}, verified={verified})")
    }
}

/// The kind of a reward, with its weight.
fn kind(kind: &str, alpha: Option<f64>) -> PyResult<rewards::Reward> {
    let weight = |what: &str| match alpha {
        Some(alpha) if (0.0..=1.0).contains(&alpha) => Ok(alpha),
        Some(alpha) => Err(refused(format!("alpha is {alpha}, but must be from 0 to 1"))),
        None => Err(refused(format!("the reward `{kind}` needs `alpha`, {what}"))),
    };
    let made = match kind {
        "outcome" => rewards::Reward::Outcome {},
        "strict" => rewards::Reward::Strict {},
        "blend" => return Ok(rewards::Reward::Blend { alpha: weight("the weight of the outcome")? }),
        "reference" => {
            return Ok(rewards::Reward::Reference { answer_weight: weight("the weight of the answer")? });
        }
        _ => {
            let known = "outcome, blend, strict, reference";
            return Err(refused(format!("there is no reward `{kind}`; known are {known}")));
        }
    };
    match alpha {
        None => Ok(made),
        Some(_) => Err(refused(format!("the reward `{kind}` has no `alpha`"))),
    }
}

/// The reward of a response, as a recipe's `reward` computes it.
///
/// - `kind`: `outcome`, 1 for the correct answer; `strict`, 1 if verified under the policy; `blend`, alpha · outcome +
///   (1 − alpha) · process; `reference`, 0 if the answer is wrong, else alpha + (1 − alpha) · the published code's process
///   score.
/// - `alpha`: the weight of the answer in `blend` and `reference`, 0 to 1.
/// - `policy`, `cut`: as in `verify`. A response that was cut earns 0.
#[pyfunction]
#[pyo3(signature = (problem, text, *, kind, alpha = None, policy = "paper", cut = false))]
pub(crate) fn reward(
    problem: &Bound<'_, Problem>,
    text: &Bound<'_, PyString>,
    kind: &str,
    alpha: Option<f64>,
    policy: &str,
    cut: bool,
) -> PyResult<Reward> {
    let made = self::kind(kind, alpha)?;
    let verdict = judge(problem.py(), problem.get(), text, given::policy(policy)?, cut)?;
    let parts = made.score(&verdict.verdict);
    Ok(Reward {
        reward: if cut { 0.0 } else { parts.reward },
        outcome: parts.outcome,
        process: parts.process,
        verified: parts.verified,
        format: parts.format,
        truncated: parts.truncated,
    })
}
