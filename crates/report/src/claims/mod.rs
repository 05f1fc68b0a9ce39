//! Verdicts: does an inequality between two models hold, given the interval of their paired difference?

mod words;

use std::collections::BTreeSet;

use runs::Claim;
use runs::error::damaged;
use runs::records::Cost;
use runs::{Point, Relation, Side};
use serde::{Deserialize, Serialize};

use crate::error::ReportError;
use crate::measure::{Measure, Model, PerProblem, Slice};
use crate::stats::{self, Ends, Estimate, Power};

/// What the data say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval agrees with it.
    Holds,
    /// The whole interval contradicts it.
    Fails,
    /// The interval holds both or ends at the bound, or the models were not evaluated there.
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
    /// The left side alone.
    pub left: Option<Estimate>,
    /// The right side alone; `None` if it is a number.
    pub right: Option<Estimate>,
    /// Left minus right, paired; `None` if the two were not evaluated on the same problems.
    pub effect: Option<Estimate>,
    /// What this scale could see, and what scale would see the claimed effect.
    pub power: Option<Power>,
    /// What the models behind it cost, all seeds and all stages before them included.
    pub cost: Cost,
}

/// The verdict on a claim about a difference, from the interval of the difference. An interval that ends at the bound
/// is on neither side of it, as one that ends at 0 is within noise in the table.
///
/// ```
/// use tercet_report::{claims::{verdict, Verdict}, stats::Estimate};
/// use runs::Relation;
/// let gain = Estimate { value: 0.05, low: 0.01, high: 0.09, problems: 100, seeds: 1 };
/// assert_eq!(verdict(Relation::Greater, 0.0, &gain), Verdict::Holds);
/// assert_eq!(verdict(Relation::Greater, 0.02, &gain), Verdict::Inconclusive);
/// assert_eq!(verdict(Relation::Less, 0.0, &gain), Verdict::Fails);
/// assert_eq!(verdict(Relation::Equal, 0.1, &gain), Verdict::Holds);
/// let one_problem_worse = Estimate { value: -0.01, low: -0.031, high: 0.0, ..gain };
/// assert_eq!(verdict(Relation::Greater, 0.0, &one_problem_worse), Verdict::Inconclusive);
/// ```
pub fn verdict(relation: Relation, margin: f64, effect: &Estimate) -> Verdict {
    let Estimate { low, high, .. } = *effect;
    let (inside, outside) = match relation {
        Relation::Greater => (low > margin, high < margin),
        Relation::Less => (high < -margin, low > -margin),
        Relation::Equal => (low > -margin && high < margin, low > margin || high < -margin),
    };
    match (inside, outside) {
        (true, _) => Verdict::Holds,
        (_, true) => Verdict::Fails,
        _ => Verdict::Inconclusive,
    }
}

/// Rules on the claims of the run's recipe.
///
/// # Errors
/// If a claim names a suite or band that the recipe does not have.
pub fn rulings(measure: &Measure) -> Result<Vec<Ruling>, ReportError> {
    let folder = measure.folder;
    let of_claim = |claim: &Claim| {
        let wrong = |what: String| {
            let path = folder.path.join("recipe.toml");
            ReportError::from(damaged(&path, &format!("claim `{}`: {what}", claim.name)))
        };
        let suite = folder.recipe.evaluation.suites.iter().find(|suite| suite.name == claim.suite);
        let suite = suite.ok_or_else(|| wrong(format!("there is no suite `{}`", claim.suite)))?;
        let ops = claim.ops(&folder.manifest.bands, suite).map_err(wrong)?;
        let slice = Slice { ops: Some(ops), context: claim.context.clone(), mode: claim.mode };
        Ok(rule(measure, claim, &slice))
    };
    folder.recipe.claims.iter().map(of_claim).collect()
}

fn rule(measure: &Measure, claim: &Claim, slice: &Slice) -> Ruling {
    let left = values(measure, claim, slice, &claim.left);
    let (right, difference) = match &claim.right {
        Side::Number(number) => (None, left.clone().map(|left| left.minus_number(*number))),
        Side::Model(point) => {
            let right = values(measure, claim, slice, point);
            let difference = left.as_ref().zip(right.as_ref()).and_then(|(left, right)| left.minus(right));
            (right, difference)
        }
    };
    let estimate = |values: &Option<PerProblem>| measure.estimate(values.as_ref()?);
    let effect = estimate(&difference);
    let power = effect.zip(difference.as_ref()).and_then(|(effect, difference)| {
        let (distance, ends) = distance(claim, claim.paper.unwrap_or(effect.value));
        stats::power(&difference.values_SP, difference.range, distance, ends)
    });
    Ruling {
        claim: claim.clone(),
        verdict: effect.map_or(Verdict::Inconclusive, |e| verdict(claim.relation, claim.margin, &e)),
        left: estimate(&left),
        right: estimate(&right),
        effect,
        power,
        cost: cost(measure, claim),
    }
}

/// How far a true difference of `effect` is from where the verdict would turn, and which ends of the interval turn it: for
/// “unchanged” both must stay inside.
fn distance(claim: &Claim, effect: f64) -> (f64, Ends) {
    match claim.relation {
        Relation::Greater => ((effect - claim.margin).abs(), Ends::One),
        Relation::Less => ((effect + claim.margin).abs(), Ends::One),
        Relation::Equal if effect.abs() < claim.margin => (claim.margin - effect.abs(), Ends::Both),
        Relation::Equal => (effect.abs() - claim.margin, Ends::One),
    }
}

fn model<'m>(measure: &'m Measure, arm: &str, stage: &str) -> Option<&'m Model> {
    measure.models.iter().find(|m| m.stage == stage && m.arms.iter().any(|known| known == arm))
}

/// The claim's metric of one side, or its change since an earlier stage.
fn values(measure: &Measure, claim: &Claim, slice: &Slice, point: &Point) -> Option<PerProblem> {
    let of =
        |stage: &str| measure.values(model(measure, &point.arm, stage)?, &claim.suite, slice, claim.metric);
    let now = of(&point.stage)?;
    match &point.since {
        Some(before) => now.minus(&of(before)?),
        None => Some(now),
    }
}

/// The sum over the models that the claim names and those they were trained from, each stage once.
fn cost(measure: &Measure, claim: &Claim) -> Cost {
    let mut folders = BTreeSet::new();
    for point in claim.points() {
        let mut next = model(measure, &point.arm, &point.stage);
        while let Some(model) = next {
            folders.extend(model.folders.iter().map(|(_, name)| name));
            next = model.parent.map(|parent| &measure.models[parent]);
        }
    }
    let stages = folders.into_iter().filter_map(|name| measure.folder.stages.get(name)?.done.as_ref());
    stages.map(|done| done.cost).sum()
}
