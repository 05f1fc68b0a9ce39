//! Verdicts: does an inequality between two models hold, given the interval of their paired difference?

use serde::{Deserialize, Serialize};
use train::recipe::evaluation;

use crate::error::ReportError;
use crate::folder::Folder;
use crate::measure::{Measure, Metric, Slice};
use crate::stats::{self, Estimate, Power};

/// A claim to test: something about the difference between two models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// A short name, e.g. `rl-edge`.
    pub name: String,
    /// e.g. `RL on the edge raises pass@128 out of distribution`
    pub text: String,
    /// The model expected to be better: arm and stage name.
    pub left: (String, String),
    /// The model it is compared with.
    pub right: (String, String),
    /// The suite.
    pub suite: String,
    /// The problems.
    pub slice: Slice,
    /// The number compared.
    pub metric: Metric,
    /// What is claimed of left minus right.
    pub relation: Relation,
    /// What the paper reports for the difference, as a fraction (0.42 = 42 points), where it does.
    pub paper: Option<f64>,
}

/// What is claimed of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Relation {
    /// It is greater than this.
    Above(f64),
    /// It is less than this.
    Below(f64),
    /// Its size is less than this: no difference that matters.
    Within(f64),
}

/// What the data say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval agrees with it.
    Holds,
    /// The whole interval contradicts it.
    Fails,
    /// The interval holds both, or the models were not evaluated there.
    Inconclusive,
}

impl Verdict {
    /// As text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A claim with its verdict and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// The claim.
    pub claim: Claim,
    /// The verdict.
    pub verdict: Verdict,
    /// The paired difference; `None` if the models were not both evaluated on the same problems.
    pub effect: Option<Estimate>,
    /// What this scale could see, and what scale would see the claimed effect.
    pub power: Option<Power>,
}

/// What a resolved recipe says of claims; the rest of it is of no concern here.
#[derive(Deserialize)]
struct RecipeFile {
    #[serde(default, rename = "claim")]
    claims: Vec<evaluation::Claim>,
}

/// The claims of the run's recipe.
///
/// # Errors
/// If the recipe is malformed or a claim names a band or metric that does not exist.
pub fn of_folder(folder: &Folder) -> Result<Vec<Claim>, ReportError> {
    let path = folder.path.join("recipe.toml");
    let file: RecipeFile =
        toml::from_str(&folder.recipe).map_err(|e| ReportError::malformed(&path, None, &e))?;
    let claim = |c: evaluation::Claim| {
        let wrong = |what: &str| ReportError::malformed(&path, None, &format!("claim `{}`: {what}", c.name));
        let band = folder.manifest.bands.iter().find(|b| b.name == c.band);
        let band = band.ok_or_else(|| wrong(&format!("there is no band `{}`", c.band)))?;
        let metric =
            Metric::parse(&c.metric).ok_or_else(|| wrong(&format!("there is no metric `{}`", c.metric)))?;
        Ok(Claim {
            text: c.says,
            left: (c.left.arm, c.left.stage),
            right: (c.right.arm, c.right.stage),
            suite: c.suite,
            slice: Slice::ops(band.from, band.to),
            metric,
            relation: match c.relation {
                evaluation::Relation::Greater => Relation::Above(c.margin),
                evaluation::Relation::Equal => Relation::Within(c.margin),
            },
            paper: c.paper,
            name: c.name,
        })
    };
    file.claims.into_iter().map(claim).collect()
}

/// The verdict on a relation from the interval of the difference.
///
/// ```
/// use report::{claims::{verdict, Relation, Verdict}, stats::Estimate};
/// let gain = Estimate { value: 0.05, low: 0.01, high: 0.09, problems: 100, seeds: 1 };
/// assert_eq!(verdict(Relation::Above(0.0), &gain), Verdict::Holds);
/// assert_eq!(verdict(Relation::Above(0.02), &gain), Verdict::Inconclusive);
/// assert_eq!(verdict(Relation::Below(0.0), &gain), Verdict::Fails);
/// ```
pub fn verdict(relation: Relation, effect: &Estimate) -> Verdict {
    let (inside, outside) = match relation {
        Relation::Above(bound) => (effect.low > bound, effect.high <= bound),
        Relation::Below(bound) => (effect.high < bound, effect.low >= bound),
        Relation::Within(bound) => {
            (effect.low > -bound && effect.high < bound, effect.low >= bound || effect.high <= -bound)
        }
    };
    match (inside, outside) {
        (true, _) => Verdict::Holds,
        (_, true) => Verdict::Fails,
        _ => Verdict::Inconclusive,
    }
}

/// Rules on a claim.
pub fn rule(measure: &Measure, claim: &Claim) -> Ruling {
    let find = |(arm, stage): &(String, String)| {
        measure.models.iter().find(|m| m.stage == *stage && m.arms.contains(arm))
    };
    let models = find(&claim.left).zip(find(&claim.right));
    let effect = models
        .and_then(|(left, right)| measure.difference(left, right, &claim.suite, &claim.slice, claim.metric));
    let power = models.zip(effect).and_then(|((left, right), effect)| {
        let (left_SP, right_SP) = measure.paired(left, right, &claim.suite, &claim.slice, claim.metric)?;
        let n = f64::from(measure.samples(&claim.suite).max(1));
        let mean_P = |values_SP: &[Vec<f64>]| -> Vec<f64> {
            let mean = |p: usize| values_SP.iter().map(|row| row[p]).sum::<f64>();
            (0..values_SP[0].len()).map(|p| mean(p) / values_SP.len() as f64).collect()
        };
        let (left_P, right_P) = (mean_P(&left_SP), mean_P(&right_SP));
        let noise = |p: f64| p * (1.0 - p) / n / f64::from(effect.seeds.max(1));
        let difference_P: Vec<f64> = left_P.iter().zip(&right_P).map(|(l, r)| l - r).collect();
        let noise_P: Vec<f64> = left_P.iter().zip(&right_P).map(|(l, r)| noise(*l) + noise(*r)).collect();
        stats::power(&difference_P, &noise_P, claim.paper.unwrap_or(effect.value))
    });
    let verdict = effect.map_or(Verdict::Inconclusive, |e| verdict(claim.relation, &e));
    Ruling { claim: claim.clone(), verdict, effect, power }
}
